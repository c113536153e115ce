"""Options of loading a base from Python: mistyped names and values are refused with a suggestion."""

from typing import Any

import pytest

import equisparse
from equisparse.errors import EquisparseError
from equisparse.inputs.base import loaded_base

BASE: Any = "7net-0"


@pytest.mark.parametrize(
    ("base", "options", "message"),
    [
        (BASE, {"devcie": "cpu"}, "use device"),
        (BASE, {"precision": "float64"}, "backbone, device, dtype, modality, sha256"),
        (BASE, {"dtype": "float16"}, "float32 or float64"),
        (BASE, {"backbone": "SevenNet7"}, "use sevennet"),
        (None, {}, "no base model"),
        (3, {}, "no base model"),
        ([BASE], {}, "no base model"),
    ],
)
def test_they_are_refused(base: Any, options: Any, message: str) -> None:
    with pytest.raises(EquisparseError, match=message):
        loaded_base(base, options)


def test_they_are_refused_for_calculators_and_errors_too() -> None:
    wrong: Any = {"modalty": "PBE"}
    with pytest.raises(EquisparseError, match="use modality"):
        equisparse.calculator(BASE, **wrong)
    with pytest.raises(EquisparseError, match="use modality"):
        equisparse.evaluate("demo", BASE, **wrong)
