"""Do two fine-tunes change the same weights? Supports of the method sparse over seeds and over halves of the data.

    python benchmarks/supports.py --sets build/sets --runs build/supports
    python benchmarks/supports.py --sets build/sets --runs build/supports --only ethanol --base MACE.model

Four runs on each set: two seeds on the same frames, and one seed on each half of these frames, which have no frame in
common. A run of `sparse` ends at 1 % and passes 10 and 3 %; each of these adapters is compared with its counterpart.
`elora`, whose changes have no zeros, shows how much of the agreement of blocks is due to the sparse method. A
finished run is not trained again; a row is added for every pair that is not in the results.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rows import add_row, rows_of

import equisparse
from equisparse.interpret.changes import block_changes
from equisparse.interpret.stability import stability_table

RESULTS = Path(__file__).parent / "results" / "supports.jsonl"
SETS = {"ethanol": (10, 100, 300), "hfo2": (2, 50, 100), "mo": (2, 50, 100)}
"""Set -> batch size, training frames, optimiser steps."""
METHODS: dict[str, dict[str, Any]] = {
    "sparse": {"method": "sparse", "changed": 0.01, "curve": True},
    "elora": {"method": "elora"},
}


class Part(NamedTuple):
    """One run: its seed, and which of the training frames it has."""

    name: str
    seed: int
    frames: slice


PARTS = (
    Part("seed 0", 0, slice(None)),
    Part("seed 1", 1, slice(None)),
    Part("half 1", 0, slice(0, None, 2)),
    Part("half 2", 0, slice(1, None, 2)),
)
MOST = 10.5
"""Percent of the weights; the dense stage of a run of `sparse` has no support to compare."""
PAIRS = (("seed 0", "seed 1"), ("half 1", "half 2"))


def main() -> None:
    """Train what is missing, and compare the adapters pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, default=Path("build/sets"))
    parser.add_argument("--runs", type=Path, default=Path("build/supports"), help="folder that keeps the runs")
    parser.add_argument("--only", nargs="+", default=list(SETS), choices=SETS, help="data sets")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    for name in arguments.only:
        for method in arguments.methods:
            folder = arguments.runs / f"{name}, {Path(arguments.base).name}, {method}"
            runs = {part.name: trained(name, method, part, arguments, folder / part.name) for part in PARTS}
            for row in compared(name, method, runs):
                add_new(arguments.results, row)


def trained(name: str, method: str, part: Part, arguments: argparse.Namespace, folder: Path) -> equisparse.Run:
    """One fine-tune, unless it is done."""
    if (folder / "metrics.json").exists():
        return equisparse.read_run(folder)
    batch_size, count, steps = SETS[name]
    train, valid = (equisparse.read_frames(arguments.sets / name / f"{split}.xyz.gz") for split in ("train", "valid"))
    train = train[:count][part.frames]
    return equisparse.finetune(
        train,
        valid=valid,
        base=arguments.base,
        out=folder,
        epochs=-(-steps // -(-len(train) // batch_size)),
        batch_size=batch_size,
        seed=part.seed,
        device=arguments.device,
        anchor=0.0,
        force=True,  # published splits are taken as they are
        **METHODS[method],
    )


def compared(name: str, method: str, runs: dict[str, equisparse.Run]) -> Iterator[dict[str, Any]]:
    """One row for each pair of runs and each number of changed weights."""
    for first, second in PAIRS:
        stages = [dict(adapters_of(runs[part])) for part in (first, second)]
        for changed in sorted(set(stages[0]) & set(stages[1])):
            adapters = {part: stage[changed] for part, stage in zip((first, second), stages, strict=True)}
            (row,) = stability_table(adapters)
            yield {
                "cell": {
                    "name": name,
                    "base": Path(str(runs[first].config.base)).name,
                    "method": method,
                    "pair": f"{first}, {second}",
                    "changed": changed,
                },
                "jaccard": row.jaccard,
                "jaccard_expected": row.jaccard_expected,
                "jaccard_from_channels": jaccard_from_channels(*adapters.values()),
                "spearman": row.spearman,
                "spearman_null": row.spearman_null,
                "steps": runs[first].metrics.steps,
                "versions": runs[first].metrics.versions,
            }


def adapters_of(run: equisparse.Run) -> Iterator[tuple[float, equisparse.Adapter]]:
    """Adapters of a run with the changed fraction of each, in percent with two digits."""
    files = [run.folder / "adapter.safetensors", *sorted((run.folder / "sparsity").glob("*.safetensors"))]
    for adapter in map(equisparse.load_adapter, files):
        changed = sum(int((change != 0).sum()) for _, change in block_changes(adapter) if change is not None)
        percent = round(100 * changed / adapter.layout.total_parameters, 2)
        if percent <= MOST or len(files) == 1:
            yield percent, adapter


def jaccard_from_channels(first: equisparse.Adapter, second: equisparse.Adapter) -> float:
    """Jaccard index expected if only the numbers of changed entries of each input and output channel are kept.

    Entry (i, j) of a block with r_i changed entries in row i, c_j in column j and n in all is changed with the
    probability min(1, r_i c_j / n).
    """
    both = either = 0.0
    for (_, one), (_, two) in zip(block_changes(first), block_changes(second), strict=True):
        if one is None or two is None:
            either += sum(float((change != 0).sum()) for change in (one, two) if change is not None)
            continue
        supports = [(change != 0).double().flatten(1) for change in (one, two)]
        chances = [
            (support.sum(1, keepdim=True) * support.sum(0) / support.sum().clamp_min(1.0)).clamp_max(1.0)
            for support in supports
        ]
        overlap = float((chances[0] * chances[1]).sum())
        both += overlap
        either += sum(float(chance.sum()) for chance in chances) - overlap
    return both / either if either else float(np.nan)


def add_new(path: Path, row: dict[str, Any]) -> None:
    """Add a row unless its cell is there."""
    if all(other["cell"] != row["cell"] for other in rows_of(path)):
        add_row(path, row)


if __name__ == "__main__":
    main()
