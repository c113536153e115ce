"""Configurations as YAML files."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import yaml

from equisparse.config.finetune import FinetuneConfig
from equisparse.config.upgrade import upgraded
from equisparse.errors import InputError
from equisparse.options import nearest, options_of, takes_numbers, takes_whole_numbers

Config = TypeVar("Config", bound=FinetuneConfig)

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""Numbers such as ``1e-3``, which YAML 1.1 reads as text."""


def read_config(path: str | Path) -> FinetuneConfig:
    """Read the configuration of a fine-tune from a YAML file.

    Raises
    ------
    InputError
        If the file cannot be read, has an unknown key, or a value cannot be used.
    """
    return make_config(FinetuneConfig, read_values(path))


def read_values(path: str | Path) -> dict[str, object]:
    """Read the values of a YAML file; names and values of earlier versions are translated.

    Raises
    ------
    InputError
        If the file cannot be read, or does not contain a mapping.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            "The configuration cannot be read.",
            given=str(path),
            expected="a YAML file of options, such as the config.yaml of a run",
            cause=str(error),
            next_step="correct the path or the file",
        ) from error
    if not isinstance(values, dict):
        raise InputError(
            "The configuration cannot be read.",
            given=f"{path} with {type(values).__name__}",
            expected="lines such as: epochs: 100",
        )
    return upgraded({str(name): value for name, value in values.items()})


def make_config(kind: type[Config], values: Mapping[str, object]) -> Config:
    """Make a configuration from plain values.

    Raises
    ------
    InputError
        If a name is unknown, or a value is missing or cannot be used.
    """
    known = options_of(kind)
    check_names(kind, values, "The configuration has an unknown key.")
    if not values.get("train"):
        raise InputError(
            "There are no training frames.",
            expected="files or globs, or a packaged set such as demo",
            next_step="give them after the command: equisparse finetune FRAMES...",
        )
    typed = {name: _typed(known[name].kind, value) for name, value in values.items()}
    return kind(**typed)  # type: ignore[arg-type]


def check_names(kind: type[FinetuneConfig], names: Iterable[str], problem: str) -> None:
    """Check that all names are options of a configuration.

    Raises
    ------
    InputError
        If one is not; the message starts with `problem` and suggests the option that was meant.
    """
    known = list(options_of(kind))
    for name in names:
        if name not in known:
            near = nearest(name.replace("-", "_"), known)
            raise InputError(
                problem,
                given=name,
                expected="an option of equisparse finetune",
                next_step=f"use {near}" if near else "see equisparse finetune --help",
            )


def _typed(kind: object, value: object) -> object:
    """Value in which texts such as ``1e-3`` are numbers, if an option takes numbers."""
    if takes_numbers(kind):
        return _as_number(value)
    if isinstance(value, str) and takes_whole_numbers(kind) and _EXPONENT.fullmatch(value):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


def _as_number(value: object) -> object:
    """The number that a text such as ``1e-3`` means, also within a mapping; any other value unchanged."""
    if isinstance(value, dict):
        return {name: _as_number(inner) for name, inner in value.items()}
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value
