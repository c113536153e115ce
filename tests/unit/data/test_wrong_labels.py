"""Files whose labels must be refused by name and frame, the third part of the corpus of broken files.

Each is an extended XYZ file of two frames; the second, of index 1, is wrong. A row has the columns of the atoms, the
header, and what a user must read.
"""

import itertools
import re
from pathlib import Path

import pytest

from equisparse.data.labels import LabelKeys
from equisparse.data.read import read_frames
from equisparse.errors import DataError

CELL = 'Lattice="4 0 0 0 4 0 0 0 4" pbc="T T T"'
GOOD = f"{CELL} REF_energy=-3.5"
STRESS = "0.1 0 0 0 0.2 0 0 0 0.3"
"""Of a cell of 64 Angstrom^3."""
VIRIAL = "-6.4 0 0 0 -12.8 0 0 0 -19.2"
"""The virial of that stress."""
OTHER = "6.4 0 0 0 12.8 0 0 0 19.2"
FORCES = "REF_forces:R:3"

WRONG: dict[str, tuple[str, str, str]] = {
    # values that are no numbers
    "key_without_a_value": (FORCES, "REF_energy", "'REF_energy' is not numeric.*boolean.*key without a value"),
    "key_with_an_equals_sign_alone": (FORCES, 'REF_energy=""', "'REF_energy' is not one number"),
    "usual_key_without_a_value": (FORCES, "energy", "'energy' is not numeric"),
    "energy_that_is_true": (FORCES, "REF_energy=T", "'REF_energy' is not numeric.*boolean"),
    "energy_that_is_false": (FORCES, "REF_energy=F", "'REF_energy' is not numeric.*boolean"),
    "energy_that_is_none": (FORCES, "REF_energy=None", "'REF_energy' is not numeric.*a text: 'None'"),
    "energy_that_is_a_dash": (FORCES, "REF_energy=-", "'REF_energy' is not numeric.*a text"),
    "energy_with_its_unit": (FORCES, 'REF_energy="-3.5 eV"', "'REF_energy' is not numeric.*a text"),
    "energy_with_an_exponent_of_fortran": (FORCES, "REF_energy=-3.5D+00", "'REF_energy' is not numeric"),
    "energy_that_is_complex": (FORCES, "REF_energy=-3+2j", "'REF_energy' is not numeric"),
    "energy_that_is_a_pair": (FORCES, 'REF_energy="-3.5 -3.6"', "'REF_energy' is not one number"),
    "energy_that_is_a_table": (FORCES, 'REF_energy="_JSON {\\"a\\": 1}"', "'REF_energy' is not numeric.*an object"),
    "energy_that_swallows_the_next_key": (FORCES, "REF_energy= config=a", "REF_energy has no value"),
    "text_that_swallows_a_key_without_a_value": (FORCES, 'note="" converged config=a', "note has no value"),
    "text_that_swallows_the_energy": (FORCES, 'note="" REF_energy=-3.5', "note has no value, and the next one"),
    "stress_of_booleans": (FORCES, 'REF_stress="T T T F F F"', "'REF_stress' is not numeric.*boolean"),
    "stress_that_is_a_word": (FORCES, "REF_stress=none", "'REF_stress' is not numeric"),
    "stress_that_is_a_pressure": (FORCES, "REF_stress=0.3", "'REF_stress' has the wrong shape"),
    "stress_without_a_value": (FORCES, "REF_stress", "'REF_stress' is not numeric"),
    "virial_with_seven_values": (FORCES, 'REF_virial="1 2 3 4 5 6 7"', "'REF_virial' has the wrong shape"),
    "forces_of_words": ("REF_forces:S:3", "", "'REF_forces' is not numeric"),
    "forces_of_booleans": ("REF_forces:L:3", "", "the column REF_forces holds booleans"),
    "forces_of_booleans_that_ase_converts": ("forces:L:3", "", "the column forces holds booleans"),
    "forces_with_one_component": ("REF_forces:R:1", "", "'REF_forces' has the wrong shape"),
    "forces_in_the_header": ("", 'REF_forces="0 0 0"', "'REF_forces' has the wrong shape"),
    "energy_in_a_column": ("REF_energy:R:1", "", "'REF_energy' is not one number"),
    # one label, two values
    "energy_twice_under_two_names": (FORCES, "REF_energy=-3.5 energy=-3.9", "energy stored more than once"),
    "energy_of_dft_and_of_a_calculator": (FORCES, "DFT_energy=-3.5 energy=-3.9", "'energy'.*'DFT_energy'.*frames 1 "),
    "energy_of_two_methods": (FORCES, "dft_energy=-3.5 DFT_energy=-9.5", "'dft_energy'.*'DFT_energy'"),
    "energy_with_a_placeholder": (FORCES, "REF_energy=-3.5 energy=0.0", "'REF_energy'.*'energy'.*differ"),
    "energy_and_no_number": (FORCES, "REF_energy=-3.5 energy=nan", "'REF_energy'.*'energy'.*differ"),
    "energy_of_sevennet": (FORCES, "y_energy=-3.5 energy=-3.9", "'energy'.*'y_energy'"),
    "forces_under_two_names": ("forces:R:3:REF_force:R:3", "", "forces stored more than once.*'REF_force'.*'forces'"),
    "forces_of_dft_and_of_a_calculator": ("forces:R:3:DFT_forces:R:3", "", "--forces-key forces or DFT_forces"),
    "stress_with_a_virial_of_the_other_sign": (FORCES, f'REF_stress="{STRESS}" REF_virial="{OTHER}"', "ratio -1"),
    "stress_with_a_virial_per_volume": (FORCES, f'REF_stress="{STRESS}" virial="{STRESS}"', "ratio -0.0156"),
    "stress_with_a_virial_per_atom": (FORCES, f'REF_stress="{STRESS}" virials="-3 0 0 0 -6 0 0 0 -9"', "sign, unit or"),
    "stress_in_two_units": (FORCES, f'REF_stress="{STRESS}" stress="16 0 0 0 32 0 0 0 48"', "ratio 160"),
    "stress_with_a_placeholder": (FORCES, f'REF_stress="{STRESS}" REF_virial="0 0 0 0 0 0 0 0 0"', "ratio 0"),
    "stress_with_a_lost_component": (FORCES, f'REF_stress="{STRESS}" stress="0.1 0.1 0 0.1 0.2 0 0 0 0.3"', "differ"),
    "stress_of_sevennet_and_of_ase": (FORCES, f'y_stress="{STRESS}" stress="{STRESS}"', "'stress'.*'y_stress'"),
    "virial_of_a_molecule": (FORCES, f'REF_virial="{VIRIAL}" Lattice="0 0 0 0 0 0 0 0 0"', "without a cell"),
    # weights
    "weight_below_zero": (FORCES, "config_weight=-1", "weight 'config_weight' is not usable"),
    "weight_that_is_no_number": (FORCES, "config_energy_weight=nan", "weight 'config_energy_weight' is not usable"),
    "weight_without_a_value": (FORCES, "config_weight", "'config_weight' is not numeric"),
    "weight_that_is_a_word": (FORCES, "energy_weight=high", "'energy_weight' is not numeric"),
    "weight_that_is_infinite": (FORCES, "forces_weight=inf", "weight 'forces_weight' is not usable"),
    "weight_of_every_component": (FORCES, 'config_stress_weight="1 1 1 0 0 0"', "'config_stress_weight' is not usable"),
    "weight_of_every_atom": (f"{FORCES}:forces_weight:R:1", "", "weight 'forces_weight' is not usable.*shape"),
    "weights_that_contradict": (FORCES, "config_energy_weight=1 energy_weight=2", "weights contradict each other"),
    "weight_of_an_energy_by_another_name": (
        FORCES,
        "w_energy=0",
        "'w_energy' does not say which.*config_energy_weight",
    ),
    "weight_with_another_ending": (FORCES, "forces_weight_scale=0.1", "'forces_weight_scale' does not say which"),
    "weight_of_something": (FORCES, "weight=0.5", "'weight' does not say which weight it is.*config_weight"),
}


def text(columns: str, header: str) -> str:
    """File of two frames of two atoms, of which the second has these columns and this header."""
    good = f"2\nProperties=species:S:1:pos:R:3 {GOOD}\nMg 0 0 0\nO 0 0 2\n"
    kinds = columns.split(":")[1:] if columns else []
    names = {"R": "0.5", "S": "a", "L": "T"}
    wide = [names[kind] for kind, n in zip(kinds[::3], kinds[1::3], strict=True) for _ in range(int(n))]
    several = itertools.count()
    rows = [
        " ".join([atom, *(f"{v}{next(several)}" if v == "0.5" else v for v in wide)])
        for atom in ("Mg 0 0 0", "O 0 0 2")
    ]
    cell = "" if "Lattice" in header else CELL
    properties = f"Properties=species:S:1:pos:R:3{':' if columns else ''}{columns}"
    return good + "\n".join(["2", f"{properties} {cell} {header}", *rows]) + "\n"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_label_is_named(name: str, tmp_path: Path) -> None:
    columns, header, message = WRONG[name]
    (tmp_path / "a.extxyz").write_text(text(columns, header))
    with pytest.raises(DataError) as raised:
        read_frames(tmp_path / "a.extxyz")
    shown = str(raised.value)
    assert re.search(message, shown, re.DOTALL), shown
    assert "a.extxyz" in shown
    assert "frame 1" in shown


@pytest.mark.parametrize(
    ("header", "names", "keys"),
    [
        ("REF_energy=-3.5 energy=-3.50001", {"energy": "REF_energy", "forces": "REF_forces"}, LabelKeys()),
        ("REF_energy=-3.5 energy=-3.9", {"energy": "energy", "forces": "REF_forces"}, LabelKeys(energy="energy")),
        (f'stress="{STRESS}" virial="{VIRIAL}"', {"stress": "stress", "forces": "REF_forces"}, LabelKeys()),
        (
            f'stress="{STRESS}" virial="{OTHER}" config_virial_weight=0',
            {"stress": "stress", "forces": "REF_forces"},
            LabelKeys(),
        ),
        ("config_energy_weight=0 REF_energy=unknown", {"forces": "REF_forces"}, LabelKeys()),
        ("weight=1 atomic_weight=24.3", {"forces": "REF_forces"}, LabelKeys()),
        ("REF_energy=null", {"forces": "REF_forces"}, LabelKeys()),
    ],
)
def test_labels_that_agree_or_are_chosen_are_read(
    header: str, names: dict[str, str], keys: LabelKeys, tmp_path: Path
) -> None:
    header = header.replace("=null", '="_JSON null"')
    (tmp_path / "a.extxyz").write_text(text(FORCES, header))
    assert read_frames(tmp_path / "a.extxyz", keys)[1].names == names


def test_a_header_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(text(FORCES, "REF_energy=-3.5 REF_energy=-3.6"))
    with pytest.raises(DataError, match=r"Cannot read .*a\.xyz(.|\n)*several values of REF_energy"):
        read_frames(tmp_path / "a.xyz")
