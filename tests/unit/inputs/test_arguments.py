"""Arguments of a fine-tune become a configuration that files alone can serve again."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms

from equisparse.config.finetune import FinetuneConfig
from equisparse.config.keywords import FinetuneOptions
from equisparse.data.read import read_frames
from equisparse.errors import InputError
from equisparse.inputs.arguments import configuration, store_frames
from equisparse.methods.base import AbstractMethod
from equisparse.methods.lowrank import LowRank
from equisparse.tasks.ensemble import ensemble
from equisparse.tasks.finetune import finetune

ARGUMENTS = {"train", "valid", "test", "replay", "base", "method", "out"}
"""Fields of the configuration that are arguments of their own."""


def config_of(parts: dict[str, Any], method: str | AbstractMethod | None = None, **options: Any) -> FinetuneConfig:
    """Configuration of a fine-tune of some frames."""
    every = {"train": None, "valid": None, "test": None, "replay": None} | parts
    return store_frames(configuration(FinetuneConfig, every, "7net-0", method, options), every)


def structure(energy: float) -> Atoms:
    """A molecule with labels in other units under other names."""
    atoms = Atoms("CO", [[0, 0, 0], [0, 0, 1.1]], info={"total": energy, "config_type": "gas", "tensor": {"a": 1}})
    atoms.arrays["gradient"] = np.full((2, 3), energy)
    atoms.set_constraint(FixAtoms([1]))
    return atoms


def test_keyword_arguments_are_the_fields_of_the_configuration() -> None:
    fields, options = get_type_hints(FinetuneConfig), get_type_hints(FinetuneOptions)
    assert options == {name: hint for name, hint in fields.items() if name not in ARGUMENTS}


@pytest.mark.parametrize("function", [finetune, ensemble])
def test_help_shows_every_option_with_its_default(function: Callable[..., Any]) -> None:
    shown = signature(function).parameters
    assert set(get_type_hints(FinetuneOptions)) <= set(shown)
    assert shown["force_weight"].default == FinetuneConfig.force_weight
    assert not [parameter for parameter in shown.values() if parameter.kind is parameter.VAR_KEYWORD]


def test_files_stay_files() -> None:
    config = config_of({"train": ["a.xyz", Path("b.xyz")], "test": "demo:test"}, epochs=3, energy_key="total")
    assert (config.train, config.valid, config.test) == (["a.xyz", "b.xyz"], None, ["demo:test"])
    assert (config.epochs, config.energy_key) == (3, "total")


def test_frames_in_memory_are_written_to_the_folder_of_the_run(tmp_path: Path) -> None:
    keys = {"energy_key": "total", "forces_key": "gradient", "energy_unit": "kcal/mol", "length_unit": "Bohr"}
    config = config_of({"train": [structure(1.0), structure(-2.0)]}, out=str(tmp_path), **keys)
    assert config.train == [str(tmp_path / "frames" / "train.extxyz")]
    assert (config.energy_key, config.energy_unit, config.length_unit) == (None, "eV", "Angstrom")
    first, second = read_frames(config.train, config.keys, config.units)
    assert second.energy == pytest.approx(-2 * 0.0433641, rel=1e-6)
    assert second.forces == pytest.approx(np.full((2, 3), -2 * 0.0433641 / 0.5291772), rel=1e-6)
    assert first.stress is None
    assert first.fixed.tolist() == [False, True]
    assert first.atoms.info == {"config_type": "gas"}


def test_labelled_frames_are_the_same_afterwards(tmp_path: Path) -> None:
    frames = read_frames("demo:test")[:3]
    config = config_of({"train": frames, "test": "demo:valid"}, out=str(tmp_path))
    assert config.test == [str(tmp_path / "frames" / "test.extxyz")], "all parts have the same names of labels"
    for before, after in zip(frames, read_frames(config.train, config.keys, config.units), strict=True):
        assert before.energy == after.energy
        assert before.forces is not None
        np.testing.assert_allclose(after.forces, before.forces, rtol=0, atol=1e-8)
        np.testing.assert_allclose(after.positions, before.positions, rtol=0, atol=1e-8)


def test_spins_and_moments_are_the_same_afterwards(tmp_path: Path) -> None:
    config = config_of({"train": "demo-spin:test"}, spin=True)
    frames = read_frames("demo-spin:test", config.keys)[:4]
    stored = config_of({"train": frames}, spin=True, out=str(tmp_path))
    for before, after in zip(frames, read_frames(stored.train, stored.keys), strict=True):
        assert before.spins is not None
        np.testing.assert_allclose(after.spins, before.spins, atol=1e-8)
        np.testing.assert_allclose(after.moments, before.moments, atol=1e-8)


def test_structures_to_replay_need_no_labels(tmp_path: Path) -> None:
    config = config_of({"train": "demo", "replay": Atoms("CO", [[0, 0, 0], [0, 0, 1]])}, out=str(tmp_path))
    assert config.train == ["demo"]
    assert len(read_frames(config.replay or [])) == 1


def test_a_method_becomes_its_name_and_options() -> None:
    config = config_of({"train": "demo"}, LowRank(rank=4))
    assert config.method == "lowrank"
    assert config.method_options == LowRank(rank=4).options()


def test_a_method_has_all_its_options(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="changed"):
        config_of({"train": "demo"}, LowRank(rank=4), changed=0.1)


def test_a_method_has_to_be_registered() -> None:
    class Other(LowRank):
        """Nobody knows it."""

    with pytest.raises(InputError, match="register_method"):
        config_of({"train": "demo"}, Other(rank=4))


@pytest.mark.parametrize("frames", [[], ["a.xyz", Atoms("H")], [3]])
def test_other_things_are_no_frames(frames: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Frames are missing or of different kinds"):
        config_of({"train": frames}, out=str(tmp_path))
