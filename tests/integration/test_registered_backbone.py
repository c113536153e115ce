"""A backbone that another package brings: a tiny network of pair distances, fine-tuned and used by name."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT

import equisparse
from equisparse.backbones import registry
from equisparse.quantities import ENERGY
from equisparse.testing.toy import ToyBackbone


def frames(seeds: range) -> list[Atoms]:
    """Disturbed molecules with the labels of another theory."""
    found = []
    for seed in seeds:
        atoms = molecule(["CH3OH", "H2O", "NH3"][seed % 3])
        atoms.positions += np.random.default_rng(seed).normal(0, 0.05, atoms.positions.shape)
        atoms.calc = EMT()
        atoms.get_forces()
        found.append(atoms)
    return found


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKBONES", dict(registry._BACKBONES))


def test_a_registered_backbone_is_fine_tuned_and_used_by_name(tmp_path: Path) -> None:
    equisparse.register_backbone("toy", ToyBackbone, prefixes=("toy-",), suffixes=(".toy",))
    run = equisparse.finetune(
        frames(range(12)),
        valid=frames(range(20, 26)),
        base="toy-1",
        method=equisparse.Full(),
        targets=["all"],
        out=tmp_path / "run",
        epochs=6,
        batch_size=4,
        anchor=0.0,
        force=True,
    )
    error = "force_rmse_mev_per_ang"
    before, after = run.metrics.refit["train"][error], run.metrics.final["train"][error]
    assert before is not None
    assert after is not None
    assert after < before
    assert run.config.base == "toy-1"
    assert run.metrics.merged_check is not None
    assert run.metrics.merged_check.equal
    atoms = frames(range(20, 21))[0]
    atoms.calc = run.calculator(device="cpu")
    predictions = run.predictions
    assert predictions is not None
    assert atoms.get_potential_energy() == pytest.approx(predictions.after[ENERGY][0], abs=1e-4)


def test_a_loaded_backbone_needs_no_registration_to_be_evaluated() -> None:
    errors = equisparse.evaluate(frames(range(3)), ToyBackbone.load("toy-1"))
    assert errors["force_mae_mev_per_ang"] is not None
