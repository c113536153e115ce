"""Copper with the potential of EMT, whose properties are known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from equisparse.observables.cells import inequivalent_sites, multiples, standard_cell
from equisparse.observables.elastic import elastic_values, is_stable, shear_modulus
from equisparse.observables.measure import Measured, MeasureOptions, measured
from equisparse.observables.radial import radial_distribution
from equisparse.observables.relations import add_relations
from equisparse.observables.relaxation import NotRelaxedError, RelaxOptions, relaxed
from equisparse.robustness.dynamics import DynamicsOptions


@pytest.fixture(scope="module")
def rattled() -> Atoms:
    """Four atoms, strained and displaced."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.02, seed=1)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.01 * np.random.default_rng(0).standard_normal((3, 3))), True)
    return atoms


@pytest.fixture(scope="module")
def copper(rattled: Atoms) -> Measured:
    """Its properties."""
    pytest.importorskip("phonopy")
    return measured(rattled, EMT(), MeasureOptions(supercell=7.0))


def test_a_disturbed_crystal_becomes_its_primitive_cell(copper: Measured) -> None:
    assert (copper.kind, copper.symmetry, len(copper.relaxed)) == ("crystal", "Fm-3m (225)", 1)
    assert copper.values["a_ang"] == pytest.approx(3.590, abs=1e-3)
    assert copper.values["volume_ang3_per_atom"] == pytest.approx(copper.values["a_ang"] ** 3 / 4, rel=1e-6)
    assert copper.notes == []


def test_elastic_constants_agree_with_the_equation_of_state(copper: Measured) -> None:
    values = copper.values
    assert values["c11_gpa"] == pytest.approx(172.5, abs=0.5)
    assert values["c12_gpa"] == pytest.approx(115.4, abs=0.5)
    assert values["c44_gpa"] == pytest.approx(89.9, abs=0.5)
    assert values["bulk_modulus_gpa"] == pytest.approx((values["c11_gpa"] + 2 * values["c12_gpa"]) / 3, rel=0.01)
    np.testing.assert_allclose(copper.elastic[:3, 3:], 0, atol=0.1)
    assert len(copper.volumes.volumes) == 7


def test_phonons_are_those_of_a_stable_metal(copper: Measured) -> None:
    assert copper.values["lowest_phonon_thz"] == 0
    assert copper.values["highest_phonon_thz"] == pytest.approx(8.1, abs=0.2)
    assert 20 < copper.values["heat_capacity_at_300_K_j_per_k_per_mol"] < 3 * 8.314
    bands = copper.bands
    assert bands.labels[0] == "G"
    assert bands.frequencies.shape == (len(bands.x), 3)
    np.testing.assert_allclose(bands.frequencies[0], 0, atol=1e-3)
    long_wave = bands.frequencies[2] / bands.frequencies[1]
    np.testing.assert_allclose(long_wave, 2, rtol=0.05, err_msg="acoustic bands begin linearly")


def test_large_cells_have_no_phonons(rattled: Atoms) -> None:
    found = measured(rattled, EMT(), MeasureOptions(parts=("elastic", "phonons"), most_atoms=0))
    assert "c11_gpa" not in found.values
    assert found.notes == [
        "no elastic constants and phonons: the primitive cell has 1 atom, more than the 0 of --most-atoms"
    ]


def test_what_does_not_relax_has_a_note_and_no_values(rattled: Atoms) -> None:
    found = measured(rattled, EMT(), MeasureOptions(relax=RelaxOptions(1e-4, 2)))
    assert found.values == {}
    assert found.notes[0].startswith("not relaxed: the largest force is still ")


def test_a_cell_that_expands_without_end_is_given_up() -> None:
    gas = Atoms("He", cell=2.5 * np.eye(3), pbc=True)
    with pytest.raises(NotRelaxedError, match="volume became"):
        relaxed(gas, LennardJones(sigma=3.0, rc=6.0), "atoms and cell", RelaxOptions(0.001, 300))


def test_a_surface_has_its_energy_against_the_crystal(copper: Measured) -> None:
    slab = fcc111("Cu", (1, 1, 6), a=copper.values["a_ang"], vacuum=10.0)
    found = measured(slab, EMT(), MeasureOptions())
    add_relations({"Cu": copper, "Cu slab": found})
    assert found.kind == "surface"
    assert found.values["surface_energy_j_per_m2"] == pytest.approx(0.99, abs=0.1), "EMT, Cu(111)"
    assert "relative_energy_mev_per_atom" not in copper.values, "there is one crystal only"


def test_polymorphs_are_compared() -> None:
    cells = {name: bulk("Cu", name, a=a) for name, a in (("fcc", 3.6), ("bcc", 2.9))}
    found = {name: measured(atoms, EMT(), MeasureOptions(parts=())) for name, atoms in cells.items()}
    add_relations(found)
    assert found["fcc"].values["relative_energy_mev_per_atom"] == 0
    assert found["bcc"].values["relative_energy_mev_per_atom"] > 10


def test_a_vacancy_has_its_energy_of_formation() -> None:
    found = measured(bulk("Cu", a=3.6), EMT(), MeasureOptions(parts=("vacancy",), supercell=7.0))
    add_relations({"Cu": found})
    assert found.values["vacancy_Cu_ev"] == pytest.approx(1.1, abs=0.15), "EMT"


def test_a_vacancy_of_a_compound_refers_to_the_element() -> None:
    options = MeasureOptions(parts=("vacancy",), supercell=5.0)
    alloy = bulk("CuAu", "cesiumchloride", a=3.2)
    assert inequivalent_sites(alloy) == [0, 1]
    assert inequivalent_sites(bulk("Cu", cubic=True)) == [0]
    results = {"CuAu": measured(alloy, EMT(), options), "Cu": measured(bulk("Cu"), EMT(), MeasureOptions(parts=()))}
    add_relations(results)
    compound, copper = results["CuAu"], results["Cu"].values["energy_ev_per_atom"]
    assert compound.values["vacancy_Cu_ev"] == pytest.approx(compound.removed["Cu"] + copper)
    assert "vacancy_Au_ev" not in compound.values
    assert compound.notes == ["no energy of a vacancy of Au: it needs a structure of pure Au"]


def test_radial_distribution_of_a_small_cell_counts_images() -> None:
    found = radial_distribution([bulk("Cu", a=3.6)])
    np.testing.assert_allclose(found.values, radial_distribution([bulk("Cu", a=3.6, cubic=True)]).values)
    neighbours = found.values * 4 / 3 * np.pi * np.diff(np.linspace(0, 6, 121) ** 3) * 4 / 3.6**3
    shells = neighbours[neighbours > 0]
    np.testing.assert_allclose(shells[:3], [12, 6, 24])
    assert found.first_peak == pytest.approx(3.6 / 2**0.5, abs=0.03)
    gas = radial_distribution([Atoms("Ar", cell=20 * np.eye(3), pbc=True)])
    assert gas.first_peak is None


def test_radial_distribution_at_a_temperature() -> None:
    options = MeasureOptions(parts=("rdf",), supercell=5.0, dynamics=DynamicsOptions(300.0, 60))
    found = measured(bulk("Cu", a=3.6), EMT(), options)
    assert found.values["rdf_first_peak_ang"] == pytest.approx(2.54, abs=0.1)
    assert (found.radial.values > 0).sum() > 20, "the shells are broad"
    hot = MeasureOptions(parts=("rdf",), supercell=5.0, dynamics=DynamicsOptions(20000.0, 200, timestep=10.0))
    (note,) = measured(bulk("Cu", a=3.6), EMT(), hot).notes
    assert note.startswith("no radial distribution function: molecular dynamics at 20000 K failed")


def test_cells_of_a_hexagonal_crystal() -> None:
    cell = standard_cell(bulk("Ti", "hcp", a=2.95, c=4.68))
    assert (cell.number, cell.system) == (194, "hexagonal")
    assert cell.lattice() == pytest.approx({"a_ang": 2.95, "c_ang": 4.68})
    assert multiples(cell.conventional, 9.0) == (4, 4, 2)


def test_moduli_of_an_isotropic_solid() -> None:
    bulk_modulus, shear = 100.0, 40.0
    constants = np.diag([2 * shear] * 3 + [shear] * 3)
    constants[:3, :3] += bulk_modulus - 2 * shear / 3
    assert shear_modulus(constants) == pytest.approx(shear)
    assert elastic_values(constants, "cubic")["c12_gpa"] == pytest.approx(bulk_modulus - 2 * shear / 3)
    constants[5, 5] = -1
    assert not is_stable(constants)
    assert "shear_modulus_gpa" not in elastic_values(constants, "cubic")


def test_a_slab_may_have_no_cell_vector_across_it() -> None:
    slab = fcc111("Cu", (1, 1, 3))
    slab.pbc = (True, True, False)
    assert slab.cell.rank == 2
    assert len(relaxed(slab, EMT(), "atoms", RelaxOptions())) == 3
