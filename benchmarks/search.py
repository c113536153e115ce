"""Search a method's learning rate and options on the validation frames; resumable, on many machines at once.

    python benchmarks/search.py --folder build/sets/ethanol --name ethanol --method elora --option rank=16,32,64
    python benchmarks/search.py --folder build/sets/mo --name mo --method sparse --target default --target all

Every trial is a whole fine-tune; what is not an option of this command is one of `accuracy.py`. The first trials are a
grid about the defaults, further ones are up to Optuna. Trials are kept in a file, or in a database that several
machines share (``--storage postgresql://...``); each machine that runs this command takes part in the same study. All
methods get the same number of trials. Test frames are not judged.
"""

import argparse
import itertools
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from accuracy import cell_of, method_of, parse_arguments, train
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sets import digest_of

import equisparse

STUDIES = Path(__file__).parent / "results" / "studies.journal"
FIRST_FACTORS = (1.0, 2.0)
"""Learning rates tried first, as multiples of the method's default."""
DEFAULT = "default"
"""In place of a target: the targets of the method."""


def parse_wishes() -> tuple[argparse.Namespace, list[str]]:
    """Options of this command, and the words that are for `accuracy.py`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--span", type=float, default=4.0, help="learning rates from default / SPAN to default * SPAN")
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE,VALUE,... of the method")
    parser.add_argument("--target", action="append", default=[], help="targets to choose among, one an option")
    parser.add_argument("--trials", type=int, default=5, help="of the whole study, on all machines")
    parser.add_argument("--storage", help="URL of a database; a file beside the results by default")
    return parser.parse_known_args()


def study_name(wishes: argparse.Namespace, words: Sequence[str]) -> str:
    """Everything that the trials of a study share."""
    arguments = parse_arguments(words)
    fixed = cell_of(arguments) | {"data": digest_of(arguments.folder), "span": wishes.span}
    free = {name: "|".join(map(str, values)) for name, values in choices(wishes).items()}
    named = {key: value for key, value in fixed.items() if key != "lr" and value is not None}
    return " ".join(f"{key}={value}" for key, value in (named | free).items())


def main() -> None:
    """Add trials until the study has as many as asked for, and print the best."""
    wishes, words = parse_wishes()
    first = first_trials(choices(wishes))
    study = optuna.create_study(
        study_name=study_name(wishes, words),
        storage=storage_of(wishes.storage),
        sampler=optuna.samplers.GPSampler(seed=parse_arguments(words).seed, n_startup_trials=len(first)),
        load_if_exists=True,
    )
    if not study.get_trials(deepcopy=False):
        for trial in first:
            study.enqueue_trial(trial)
    while len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < wishes.trials:
        study.optimize(lambda trial: objective(trial, wishes, words), n_trials=1)
    best = {"valid_loss": study.best_value, **study.best_trial.user_attrs, **study.best_params}
    print(json.dumps({"study": study.study_name, **best}))


def choices(wishes: argparse.Namespace) -> dict[str, list[Any]]:
    """What a trial chooses among: values of options of the method, and the targets."""
    found = dict(map(option_values, wishes.option))
    return found | ({"targets": wishes.target} if wishes.target else {})


def first_trials(choices: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of the choices, at one learning rate after the other."""
    grid = itertools.product(FIRST_FACTORS, *choices.values())
    return [dict(zip(("lr_factor", *choices), values, strict=True)) for values in grid]


def storage_of(url: str | None) -> str | BaseStorage:
    """The database of a URL, or the file of this repository."""
    if url is not None:
        return url
    STUDIES.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(STUDIES)))


def objective(trial: optuna.Trial, wishes: argparse.Namespace, words: Sequence[str]) -> float:
    """Best validation loss of one fine-tune."""
    arguments = parse_arguments(words)
    chosen = {name: trial.suggest_categorical(name, values) for name, values in choices(wishes).items()}
    if (target := chosen.pop("targets", DEFAULT)) != DEFAULT:
        arguments.targets = [target]
    arguments.options = (arguments.options or {}) | chosen
    factor = trial.suggest_float("lr_factor", 1 / wishes.span, wishes.span, log=True)
    backbone = equisparse.load_backbone(arguments.base, device=arguments.device)
    arguments.lr = factor * default_lr(arguments, backbone)
    trial.set_user_attr("lr", arguments.lr)
    with tempfile.TemporaryDirectory() as name:
        loss = train(arguments, Path(name), backbone).metrics.valid_loss
    return math.inf if loss is None else loss


def option_values(wish: str) -> tuple[str, list[Any]]:
    """Name and values of ``NAME=VALUE,VALUE,...``."""
    name, _, values = wish.partition("=")
    return name, [json.loads(value) for value in values.split(",")]


def default_lr(arguments: argparse.Namespace, backbone: equisparse.AbstractBackbone) -> float:
    """Learning rate of the method that the arguments choose."""
    config = equisparse.FinetuneConfig(train=[], **method_of(arguments))
    method, _ = equisparse.configured_method(config, backbone.layout())
    return method.learning_rate


if __name__ == "__main__":
    main()
