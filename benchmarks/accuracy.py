"""Accuracy of one method on one data set, one seed; resumable, one JSON line a cell.

    python benchmarks/accuracy.py --folder ../shared/data/rmd17/ethanol --name ethanol --method sparse
    python benchmarks/accuracy.py --folder ../shared/data/rmd17/ethanol --name ethanol --changed 0.03

The folder holds ``train``, ``valid`` and ``test`` as ``.xyz.gz`` (`sets.py` makes such folders), and may hold further
tests with names that begin with ``test_``. A cell that is in the results already is skipped.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rows import add_row, rows_of
from sets import digest_of

from equisparse.adapters.adapter import Adapter, count_changes
from equisparse.adapters.file import save_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import load_backbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.frames import LabelledFrame
from equisparse.data.read import read_frames
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.errors import errors_of
from equisparse.inference.predict import evaluate
from equisparse.inputs.method import configured_method
from equisparse.inputs.splits import read_splits, small_pieces
from equisparse.methods.base import AbstractMethod
from equisparse.run.metrics import versions
from equisparse.tasks.stages import fit_references, train_adapter
from equisparse.training.fit import FitResult
from equisparse.training.options import TrainingOptions

RESULTS = Path(__file__).parent / "results" / "accuracy.jsonl"


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line, or the same words given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True, help="data set, as it appears in the results")
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--method")
    parser.add_argument("--options", type=json.loads, default=None, help="method options as JSON")
    parser.add_argument("--regime", default="L")
    parser.add_argument("--changed", type=float)
    parser.add_argument("--budget")
    parser.add_argument("--targets", nargs="+")
    parser.add_argument("--optimizer", default=TrainingOptions.optimizer)
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


def config_of(arguments: argparse.Namespace, folder: Path, n_train: int) -> FinetuneConfig:
    """Configuration of the run."""
    steps_per_epoch = -(-n_train // arguments.batch_size)
    return FinetuneConfig(
        train=[str(arguments.folder / "train.xyz.gz")],
        valid=[str(arguments.folder / "valid.xyz.gz")],
        test=[str(arguments.folder / "test.xyz.gz")],
        base=arguments.base,
        method=arguments.method,
        method_options=arguments.options,
        regime=arguments.regime,
        changed=arguments.changed,
        budget=arguments.budget,
        targets=arguments.targets,
        optimizer=arguments.optimizer,
        lr=arguments.lr,
        epochs=-(-arguments.steps // steps_per_epoch),
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        device=arguments.device,
        out=str(folder),
    )


class Trained(NamedTuple):
    """A fine-tune of one cell, not judged on test frames yet."""

    backbone: AbstractBackbone
    method: AbstractMethod
    options: TrainingOptions
    shifts: dict[int, float]
    test: list[LabelledFrame]
    adapter: Adapter
    fitted: FitResult


def train(arguments: argparse.Namespace, folder: Path) -> Trained:
    """Fine-tune one cell."""
    splits = read_splits(config_of(arguments, folder, 1))
    del splits.train[arguments.train_frames or len(splits.train) :]
    config = config_of(arguments, folder, len(splits.train))
    backbone = load_backbone(config.base, device=config.device)
    backbone.accelerate(small_pieces(splits.train))
    frames = FrameDataset(backbone, splits.train, {})
    shifts = fit_references(backbone, splits, evaluate(backbone, frames)).shifts
    datasets = {"train": frames.with_shifts(shifts), "valid": FrameDataset(backbone, splits.valid, shifts)}
    method, layout = configured_method(config, backbone.layout())
    options = config.training.resolved(len(frames), method.learning_rate)
    trained = train_adapter(backbone, method, layout, datasets, options, folder)
    return Trained(backbone, method, options, shifts, splits.test[:: arguments.test_stride], *trained)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune and evaluate one cell."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backbone, method, options, shifts, frames, adapter, fitted = train(arguments, folder)
        test = FrameDataset(backbone, frames, shifts)
        refit = errors_of(evaluate(backbone, test), test)
        with adapter.applied(backbone.model):
            final = errors_of(evaluate(backbone, test, batch_size=25), test)
            others = other_tests(backbone, arguments.folder, shifts)
        changes = count_changes(adapter, backbone.model)
        cell = cell_of(arguments)
        kept = (arguments.keep or folder) / adapter_name(cell)
        kept.parent.mkdir(parents=True, exist_ok=True)
        return {
            "cell": cell,
            "data": digest_of(arguments.folder),
            "resolved": {
                "method": method.name,
                "options": method.options(),
                "lr": options.lr,
                "epochs": options.epochs,
            },
            "valid_loss": fitted.best_criterion,
            "refit_test": refit,
            "test": final,
            "other_tests": others,
            "changed_fraction_model": changes.of_model,
            "changed_count": changes.count,
            "stored_values": adapter.stored_values,
            "adapter_bytes": save_adapter(adapter, kept),
            "steps": fitted.steps,
            "seconds": round(fitted.seconds, 1),
            "threads": torch.get_num_threads(),
            "versions": versions(backbone),
        }


def other_tests(
    backbone: AbstractBackbone, folder: Path, shifts: dict[int, float]
) -> dict[str, dict[str, float | None]]:
    """Errors of the present weights on the further tests of a folder, by what their names add to ``test_``."""
    return {
        path.name.removesuffix(".xyz.gz").removeprefix("test_"): metrics_of(backbone, path, shifts)
        for path in sorted(folder.glob("test_*.xyz.gz"))
    }


def metrics_of(backbone: AbstractBackbone, path: Path, shifts: dict[int, float]) -> dict[str, float | None]:
    """Errors of the present weights on the frames of a file."""
    frames = FrameDataset(backbone, read_frames([str(path)]), shifts)
    return errors_of(evaluate(backbone, frames, batch_size=25), frames)


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
