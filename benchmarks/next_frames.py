"""Compare frames that ``equisparse select`` chooses with random ones: force errors after training on either.

The pool must be labelled. For every seed, an ensemble is trained on the first frames, frames are chosen from the pool,
and one model is trained on the first frames with the selected ones, and one with as many random ones.

    python benchmarks/next_frames.py POOL --train FRAMES --test FRAMES --n 50 --seeds 3 --out FOLDER
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import equisparse
from equisparse import LabelledFrame

_ERROR = "force_mae_mev_per_ang"


@dataclass(frozen=True)
class Setting:
    """Base, epochs and sizes of a comparison."""

    base: str
    epochs: int
    members: int
    n: int
    batch_size: int


def main() -> None:
    """Read the arguments, compare, and print one line per seed and the mean ratio."""
    arguments = _arguments()
    setting = Setting(arguments.base, arguments.epochs, arguments.members, arguments.n, arguments.batch_size)
    train, pool, test = (
        equisparse.read_frames(name)[:most]
        for name, most in (
            (arguments.train, arguments.first),
            (arguments.pool, arguments.pool_frames),
            (arguments.test, arguments.test_frames),
        )
    )
    rows = []
    for seed in range(arguments.seeds):
        rows.append(compare(train, pool, test, setting, seed, Path(arguments.out) / f"seed{seed}"))
        print(json.dumps(rows[-1]), flush=True)
    ratios = [row["selected"] / row["random"] for row in rows]
    print(f"selected / random: {np.mean(ratios):.3f} ({', '.join(f'{ratio:.3f}' for ratio in ratios)})")


def compare(
    train: list[LabelledFrame],
    pool: list[LabelledFrame],
    test: list[LabelledFrame],
    setting: Setting,
    seed: int,
    out: Path,
) -> dict[str, float]:
    """Force error on the test frames after adding selected, and random, frames."""
    order = np.random.default_rng(seed).permutation(len(train))
    cut = max(2, len(train) // 5)
    valid, first = [train[i] for i in order[:cut]], [train[i] for i in order[cut:]]
    equisparse.ensemble(
        first,
        valid=valid,
        base=setting.base,
        members=setting.members,
        out=out / "ensemble",
        epochs=setting.epochs,
        batch_size=setting.batch_size,
        seed=seed,
    )
    chosen = [
        row.index for row in equisparse.select_frames(pool, out / "ensemble", n=setting.n, out=out / "selected.extxyz")
    ]
    others = np.random.default_rng(seed).permutation(len(pool))[: len(chosen)].tolist()
    errors = {}
    for name, indices in (("selected", chosen), ("random", others)):
        frames = [*first, *(pool[index] for index in indices)]
        run = equisparse.finetune(
            frames,
            valid=valid,
            test=test,
            base=setting.base,
            out=out / name,
            report=False,
            epochs=setting.epochs,
            batch_size=setting.batch_size,
            seed=seed,
        )
        errors[name] = float(run.metrics.final["test"][_ERROR] or np.nan)
    return errors | {"seed": seed, "frames": len(chosen)}


def _arguments() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool")
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--first", type=int, default=50, help="training and validation frames at the start")
    parser.add_argument("--pool-frames", type=int, default=1000)
    parser.add_argument("--test-frames", type=int, default=1000)
    for name, default in (("epochs", 30), ("members", 3), ("n", 50), ("seeds", 3), ("batch-size", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


if __name__ == "__main__":
    main()
