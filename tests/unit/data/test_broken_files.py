"""Files that can be read but must not be trained on: each goes through the command, which has to find what is wrong.

With the files of `test_unreadable_files` and `test_wrong_labels`, the corpus of broken files.
"""

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms

from equisparse.cli import main
from equisparse.data.frames import LabelledFrame

Change = Callable[[list[Atoms]], list[Atoms]]

BROKEN: dict[str, tuple[Change, str]] = {}


def broken(level: str, code: str) -> Callable[[Change], Change]:
    """Put a change of healthy frames into the corpus, with the finding that it must get."""

    def put(change: Change) -> Change:
        BROKEN[change.__name__] = (change, f"{level} {code}:")
        return change

    return put


def each(frames: list[Atoms], change: Callable[[Atoms], object], numbers: slice = slice(None)) -> list[Atoms]:
    """The frames, some of them changed in place."""
    for atoms in frames[numbers]:
        change(atoms)
    return frames


@broken("ERROR", "no-labels")
def labels_under_names_that_nobody_uses(frames: list[Atoms]) -> list[Atoms]:
    def rename(atoms: Atoms) -> None:
        atoms.info = {"my_e": atoms.info["REF_energy"]}
        del atoms.arrays["REF_forces"]

    return each(frames, rename)


@broken("WARNING", "no-forces")
def energies_alone(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.arrays.pop("REF_forces"))


@broken("ERROR", "not-finite")
def energy_that_is_not_a_number(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(REF_energy=np.nan), slice(2, 3))


@broken("ERROR", "not-finite")
def force_that_overflowed(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.arrays["REF_forces"].fill(np.inf), slice(5, 6))


@broken("ERROR", "zero-energy")
def energy_of_a_placeholder(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(REF_energy=0.0), slice(0, 3))


@broken("ERROR", "zero-forces")
def forces_that_were_not_written(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.arrays["REF_forces"].fill(0.0))


@broken("ERROR", "zero-stress")
def stress_that_was_not_computed(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(REF_stress=np.zeros(9)))


@broken("ERROR", "stress-too-large")
def stress_in_gigapascal(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(REF_stress=160.2 * 10 * np.asarray(atoms.info["REF_stress"])))


@broken("WARNING", "stress-not-symmetric")
def stress_with_a_component_lost(frames: list[Atoms]) -> list[Atoms]:
    def skew(atoms: Atoms) -> None:
        atoms.info["REF_stress"] = np.asarray(atoms.info["REF_stress"]).reshape(3, 3) + np.eye(3, k=1)

    return each(frames, skew)


@broken("ERROR", "constrained-zero-forces")
def forces_after_constraints(frames: list[Atoms]) -> list[Atoms]:
    def hold(atoms: Atoms) -> None:
        atoms.set_constraint(FixAtoms([0, 1]))
        atoms.arrays["REF_forces"][:2] = 0

    return each(frames, hold)


@broken("WARNING", "net-force")
def force_on_an_atom_that_is_not_there(frames: list[Atoms]) -> list[Atoms]:
    def push(atoms: Atoms) -> None:
        atoms.arrays["REF_forces"][0] += 5.0

    return each(frames, push)


@broken("ERROR", "atoms-too-close")
def atoms_on_top_of_each_other(frames: list[Atoms]) -> list[Atoms]:
    def merge(atoms: Atoms) -> None:
        atoms.positions[1] = atoms.positions[0] + 0.01

    return each(frames, merge, slice(3, 4))


@broken("WARNING", "duplicate-frames")
def the_same_frames_twice(frames: list[Atoms]) -> list[Atoms]:
    return [*frames, *(atoms.copy() for atoms in frames[:8])]


@broken("ERROR", "duplicates-disagree")
def one_structure_with_two_energies(frames: list[Atoms]) -> list[Atoms]:
    return [*frames, *each([frames[0].copy()], lambda atoms: atoms.info.update(REF_energy=-3.0))]


@broken("ERROR", "mixed-references")
def two_levels_of_theory_in_one_file(frames: list[Atoms]) -> list[Atoms]:
    def shift(atoms: Atoms) -> None:
        atoms.info["REF_energy"] -= 40.0 * len(atoms)

    return each(frames, shift, slice(12, None))


@broken("WARNING", "energy-force-mismatch")
def energies_of_other_frames(frames: list[Atoms]) -> list[Atoms]:
    energies = [atoms.info["REF_energy"] for atoms in frames]
    for atoms, energy in zip(frames, np.roll(energies, 3), strict=True):
        atoms.info["REF_energy"] = energy
    return frames


@broken("WARNING", "no-energy")
def forces_alone(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.pop("REF_energy"))


@broken("WARNING", "no-energy")
def energies_that_have_weight_zero(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(config_energy_weight=0.0))


@broken("ERROR", "no-labels")
def frames_that_have_weight_zero(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(config_weight=0))


@broken("NOTE", "no-stress")
def stress_of_some_frames(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.pop("REF_stress"), slice(4))


@broken("ERROR", "zero-stress")
def stress_that_is_a_placeholder_in_half_of_the_frames(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(REF_stress=np.zeros((3, 3))), slice(0, None, 2))


@broken("ERROR", "zero-stress")
def virial_that_is_a_placeholder(frames: list[Atoms]) -> list[Atoms]:
    def blank(atoms: Atoms) -> None:
        atoms.info["REF_virial"] = np.zeros((3, 3)) * atoms.info.pop("REF_stress")

    return each(frames, blank, slice(7, 9))


def twins(frames: list[Atoms], **different: tuple[object, object]) -> list[Atoms]:
    """Every frame twice, with 5 eV between the energies and two values of some information."""
    pairs = []
    for atoms in frames:
        pair = atoms, atoms.copy()
        pair[1].info["REF_energy"] = atoms.info["REF_energy"] - 5.0
        for name, values in different.items():
            for twin, value in zip(pair, values, strict=True):
                twin.info[name] = value
        pairs += pair
    return pairs


@broken("ERROR", "duplicates-differ-in-charge")
def geometries_in_two_charges(frames: list[Atoms]) -> list[Atoms]:
    return twins(frames, charge=(0, 1))


@broken("ERROR", "duplicates-differ-in-charge")
def geometries_in_two_multiplicities(frames: list[Atoms]) -> list[Atoms]:
    return twins(frames, charge=(0, 0), spin_multiplicity=(1, 3))


@broken("ERROR", "duplicates-differ-in-charge")
def geometries_in_two_spin_states(frames: list[Atoms]) -> list[Atoms]:
    return twins(frames, charge=(0, 0), spin=(1, 3))


@broken("ERROR", "duplicates-differ-in-charge")
def geometries_of_which_one_has_a_charge(frames: list[Atoms]) -> list[Atoms]:
    ions = twins(frames, total_charge=(0, -1))
    for atoms in ions[::2]:
        del atoms.info["total_charge"]
    return ions


@broken("WARNING", "charge-not-seen")
def ions_of_other_geometries(frames: list[Atoms]) -> list[Atoms]:
    for index, atoms in enumerate(frames):
        atoms.info["Charge"] = index % 2
    return frames


@broken("WARNING", "scf-not-converged")
def cycles_that_did_not_converge(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(scf_converged=False), slice(2, 5))


@broken("WARNING", "scf-not-converged")
def cycles_marked_as_unconverged(frames: list[Atoms]) -> list[Atoms]:
    return each(frames, lambda atoms: atoms.info.update(unconverged=True), slice(2, 5))


@broken("ERROR", "no-cell")
def slab_without_one_of_its_vectors(frames: list[Atoms]) -> list[Atoms]:
    def flatten(atoms: Atoms) -> None:
        atoms.cell[1] = 0
        atoms.pbc = [True, True, False]
        del atoms.info["REF_stress"]

    return each(frames, flatten, slice(3))


@broken("NOTE", "molecules")
def crystals_without_a_cell(frames: list[Atoms]) -> list[Atoms]:
    def unwrap(atoms: Atoms) -> None:
        atoms.set_cell(None)
        atoms.pbc = False
        del atoms.info["REF_stress"]

    return each(frames, unwrap)


def test_the_corpus_is_large_enough() -> None:
    folder = Path(__file__).parent
    unreadable = (folder / "test_unreadable_files.py").read_text().count("\n@unreadable(")
    labels = (folder / "test_wrong_labels.py").read_text().split("WRONG:")[1].split("\n}\n")[0]
    wrong = labels.count('\n    "')
    assert min(unreadable, wrong) > 35
    assert unreadable + wrong + len(BROKEN) >= 115


def structure(frame: LabelledFrame) -> Atoms:
    """Structure with its labels under their usual names."""
    atoms = frame.atoms.copy()
    atoms.info |= {"REF_energy": frame.energy, "REF_stress": frame.stress}
    atoms.arrays["REF_forces"] = frame.forces.copy()
    return atoms


@pytest.mark.parametrize("name", BROKEN)
def test_the_command_finds_what_is_wrong(
    name: str,
    healthy: list[LabelledFrame],
    trajectory: list[LabelledFrame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change, finding = BROKEN[name]
    source = trajectory if name == "energies_of_other_frames" else healthy
    ase.io.write(tmp_path / "a.extxyz", change([structure(frame) for frame in source]))
    code = main(["audit", str(tmp_path / "a.extxyz")])
    shown = capsys.readouterr().out
    assert finding in shown
    assert code == (2 if "ERROR" in shown else 0)


def test_healthy_files_pass(healthy: list[LabelledFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ase.io.write(tmp_path / "a.extxyz", [structure(frame) for frame in healthy])
    assert main(["audit", str(tmp_path / "a.extxyz")]) == 0
    assert "no findings" in capsys.readouterr().out
