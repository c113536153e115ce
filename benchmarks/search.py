"""Search a method's learning rate and options on the validation frames; resumable, on many machines at once.

    python benchmarks/search.py --folder ../shared/data/rmd17/ethanol --name ethanol --method elora --trials 8 \
        --option rank=4,8,16,32

Every trial is a whole fine-tune. Trials are kept in a file, or in a database that several machines share
(``--storage postgresql://...``); each machine that runs this command takes part in the same study. All methods get the
same number of trials. Test frames are not read.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from equisparse.backbones.registry import load_backbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.training.dataset import FrameDataset
from equisparse.training.options import TrainingOptions
from equisparse.training.predict import evaluate
from equisparse.workflow.inputs import choose_method, read_splits, small_pieces
from equisparse.workflow.stages import fit_references, train_adapter

STUDIES = Path(__file__).parent / "results" / "studies.journal"
FIRST_FACTORS = (1.0, 3.0, 1 / 3)
"""Learning rates tried first, as multiples of the method's default."""


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True, help="data set, as it appears in the study's name")
    parser.add_argument("--base", default="7net-0")
    parser.add_argument("--method", default="sparse")
    parser.add_argument("--changed", type=float)
    parser.add_argument("--optimizer", default=TrainingOptions.optimizer)
    parser.add_argument("--span", type=float, default=5.0, help="learning rates from default / SPAN to default * SPAN")
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE,VALUE,... of the method")
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps of a trial")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--train-frames", type=int)
    parser.add_argument("--trials", type=int, default=6, help="of the whole study, on all machines")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--storage", help="URL of a database; a file beside the results by default")
    return parser.parse_args()


def main() -> None:
    """Add trials until the study has as many as asked for, and print the best."""
    arguments = parse_arguments()
    study = optuna.create_study(
        study_name=" ".join(
            str(part)
            for part in (
                arguments.name,
                Path(arguments.base).name,
                arguments.method,
                arguments.changed,
                arguments.optimizer,
                arguments.steps,
            )
            if part is not None
        ),
        storage=storage_of(arguments.storage),
        sampler=optuna.samplers.GPSampler(seed=arguments.seed, n_startup_trials=len(FIRST_FACTORS)),
        load_if_exists=True,
    )
    if not study.get_trials(deepcopy=False):
        for factor in FIRST_FACTORS:
            study.enqueue_trial({"lr_factor": factor})
    while len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < arguments.trials:
        study.optimize(lambda trial: objective(trial, arguments), n_trials=1)
    print(
        json.dumps(
            {
                "study": study.study_name,
                "valid_loss": study.best_value,
                **study.best_trial.user_attrs,
                **study.best_params,
            }
        )
    )


def storage_of(url: str | None) -> str | BaseStorage:
    """The database of a URL, or the file of this repository."""
    if url is not None:
        return url
    STUDIES.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(STUDIES)))


def objective(trial: optuna.Trial, arguments: argparse.Namespace) -> float:
    """Best validation loss of one fine-tune."""
    options = {}
    for wish in arguments.option:
        name, _, values = wish.partition("=")
        options[name] = trial.suggest_categorical(name, [json.loads(value) for value in values.split(",")])
    factor = trial.suggest_float("lr_factor", 1 / arguments.span, arguments.span, log=True)
    with tempfile.TemporaryDirectory() as name:
        config = FinetuneConfig(
            train=[str(arguments.folder / "train.xyz.gz")],
            valid=[str(arguments.folder / "valid.xyz.gz")],
            base=arguments.base,
            method=arguments.method,
            method_options=options,
            changed=arguments.changed,
            optimizer=arguments.optimizer,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            device=arguments.device,
            out=name,
        )
        splits = read_splits(config)
        del splits.train[arguments.train_frames or len(splits.train) :]
        epochs = -(-arguments.steps // config.training.steps_per_epoch(len(splits.train)))
        backbone = load_backbone(config.base, device=config.device)
        backbone.accelerate(small_pieces(splits.train))
        train = FrameDataset(backbone, splits.train, {})
        shifts = fit_references(backbone, splits, evaluate(backbone, train)).shifts
        datasets = {"train": train.with_shifts(shifts), "valid": FrameDataset(backbone, splits.valid, shifts)}
        method, layout = choose_method(config, backbone.layout())
        options = replace(config.training.resolved(len(train), factor * method.learning_rate), epochs=epochs)
        trial.set_user_attr("lr", options.lr)
        _, fitted = train_adapter(backbone, method, layout, datasets, options, Path(name))
        return fitted.best_criterion


if __name__ == "__main__":
    main()
