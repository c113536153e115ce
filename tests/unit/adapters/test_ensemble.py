"""The file of an ensemble: what is written is read, and nothing in it is believed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.ensemble_file import ENSEMBLE, Ensemble, Scales, read_ensemble, write_ensemble
from equisparse.adapters.file import ADAPTER, save_adapter
from equisparse.errors import AdapterError, AdapterMismatchError

SCALES = Scales(1.5, 2.5, 1.0)


@pytest.fixture
def folder(planted: Adapter, tmp_path: Path) -> Path:
    for name in ("member-0", "member-1"):
        (tmp_path / name).mkdir()
        save_adapter(planted, tmp_path / name / ADAPTER)
    write_ensemble(tmp_path, ["member-0", "member-1"], SCALES, {"fitted_on": "valid"})
    return tmp_path


def test_round_trip(folder: Path, planted: Adapter) -> None:
    found = read_ensemble(folder)
    assert (found.scales, found.numbers) == (SCALES, {"fitted_on": "valid"})
    assert list(found.adapters) == ["member-0", "member-1"]
    assert found.adapters["member-1"].shifts == planted.shifts


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "newer": lambda values: values.update(version=2),
    "no version": lambda values: values.pop("version"),
    "version is true": lambda values: values.update(version=True),
    "no members": lambda values: values.pop("members"),
    "members are a number": lambda values: values.update(members=3),
    "member elsewhere": lambda values: values.update(members={"../member-0": "", "member-1": ""}),
    "control characters": lambda values: values.update(members={"\x1b[2J": "", "member-1": ""}),
    "scale is text": lambda values: values["scales"].update(forces="2"),
    "scale is nothing": lambda values: values["scales"].update(forces=0),
    "scale is negative": lambda values: values["scales"].update(forces=-1.0),
    "scale is not a number": lambda values: values["scales"].update(forces=float("nan")),
    "unknown scale": lambda values: values["scales"].update(charge=1.0),
    "numbers are a list": lambda values: values.update(numbers=[1]),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_entries_are_refused(what: str, folder: Path) -> None:
    values = json.loads((folder / ENSEMBLE).read_text())
    WRONG[what](values)
    (folder / ENSEMBLE).write_text(json.dumps(values))
    with pytest.raises(AdapterError, match="damaged or too new"):
        read_ensemble(folder)


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_damaged_files_are_refused(contents: bytes, folder: Path) -> None:
    (folder / ENSEMBLE).write_bytes(contents)
    with pytest.raises(AdapterError, match="damaged or too new"):
        read_ensemble(folder)


def test_a_member_that_is_gone_or_replaced_is_refused(folder: Path, planted: Adapter) -> None:
    save_adapter(replace(planted, metrics={"seed": 5}), folder / "member-0" / ADAPTER)
    with pytest.raises(AdapterError, match="has changed since the calibration"):
        read_ensemble(folder)
    (folder / "member-0" / ADAPTER).unlink()
    with pytest.raises(AdapterError, match="no such adapter file"):
        read_ensemble(folder)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"elements": (8,)}, "different elements"),
        ({"dtype": "float64"}, "another dtype"),
        ({"modality": "PBE"}, "another modality"),
        ({"base": {"source": "x", "sha256": "0" * 64}}, "another base"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_members_that_do_not_belong_together_are_refused(planted: Adapter, other: dict[str, Any], message: str) -> None:
    with pytest.raises(AdapterMismatchError, match=message):
        Ensemble({"a": planted, "b": replace(planted, **other)})
