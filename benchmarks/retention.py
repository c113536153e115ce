"""Accuracy on new data against drift from the base elsewhere; resumable, one JSON line a cell.

    python benchmarks/retention.py --folder ../shared/data/rmd17/ethanol --name ethanol --method full
    python benchmarks/retention.py --folder ../shared/data/rmd17/ethanol --name ethanol --replay-weight 0.1

The folder holds ``train`` and ``valid`` as ``.xyz.gz``. Drift is measured on the probe structures to measure on,
replay and anchor learn from the others. Without ``--replay-weight`` there is no replay, without
``--anchor`` no anchor. A cell that is in the results already is skipped.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from equisparse.adapters.adapter import count_changes
from equisparse.backbones.registry import load_backbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.robustness.drift import drift_rows, summary
from equisparse.training.anchor import layer_rows
from equisparse.training.dataset import FrameDataset
from equisparse.training.predict import evaluate
from equisparse.training.replay import replay_of
from equisparse.workflow.inputs import PROBE, choose_method, read_kept, read_splits, small_pieces
from equisparse.workflow.results import versions
from equisparse.workflow.retention import both_predictions
from equisparse.workflow.stages import fit_references, train_adapter

RESULTS = Path(__file__).parent / "results" / "retention.jsonl"


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True, help="data set, as it appears in the results")
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--method")
    parser.add_argument("--changed", type=float)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--anchor", type=float, default=0.0)
    parser.add_argument("--replay-weight", type=float, default=0.0)
    parser.add_argument("--replay-batch-size", type=int, default=8)
    parser.add_argument("--drift-weight", type=float)
    parser.add_argument("--steps", type=int, default=100, help="optimiser steps, rounded up to whole epochs")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def cell_of(arguments: argparse.Namespace) -> dict[str, object]:
    """What identifies a cell: everything that changes its result."""
    left_out = {"folder", "results", "device"}
    named = {key: value for key, value in vars(arguments).items() if key not in left_out}
    return named | {"base": Path(arguments.base).name}


def config_of(arguments: argparse.Namespace, folder: Path, n_train: int) -> FinetuneConfig:
    """Configuration of the run."""
    steps_per_epoch = -(-n_train // arguments.batch_size)
    return FinetuneConfig(
        train=[str(arguments.folder / "train.xyz.gz")],
        valid=[str(arguments.folder / "valid.xyz.gz")],
        base=arguments.base,
        method=arguments.method,
        changed=arguments.changed,
        lr=arguments.lr,
        anchor=arguments.anchor,
        replay=[PROBE],
        replay_weight=arguments.replay_weight,
        replay_batch_size=arguments.replay_batch_size,
        drift_weight=arguments.drift_weight,
        epochs=-(-arguments.steps // steps_per_epoch),
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        device=arguments.device,
        out=str(folder),
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune one cell; judge it on the validation frames, and on the structures to measure on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits = read_splits(config_of(arguments, folder, 1))
        config = config_of(arguments, folder, len(splits.train))
        backbone = load_backbone(config.base, device=config.device)
        backbone.accelerate(small_pieces(splits.train))
        train = FrameDataset(backbone, splits.train, {})
        shifts = fit_references(backbone, splits, evaluate(backbone, train)).shifts
        datasets = {"train": train.with_shifts(shifts), "valid": FrameDataset(backbone, splits.valid, shifts)}
        kept = FrameDataset(backbone, read_kept(config, backbone), {})
        replay = replay_of(backbone, kept.frames, seed=config.seed) if config.replay_weight else None
        method, layout = choose_method(config, backbone.layout())
        options = config.training.resolved(len(train), method.learning_rate)
        layers = layer_rows(backbone.model, layout, lambda: evaluate(backbone, kept)) if options.anchor else None
        adapter, fitted = train_adapter(
            backbone,
            method,
            layout,
            datasets,
            options,
            folder,
            replay=replay,
            layers=layers,
            console=Console(stderr=True),
        )
        with adapter.applied(backbone.model):
            valid = evaluate(backbone, datasets["valid"]).metrics(datasets["valid"])
        structures, base, adapted = both_predictions(backbone, adapter)
        return {
            "cell": cell_of(arguments),
            "resolved": {"method": method.name, "options": method.options(), "lr": options.lr},
            "valid": valid,
            "drift": summary(drift_rows(structures, base, adapted, adapter.elements)),
            "changed_fraction_model": count_changes(adapter, backbone.model).of_model,
            "steps": fitted.steps,
            "seconds": round(fitted.seconds, 1),
            "versions": versions(backbone),
        }


def main() -> None:
    """Run the cell unless it is done."""
    arguments = parse_arguments()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    done = (
        [json.loads(line) for line in arguments.results.read_text().splitlines()] if arguments.results.exists() else []
    )
    cell = json.loads(json.dumps(cell_of(arguments)))
    for row in done:
        if row["cell"] == cell:
            print(json.dumps(row))
            return
    row = run(arguments)
    with arguments.results.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
