"""Accuracy of one method on one data set, one seed; resumable, one JSON line a cell.

    python benchmarks/accuracy.py --folder ../shared/data/rmd17/ethanol --name ethanol --method full
    python benchmarks/accuracy.py --folder ../shared/data/rmd17/ethanol --name ethanol --changed 0.03

The folder holds ``train``, ``valid`` and ``test`` as ``.xyz.gz`` (`sets.py` makes such folders), and may hold further
tests with names that begin with ``test_``. A cell that is in the results already is skipped.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rows import add_row, rows_of
from sets import digest_of

import equisparse

RESULTS = Path(__file__).parent / "results" / "accuracy.jsonl"


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line, or the same words given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True, help="data set, as it appears in the results")
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--method")
    parser.add_argument("--options", type=json.loads, default=None, help="method options as JSON")
    parser.add_argument("--regime")
    parser.add_argument("--changed", type=float)
    parser.add_argument("--budget")
    parser.add_argument("--targets", nargs="+")
    parser.add_argument("--optimizer", default=equisparse.TrainingOptions.optimizer)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps, rounded up to whole epochs")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--train-frames", type=int, help="use only the first N training frames")
    parser.add_argument("--test-stride", type=int, default=1, help="use every N-th test frame")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, help="folder that gets the adapter, for robustness.py and the like")
    return parser.parse_args(words)


def cell_of(arguments: argparse.Namespace) -> dict[str, object]:
    """What identifies a cell: everything that changes its result, as it comes back from JSON."""
    left_out = {"folder", "results", "device", "keep"}
    named = {key: value for key, value in vars(arguments).items() if key not in left_out}
    cell: dict[str, object] = json.loads(json.dumps(named | {"base": Path(arguments.base).name}))
    return cell


def adapter_name(cell: Mapping[str, object]) -> str:
    """File name of a cell's adapter: its set, and what is not left at None."""
    parts = [f"{key}={value}" for key, value in cell.items() if key not in ("name", "base") and value is not None]
    return f"{cell['name']}, {', '.join(parts)}.safetensors".replace("/", "_")


def train(arguments: argparse.Namespace, folder: Path, backbone: equisparse.AbstractBackbone) -> equisparse.Run:
    """Fine-tune one cell, and evaluate it on its test frames."""
    train, valid, test = (
        equisparse.read_frames(arguments.folder / f"{part}.xyz.gz") for part in ("train", "valid", "test")
    )
    del train[arguments.train_frames or len(train) :]
    steps_per_epoch = -(-len(train) // arguments.batch_size)
    return equisparse.finetune(
        train,
        valid=valid,
        test=test[:: arguments.test_stride],
        base=backbone,
        out=folder / "run",
        epochs=-(-arguments.steps // steps_per_epoch),
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        optimizer=arguments.optimizer,
        lr=arguments.lr,
        anchor=0.0,
        force=True,  # published splits are taken as they are
        report=False,
        **method_of(arguments),
    )


def method_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options of the fine-tune that choose its method."""
    options = {name: getattr(arguments, name) for name in ("method", "regime", "changed", "budget", "targets")}
    return options | {"method_options": arguments.options}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune and evaluate one cell."""
    backbone = equisparse.load_backbone(arguments.base, device=arguments.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.process_time()
        finished = train(arguments, folder, backbone)
        cpu_seconds = time.process_time() - started
        metrics, adapter, cell = finished.metrics, finished.adapter, cell_of(arguments)
        kept = (arguments.keep or folder) / adapter_name(cell)
        kept.parent.mkdir(parents=True, exist_ok=True)
        return {
            "cell": cell,
            "data": digest_of(arguments.folder),
            "resolved": resolved(finished),
            "valid_loss": metrics.valid_loss,
            "refit_test": metrics.refit["test"],
            "test": metrics.final["test"],
            "other_tests": other_tests(arguments.folder, backbone, adapter),
            "changed_fraction_model": metrics.changed_fraction_model,
            "changed_count": metrics.changed_count,
            "stored_values": metrics.stored_values,
            "adapter_bytes": equisparse.save_adapter(replace(adapter, metrics={}), kept),
            "steps": metrics.steps,
            "seconds": round(metrics.seconds, 1),
            "cpu_seconds": round(cpu_seconds, 1),
            "threads": torch.get_num_threads(),
            "versions": metrics.versions,
        }


def resolved(finished: equisparse.Run) -> dict[str, Any]:
    """Method and options of a run with every default turned into a value."""
    trained_by, config = finished.adapter.trained_by, finished.config
    options = {} if trained_by is None else dict(trained_by.options)
    return {"method": finished.adapter.label, "options": options, "lr": config.lr, "epochs": config.epochs}


def other_tests(
    folder: Path, base: equisparse.AbstractBackbone, adapter: equisparse.Adapter | None
) -> dict[str, dict[str, float | None]]:
    """Errors on the further tests of a folder, by what their names add to ``test_``."""
    return {
        path.name.removesuffix(".xyz.gz").removeprefix("test_"): dict(equisparse.evaluate(path, base, adapter))
        for path in sorted(folder.glob("test_*.xyz.gz"))
    }


def row_of(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Row of a cell, if it is in the results, and of the frames that are in the folder, if there is one."""
    cell, data = cell_of(arguments), digest_of(arguments.folder)
    same = [row for row in rows_of(arguments.results) if row["cell"] == cell and (not data or row["data"] == data)]
    return same[-1] if same else None


def ensure(arguments: argparse.Namespace, run: Callable[[argparse.Namespace], dict[str, Any]] = run) -> dict[str, Any]:
    """Row of a cell; run now unless it is in the results."""
    row = row_of(arguments)
    if row is None:
        row = run(arguments)
        add_row(arguments.results, row)
    return row


def main() -> None:
    """Run the cell unless it is done."""
    ensure(parse_arguments())


if __name__ == "__main__":
    main()
