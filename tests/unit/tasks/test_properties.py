"""`properties` of a run of the smallest base, from water to the tables and the report."""

import json
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.mixing import SumCalculator
from ase.calculators.morse import MorsePotential

import equisparse
from equisparse.cli import main
from equisparse.errors import InputError, MissingPackageError
from equisparse.observables import phonons
from equisparse.tasks import properties as task


@pytest.fixture
def run(frames: list[Atoms], valid: list[Atoms], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose base is EMT, and whose fine-tuned model has stiffer bonds: the toy alone binds nothing."""
    folder = equisparse.finetune(frames, valid=valid, **options).folder
    added = [EMT(), SumCalculator([EMT(), MorsePotential(epsilon=1.0, r0=1.1, rho0=4.0)])]
    monkeypatch.setattr(task, "AdaptedCalculator", lambda backbone, shifts: added.pop(0))
    return folder


def test_molecules_before_and_after(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = tmp_path / "known.csv"
    reference.write_text("structure,property,value\nH2O,bond_H_O_ang,0.97\nH2O,frequency_2_per_cm,3657\n")
    assert main(["properties", str(run), "--reference", str(reference), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "H-O" in shown
    assert "0.97" in shown
    opened = equisparse.read_run(run)
    values = {row.name: row for row in opened.properties}
    assert values["bond_H_O_ang"].base != values["bond_H_O_ang"].adapted
    assert values["frequency_2_per_cm"].reference == 3657
    assert {row.symmetry for row in opened.files.properties.structures.read()} == {""}
    assert opened.files.properties.relaxed.is_file()
    page = opened.files.report.read_text()
    assert "Harmonic frequencies of H2O" in page


def test_json_and_structures_that_do_not_relax(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    molecule("CH4").write(tmp_path / "methane.extxyz")
    words = ["--structures", str(tmp_path / "methane.extxyz"), "--steps", "1", "--device", "cpu", "--json"]
    assert main(["properties", str(run), *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["properties"] == []
    assert [row["notes"].split(":")[0] for row in printed["structures"]] == ["not relaxed"] * 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reference": {"H20": {"bond_H_O_ang": 1.0}}}, "use H2O"),
        ({"reference": {"H2O": {"bond_H_O": 1.0}}}, "does not end in a unit"),
        ({"only": ["phonon"]}, "use phonons"),
        ({"steps": 0}, "Invalid option steps"),
    ],
)
def test_wrong_options(run: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        equisparse.properties(run, device="cpu", **wrong)


def test_missing_phonopy_is_told_before_anything_is_computed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "phonopy", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'equisparse\[properties\]'"):
        phonons.check_phonopy()
    crystal = bulk("MgO", "rocksalt", a=4.2)
    with pytest.raises(MissingPackageError):
        equisparse.properties(run, crystal, device="cpu")


def test_vacancies_and_radial_distribution_on_request(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(task, "AdaptedCalculator", lambda backbone, shifts: EMT())
    crystal = bulk("C", "fcc", a=2.5)
    crystal.write(tmp_path / "carbon.extxyz")
    words = ["--structures", str(tmp_path / "carbon.extxyz"), "--only", "vacancy", "rdf", "--supercell", "4"]
    assert main(["properties", str(run), *words, "--dynamics-steps", "20", "--device", "cpu"]) == 0
    assert "vacancy C" in capsys.readouterr().out
    opened = equisparse.read_run(run)
    values = {row.name: row for row in opened.properties}
    assert values["vacancy_C_ev"].unit == "eV"
    assert values["vacancy_C_ev"].base == values["vacancy_C_ev"].adapted
    assert "bulk_modulus_gpa" not in values
    points = opened.files.properties.radial.read()
    assert {point.source for point in points} == {"base", "fine-tuned"}, "no frame of the run has this composition"
    assert "Radial distribution function of C" in opened.files.report.read_text()
