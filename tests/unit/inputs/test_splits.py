"""Which frames a configuration names."""

from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk

from equisparse.config.finetune import FinetuneConfig
from equisparse.data.demo import demo_files
from equisparse.data.frames import unlabelled
from equisparse.errors import InputError
from equisparse.inputs.splits import read_splits, small_pieces


def test_a_packaged_set_brings_its_own_splits() -> None:
    splits, files = read_splits(FinetuneConfig(train=["demo"])), demo_files()
    sources = [{Path(frame.source) for frame in frames} for _, frames in splits.items()]
    assert sources == [{files.train}, {files.valid}, {files.test}]


@pytest.mark.parametrize(
    "names", [{"train": ["demo", "mine.xyz"]}, {"train": ["demo"], "valid": ["v.xyz"]}, {"train": ["demo", "demo"]}]
)
def test_a_packaged_set_goes_with_no_other_files(names: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="packaged set"):
        read_splits(FinetuneConfig(**names))


def test_parts_of_packaged_sets_are_files_like_others() -> None:
    splits = read_splits(FinetuneConfig(train=["demo:valid"], valid=["demo:test"]))
    assert [name for name, _ in splits.items()] == ["train", "valid"]


def test_a_model_is_checked_on_frames_with_neighbours() -> None:
    far, crystal = Atoms("O2", [[0, 0, 0], [0, 0, 8]]), bulk("Cu", cubic=True).repeat(2)
    pieces = small_pieces(unlabelled([Atoms("H"), crystal, Atoms("C"), far], "here"), 5.0)
    assert [len(piece) for piece in pieces] == [16]
    assert small_pieces(unlabelled([Atoms("H"), far], "here"), 5.0) == []


def test_pieces_of_a_dense_crystal_have_fewer_atoms_of_all_elements() -> None:
    oxide = bulk("MgO", "rocksalt", a=3.8, cubic=True)
    for atoms in (oxide, oxide[oxide.numbers.argsort()]):
        (piece,) = small_pieces(unlabelled([atoms], "here"), 5.0)
        assert sorted(piece.symbols) == ["Mg", "Mg", "O", "O"]
    (piece,) = small_pieces(unlabelled([bulk("Cu")], "here"), 12.0)
    assert len(piece) == 1
