"""TorchSim runs adapted models: results are those of the ASE calculator, for many systems in one batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.verlet import VelocityVerlet

import equisparse
from equisparse.errors import BackboneError, DataError, MissingPackageError

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
CPU = torch.device("cpu")
DOUBLE = {"device": "cpu", "dtype": "float64"}


@pytest.fixture
def adapter(small_run: equisparse.Run) -> Path:
    """An adapter with reference energies of Mg and O."""
    return small_run.folder / "adapter.safetensors"


@pytest.fixture
def crystals() -> list[Atoms]:
    """Systems of different sizes and cells."""
    first, second = bulk("MgO", "rocksalt", a=4.2, cubic=True), bulk("MgO", "rocksalt", a=4.3) * (2, 1, 1)
    for seed, atoms in enumerate((first, second)):
        atoms.rattle(0.1, seed=seed)
    return [first, second]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equisparse.tasks.torch_sim.find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match="equisparse\\[torch-sim\\]"):
        equisparse.torch_sim_model()


def test_results_are_those_of_the_calculator(small_base: str, adapter: Path, crystals: list[Atoms]) -> None:
    ts = pytest.importorskip("torch_sim")
    model = equisparse.torch_sim_model(small_base, adapter, **DOUBLE)
    found = model(ts.initialize_state(crystals, CPU, torch.float64))
    calculator = equisparse.calculator(small_base, adapter, **DOUBLE)
    atom = 0
    for index, atoms in enumerate(crystals):
        atoms.calc = calculator
        forces = found["forces"][atom : atom + len(atoms)]
        np.testing.assert_allclose(found["energy"][index], atoms.get_potential_energy(), rtol=1e-12)
        np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-9)
        np.testing.assert_allclose(found["stress"][index], atoms.get_stress(voigt=False), atol=1e-11)
        atom += len(atoms)
    assert calculator.shifts.keys() == {8, 12}


def test_it_obeys_the_interface(small_base: str, adapter: Path) -> None:
    pytest.importorskip("torch_sim")
    from torch_sim.models.interface import validate_model_outputs

    model = equisparse.torch_sim_model(small_base, device="cpu")
    validate_model_outputs(model, CPU, torch.float32)


def test_molecules_have_no_stress(small_base: str) -> None:
    ts = pytest.importorskip("torch_sim")
    atoms = molecule("H2O")
    found = equisparse.torch_sim_model(small_base, **DOUBLE)(ts.initialize_state([atoms], CPU, torch.float64))
    atoms.calc = equisparse.calculator(small_base, **DOUBLE)
    np.testing.assert_allclose(found["forces"], atoms.get_forces(), atol=1e-9)
    assert found["stress"].isnan().all()
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


def test_what_the_calculator_refuses_is_refused(small_base: str, crystals: list[Atoms]) -> None:
    ts = pytest.importorskip("torch_sim")
    model = equisparse.torch_sim_model(small_base, **DOUBLE)
    crystals[1].positions[0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        model(ts.initialize_state(crystals, CPU, torch.float64))
    unknown = Atoms("Cm2", [[0, 0, 0], [0, 0, 3.0]], cell=[9] * 3, pbc=True)
    with pytest.raises(BackboneError, match="Cm"):
        model(ts.initialize_state([unknown], CPU, torch.float64))


def test_dynamics_of_a_batch_are_those_of_ase(small_base: str, adapter: Path, crystals: list[Atoms]) -> None:
    ts = pytest.importorskip("torch_sim")
    from torch_sim.integrators import nve
    from torch_sim.units import MetalUnits

    model = equisparse.torch_sim_model(small_base, adapter, **DOUBLE)
    state = ts.initialize_state(crystals, CPU, torch.float64)
    cold = torch.tensor(0.0, dtype=torch.float64)
    initialise, step = nve(model, kT=cold, dt=torch.tensor(1e-3 * MetalUnits.time, dtype=torch.float64))
    state = initialise(state, kT=cold, seed=0)
    state.momenta = torch.zeros_like(state.momenta)
    for _ in range(10):
        state = step(state)
    calculator = equisparse.calculator(small_base, adapter, **DOUBLE)
    expected = []
    for atoms in crystals:
        atoms.calc = calculator
        VelocityVerlet(atoms, 1 * units.fs).run(10)
        expected.append(atoms.get_positions(wrap=True))  # TorchSim wraps positions, too
    np.testing.assert_allclose(state.positions, np.concatenate(expected), atol=1e-6)
