"""Compare frames that ``equisparse select`` chooses with random ones: force errors after training on either.

    python benchmarks/next_frames.py --folder build/sets/ethanol --name ethanol --base MACE.model
    python benchmarks/next_frames.py --folder build/sets/acac --name acac --base MACE.model --rare test_600K

For every seed, the frames of the set are shuffled and divided into first frames, test frames and a pool. An ensemble is
trained on the first frames and chooses from the pool; one model is trained on the first and the chosen frames, for each
choice with the same number of frames and steps. With `--rare`, the pool also has a few frames of another file, and the
other frames of that file are a second test. A finished run is not trained again; a row is added for every choice
that is not in the results.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator
from rows import add_row, rows_of

import equisparse
from equisparse import LabelledFrame

RESULTS = Path(__file__).parent / "results" / "next_frames.jsonl"
CHOICES = ("selected", "random", "most uncertain", "farthest")
"""As `select` does with an ensemble; at random; the most uncertain ones; as `select` does with a single run."""
_MEV = 1000.0


@dataclass(frozen=True)
class Parts:
    """Frames of one seed."""

    train: list[LabelledFrame]
    valid: list[LabelledFrame]
    pool: list[LabelledFrame]
    tests: dict[str, list[LabelledFrame]]


def main() -> None:
    """Train what is missing, and add a row for each seed and choice."""
    arguments = _arguments()
    for seed in range(arguments.seeds):
        parts, folder = parts_of(arguments, seed), arguments.runs / arguments.name / f"seed {seed}"
        for choice in arguments.choices:
            cell = _cell(arguments, seed, choice)
            if all(row["cell"] != cell for row in rows_of(arguments.results)):
                indices = chosen(choice, parts, arguments, folder, seed)
                run = trained(parts, indices, arguments, folder / choice, seed)
                add_row(arguments.results, {"cell": cell, **_results(run, parts, indices)})


def parts_of(arguments: argparse.Namespace, seed: int) -> Parts:
    """Frames of a seed: the first ones, a quarter of them for validation; the pool; and the tests."""
    frames = [frame for split in ("train", "valid", "test") for frame in _read(arguments.folder, split)]
    order = np.random.default_rng(100 + seed).permutation(len(frames))
    n_valid, first, test = arguments.first // 4, arguments.first, arguments.first + arguments.test
    pool = sorted(order[test : test + arguments.pool].tolist())
    parts = Parts(
        train=[frames[i] for i in order[: first - n_valid]],
        valid=[frames[i] for i in order[first - n_valid : first]],
        pool=[frames[i] for i in pool],
        tests={"test": [frames[i] for i in order[first:test]]},
    )
    if arguments.rare is not None:
        _add_rare(parts, _read(arguments.folder, arguments.rare), arguments, seed)
    return parts


def _add_rare(parts: Parts, rare: list[LabelledFrame], arguments: argparse.Namespace, seed: int) -> None:
    """Add frames of another file to the pool, and a test of as many others of it as the first test has."""
    order = np.random.default_rng(100 + seed).permutation(len(rare))
    n = arguments.rare_frames
    parts.pool.extend(rare[i] for i in order[:n])
    parts.tests[arguments.rare] = [rare[i] for i in order[n : n + arguments.test]]


def chosen(choice: str, parts: Parts, arguments: argparse.Namespace, folder: Path, seed: int) -> list[int]:
    """Indices of the chosen frames in the pool."""
    if choice == "random":
        drawn: list[int] = np.random.default_rng(1000 * seed).permutation(len(parts.pool))[: arguments.n].tolist()
        return drawn
    source, shortlist = _ensemble(parts, arguments, folder / "ensemble", seed), 5
    if choice == "most uncertain":
        shortlist = 1
    if choice == "farthest":
        source = folder / "ensemble" / "member-0"
    rows = equisparse.select_frames(parts.pool, source, n=arguments.n, shortlist=shortlist)
    return [row.index for row in rows]


def _ensemble(parts: Parts, arguments: argparse.Namespace, folder: Path, seed: int) -> Path:
    """Folder of the ensemble of the first frames, trained unless it is done."""
    if not (folder / "ensemble.json").exists():
        equisparse.ensemble(
            parts.train,
            valid=parts.valid,
            base=arguments.base,
            members=arguments.members,
            out=folder,
            epochs=arguments.ensemble_epochs,
            batch_size=arguments.batch_size,
            seed=10 * seed,
            method="full",
            anchor=0.0,
            force=True,
        )
    return folder


def trained(
    parts: Parts, indices: Iterable[int], arguments: argparse.Namespace, folder: Path, seed: int
) -> equisparse.Run:
    """Fine-tune on the first and the chosen frames, unless it is done."""
    if (folder / "metrics.json").exists():
        return equisparse.read_run(folder)
    return equisparse.finetune(
        [*parts.train, *(parts.pool[index] for index in indices)],
        valid=parts.valid,
        base=arguments.base,
        out=folder,
        report=False,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        seed=seed,
        changed=arguments.changed,
        anchor=0.0,
        force=True,
    )


def _results(run: equisparse.Run, parts: Parts, indices: list[int]) -> dict[str, Any]:
    """Errors on the tests, and what was chosen."""
    calculator = equisparse.calculator(run.config.base, run.adapter)
    return {
        "force_error_mev_per_ang": {name: force_errors(frames, calculator) for name, frames in parts.tests.items()},
        "chosen": indices,
        "pool_frames": len(parts.pool),
        "steps": run.metrics.steps,
        "versions": run.metrics.versions,
    }


def force_errors(frames: list[LabelledFrame], calculator: Calculator) -> dict[str, float]:
    """Mean absolute error, root mean square error, and the 95th percentile and maximum over frames of the first."""
    errors = [_MEV * np.abs(calculator.get_forces(frame.atoms) - np.asarray(frame.forces)) for frame in frames]
    of_frames = [float(error.mean()) for error in errors]
    every = np.concatenate(errors)
    return {
        "mae": float(every.mean()),
        "rmse": float(np.sqrt(np.square(every).mean())),
        "p95": float(np.quantile(of_frames, 0.95)),
        "max": max(of_frames),
    }


def _read(folder: Path, name: str) -> list[LabelledFrame]:
    """Frames of one file of a set."""
    return equisparse.read_frames(folder / f"{name}.xyz.gz")


def _cell(arguments: argparse.Namespace, seed: int, choice: str) -> dict[str, object]:
    """Everything that changes the result of a row."""
    left_out = {"folder", "runs", "results", "seeds", "choices"}
    named = {key: value for key, value in vars(arguments).items() if key not in left_out}
    return named | {"base": Path(arguments.base).name, "seed": seed, "choice": choice}


def _arguments() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True, help="data set, as it appears in the results")
    parser.add_argument("--runs", type=Path, default=Path("build/next_frames"), help="folder that keeps the runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--choices", nargs="+", default=["selected", "random"], choices=CHOICES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--first", type=int, default=40, help="training and validation frames at the start")
    parser.add_argument("--pool", type=int, default=1000, help="largest number of frames of the pool")
    parser.add_argument("--test", type=int, default=250, help="test frames")
    parser.add_argument("--rare", help="file whose frames are rare in the pool")
    parser.add_argument("--rare-frames", type=int, default=100)
    parser.add_argument("--changed", type=float, default=0.03)
    for name, default in (("n", 50), ("members", 3), ("ensemble-epochs", 25), ("epochs", 16), ("batch-size", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


if __name__ == "__main__":
    main()
