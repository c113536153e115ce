"""Databases with rows without labels, without rows, and frames that no batch may hold: counted, told or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.db
import pytest
from ase import Atoms

import equisparse
from equisparse.errors import DataError, InputError
from equisparse.tasks.listener import Listener

pytest.importorskip("ase_db_backends")


def database(path: Path, frames: list[Atoms], labelled: Callable[[int], bool]) -> str:
    """Write frames to an aselmdb file, some of them with an energy."""
    with ase.db.connect(path) as rows:
        for index, atoms in enumerate(frames):
            row = Atoms(atoms.numbers, positions=atoms.positions)
            energy = {"REF_energy": atoms.info["REF_energy"]} if labelled(index) else {}
            rows.write(row, **energy)
    return str(path)


def test_rows_without_labels_are_told_and_the_others_count(frames: list[Atoms], tmp_path: Path) -> None:
    texts: dict[str, str] = {}

    class Notices(Listener):
        def notice(self, topic: str, text: str) -> None:
            texts[topic] = text

    mixed = database(tmp_path / "mixed.aselmdb", frames, lambda index: index % 3 > 0)
    known = database(tmp_path / "known.aselmdb", [f for i, f in enumerate(frames) if i % 3], lambda _: True)
    errors = equisparse.evaluate(mixed, "toy-1", listener=Notices())
    assert texts["labels"].startswith("12 frames: energy 8 as REF_energy, forces 0")
    assert errors["energy_mae_mev_per_atom"] == pytest.approx(
        equisparse.evaluate(known, "toy-1")["energy_mae_mev_per_atom"]
    )
    with pytest.raises(DataError, match="None of the 12 frames has a label"):
        equisparse.evaluate(database(tmp_path / "none.aselmdb", frames, lambda _: False), "toy-1")


def test_a_database_without_rows_is_refused_also_beside_others(frames: list[Atoms], tmp_path: Path) -> None:
    empty = database(tmp_path / "empty.aselmdb", [], lambda _: True)
    whole = database(tmp_path / "whole.aselmdb", frames, lambda _: True)
    with pytest.raises(DataError, match="has no frames"):
        equisparse.evaluate([whole, empty], "toy-1")


def test_a_frame_that_no_batch_may_hold_is_refused_before_the_training(
    frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="more atoms than a batch may have"):
        equisparse.finetune(frames, valid=valid, **options | {"max_atoms": 2})
    assert not (options["out"] / "adapter.safetensors").exists()
