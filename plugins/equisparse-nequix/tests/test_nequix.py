"""Energies, forces and stresses are those of nequix, and nequix reads the files: where it is installed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.testing import backbones as laws
from equisparse.testing import periodicity
from equisparse_nequix.backbone import NequixBackbone
from equisparse_nequix.upstream import closed, nequix_calculator

REFERENCES = json.loads(Path(__file__).with_name("references.json").read_text())
"""Results of nequix in float64, for the published models; written by references.py."""


class TestWithNequix:
    """On the small model; every composition is compiled for seconds."""

    @pytest.fixture(autouse=True)
    def _nequix(self):
        pytest.importorskip("nequix", reason="the extra nequix is not installed")

    def test_its_calculator_predicts_the_same_of_changed_weights(self, single, oxides, tmp_path):
        path = tmp_path / "native.nqx"
        laws.check_native(single, path, oxides, {8: 0.25, 12: -1.5, 13: 3.0})
        laws.check_reload(single, path, oxides)

    def test_its_stress_of_slabs_and_wires(self, single, small):
        frames = periodicity.structures(vacuum=6 + 2.1 * single.cutoff)
        calculator, ours = nequix_calculator(small, single.cutoff), AdaptedCalculator(single)
        for name in ("slab", "wire without other vectors"):
            atoms = frames[name]
            np.testing.assert_allclose(calculator.get_forces(atoms), ours.get_forces(atoms), rtol=1e-4, atol=1e-4)
            if name == "slab":
                np.testing.assert_allclose(calculator.get_stress(atoms), ours.get_stress(atoms), rtol=1e-4, atol=1e-5)


def test_a_closed_cell_is_the_same_structure(backbone):
    for name, atoms in periodicity.structures(vacuum=6 + 2.1 * backbone.cutoff).items():
        frame = closed(atoms, backbone.cutoff)
        assert frame.pbc.all(), name
        energies = [AdaptedCalculator(backbone).get_potential_energy(structure) for structure in (atoms, frame)]
        assert energies[0] == pytest.approx(energies[1], abs=1e-10), name


@pytest.mark.parametrize("name", sorted(REFERENCES["models"]))
def test_published_models(name):
    folder = os.environ.get("EQUISPARSE_NEQUIX_MODELS")
    if not folder:
        pytest.skip("EQUISPARSE_NEQUIX_MODELS names no folder with the published models")
    calculator = AdaptedCalculator(NequixBackbone.load(str(Path(folder, f"{name}.nqx")), dtype="float64"))
    for structure, expected in zip(REFERENCES["structures"], REFERENCES["models"][name], strict=True):
        atoms = Atoms(**structure)
        assert calculator.get_potential_energy(atoms) == pytest.approx(expected["energy"], rel=0, abs=1e-9)
        np.testing.assert_allclose(calculator.get_forces(atoms), expected["forces"], rtol=0, atol=1e-9)
        if "stress" in expected:
            np.testing.assert_allclose(calculator.get_stress(atoms), expected["stress"], rtol=0, atol=1e-11)
