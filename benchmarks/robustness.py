"""Drift, holes and dynamics of fine-tuned models, set by set and method by method; resumable, one JSON line a cell.

    python benchmarks/robustness.py --sets build/sets
    python benchmarks/robustness.py --sets build/sets --only ethanol --labels soft_threshold full --list

Every cell is a fine-tune (`equisparse finetune`, ``train``, ``valid`` and ``test`` of ``--sets``/NAME) and then
`equisparse probe` on it. ``sparse`` and ``soft_threshold`` have the default anchor of `finetune`; the others have
none, as everybody trains them. ``over-trained`` is what the probe has to recognise: all parameters at twenty times
their learning rate; ``fast`` is what an earlier version did by default. With ``--runs`` the run folders are kept, and
a finished one is not trained again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rows import add_row, rows_of
from sets import digest_of

import equisparse

RESULTS = Path(__file__).parent / "results" / "robustness.jsonl"
SETS = {"ethanol": (10, 100, 300), "aspirin": (10, 100, 150), "cu": (2, 50, 50), "hfo2": (2, 50, 50)}
"""Set -> batch size, training frames, optimiser steps (rounded up to whole epochs)."""
FAST: dict[str, Any] = {"method_options": {"rank": 128}, "lr": 0.05}
"""Options that soft_threshold had by default in an earlier version; the rows named ``fast`` have them."""
METHODS: dict[str, dict[str, Any]] = {
    "soft_threshold": {"method": "soft_threshold"},
    "elora": {"method": "elora", "anchor": 0.0},
    "full": {"method": "full", "anchor": 0.0},
    "over-trained": {"method": "full", "anchor": 0.0, "lr": 0.4},
    "soft_threshold, fast": {"method": "soft_threshold", **FAST},
    "soft_threshold, fast, anchor 0.3": {"method": "soft_threshold", **FAST, "anchor": 0.3},
    "elora, fast": {"method": "elora", "anchor": 0.0, "lr": 0.05},
    "soft_threshold, anchor 0.3": {"method": "soft_threshold", "anchor": 0.3},
    "soft_threshold, anchor 0": {"method": "soft_threshold", "anchor": 0.0},
    "sparse": {"method": "sparse"},
    "sparse 3 %": {"changed": 0.03},
    "sparse 3 %, anchor 0": {"changed": 0.03, "anchor": 0.0},
    "sparse 3 %, anchor 0.3": {"changed": 0.03, "anchor": 0.3},
    "soft_threshold, replay": {
        "method": "soft_threshold",
        "anchor": 0.0,
        "replay": ["probe"],
        "optimizer": "adamw",
        "lr": 0.01,
    },
}
TEST_FRAMES = 100


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, default=Path("build/sets"))
    parser.add_argument("--only", nargs="+", default=list(SETS), choices=SETS, help="data sets")
    parser.add_argument("--labels", nargs="+", default=list(METHODS), choices=METHODS, help="methods")
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=300.0)
    parser.add_argument("--md-steps", type=int, default=500)
    parser.add_argument("--starts", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, help="folder that keeps the runs")
    parser.add_argument("--list", action="store_true", help="say which cells are missing, run nothing")
    return parser.parse_args()


def cells(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What identifies each cell: everything that changes its result."""
    shared = ("seed", "temperature", "md_steps", "starts")
    options = {name: getattr(arguments, name) for name in shared}
    for name in arguments.only:
        for label in arguments.labels:
            fixed = {
                "steps": SETS[name][2],
                "base": Path(arguments.base).name,
                "data": digest_of(arguments.sets / name),
            }
            yield {"name": name, "label": label} | fixed | options


def trained(cell: dict[str, Any], arguments: argparse.Namespace, folder: Path) -> equisparse.Run:
    """Fine-tune of a cell, unless it is done."""
    if (folder / "metrics.json").exists():
        return equisparse.read_run(folder)
    batch, count, steps = SETS[cell["name"]]
    most = {"train": count, "valid": None, "test": TEST_FRAMES}
    files = {split: arguments.sets / cell["name"] / f"{split}.xyz.gz" for split in most}
    train, valid, test = (equisparse.read_frames(file)[: most[split]] for split, file in files.items())
    return equisparse.finetune(
        train,
        valid=valid,
        test=test,
        base=arguments.base,
        out=folder,
        epochs=-(-steps // -(-len(train) // batch)),
        batch_size=batch,
        seed=cell["seed"],
        device=arguments.device,
        force=True,  # in the published split of hfo2 three frames are in two parts
        **METHODS[cell["label"]],
    )


def run(cell: dict[str, Any], arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fine-tune unless that is done, then probe."""
    finished = trained(cell, arguments, folder / "run")
    metrics = finished.metrics
    start = time.perf_counter()
    result = equisparse.probe(
        finished,
        temperature=cell["temperature"],
        steps=cell["md_steps"],
        starts=cell["starts"],
        seed=cell["seed"],
        device=arguments.device,
    )
    probe = finished.files.probe
    groups = {row.group: row.values() for row in probe.groups.read()}
    runs = probe.dynamics.read()
    slopes = [abs(row.drift_mev_per_atom_ps) for row in runs if row.drift_mev_per_atom_ps is not None]
    return {
        "cell": cell,
        "test": metrics.final["test"],
        "refit_test": metrics.refit["test"],
        "lr": finished.config.lr,
        "changed_fraction_model": metrics.changed_fraction_model,
        "drift": groups,
        "holes": {name: holes_of(probe.scans(name).read()) for name in ("dimers", "compression")},
        "dynamics": {
            "survived": sum(not row.failure for row in runs),
            "runs": 2 * cell["starts"],
            "failures": [row.failure for row in runs if row.failure],
            "largest_nve_drift_mev_per_atom_ps": max(slopes, default=None),
        },
        "level": result.level,
        "probe_seconds": round(time.perf_counter() - start, 1),
        "versions": metrics.versions,
    }


def holes_of(rows: list[equisparse.ScanRow]) -> dict[str, Any]:
    """Counts and the worst case."""
    worst = max(rows, key=lambda row: row.fall_adapted - row.fall_base)
    return {
        "scans": len(rows),
        "holes": sum(row.hole for row in rows),
        "below_the_well": sum(row.collapse for row in rows),
        "worst": {name: getattr(worst, name) for name in ("name", "fall_base", "fall_adapted", "fall_at")},
    }


def main() -> None:
    """Run the cells that are missing."""
    arguments = parse_arguments()
    for cell in cells(arguments):
        found = any(row["cell"] == cell for row in rows_of(arguments.results))
        print(time.strftime("%H:%M:%S"), "done   " if found else "missing", json.dumps(cell), flush=True)
        if found or arguments.list:
            continue
        with tempfile.TemporaryDirectory() as name:
            kept = (
                arguments.runs / ", ".join(f"{key}={value}" for key, value in cell.items()) if arguments.runs else None
            )
            row = run(cell, arguments, kept or Path(name))
        add_row(arguments.results, row)


if __name__ == "__main__":
    main()
