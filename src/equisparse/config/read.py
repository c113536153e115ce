"""Configurations as YAML files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import yaml

from equisparse.config.finetune import FinetuneConfig
from equisparse.config.upgrade import upgraded
from equisparse.errors import InputError
from equisparse.options import nearest, options_of, takes_numbers

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
        values = yaml.safe_load(Path(path).read_text())
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
    for name in values:
        if name not in known:
            near = nearest(name, list(known))
            raise InputError(
                "The configuration has an unknown key.",
                given=name,
                expected="an option of equisparse finetune",
                next_step=f"use {near}" if near else "see equisparse finetune --help",
            )
    if not values.get("train"):
        raise InputError(
            "There are no training frames.",
            expected="files or globs, or a packaged set such as demo",
            next_step="give them after the command: equisparse finetune FRAMES...",
        )
    typed = {name: _as_number(value) if takes_numbers(known[name].kind) else value for name, value in values.items()}
    return kind(**typed)  # type: ignore[arg-type]


def _as_number(value: object) -> object:
    """The number that a text such as ``1e-3`` means, also within a mapping; any other value unchanged."""
    if isinstance(value, dict):
        return {name: _as_number(inner) for name, inner in value.items()}
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value
