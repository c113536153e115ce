"""Reference energies in a fine-tune of the smallest base: what is fitted, told, refused and warned of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

import equisparse
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.prediction import Prediction
from equisparse.cli import main
from equisparse.data.audit.finding import Finding
from equisparse.errors import BackboneError, DataError, EquisparseWarning
from equisparse.inference.predict import predict_structures
from equisparse.quantities import ENERGY, FORCES


class Heard(equisparse.Listener):
    """Findings that were reported."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def audited(self, findings: Sequence[Finding], *, stopped: bool) -> None:
        self.findings += findings


@pytest.fixture
def run(frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]) -> equisparse.Run:
    """A run on molecules of water."""
    return equisparse.finetune(frames, valid=valid, **options)


def labelled(toy: type[AbstractBackbone], structures: list[Atoms], sign: float) -> list[Atoms]:
    """Structures with the forces of the base, of one sign, and its energies less 5 eV per atom."""
    predicted = predict_structures(toy.load("toy-1"), structures)
    copies = [atoms.copy() for atoms in structures]
    for atoms, energy, forces in zip(copies, predicted[ENERGY], predicted[FORCES].reshape(-1, 3, 3), strict=True):
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy - 15.0, sign * forces
    return copies


def test_frames_with_forces_alone_train(frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]) -> None:
    for atoms in (*frames, *valid):
        del atoms.info["REF_energy"]
    heard = Heard()
    run = equisparse.finetune(frames, valid=valid, listener=heard, **options)
    assert run.adapter.shifts == {1: 0.0, 8: 0.0}
    assert run.metrics.final["valid"]["energy_mae_mev_per_atom"] is None
    assert run.metrics.final["valid"]["force_mae_mev_per_ang"] is not None
    assert "references-of-base" in {finding.code for finding in heard.findings}
    equisparse.calculator("toy-1", run.adapter).get_potential_energy(Atoms("N2", [[0, 0, 0], [0, 0, 1.1]]))


def test_elements_of_an_adapter_are_those_of_its_frames(
    frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]
) -> None:
    methane = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])
    methane.arrays["REF_forces"] = np.array([[0.0, 0.0, 0.3], [0.0, 0.0, -0.3]])
    run = equisparse.finetune([*frames, methane], valid=valid, **options)
    assert run.adapter.elements == (1, 6, 8)
    assert set(run.adapter.shifts) == {1, 8}
    assert ("unfitted-references", (12,)) in {(f.code, f.frames) for f in run.findings or ()}


def test_a_wrong_energy_is_left_out_and_told(frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]) -> None:
    clean = equisparse.fit_references(frames[1:], "toy-1").shifts
    frames[0].info["REF_energy"] = 0.25
    fit = equisparse.fit_references(frames, "toy-1")
    assert fit.shifts == pytest.approx(clean)
    assert fit.left_out == {"an energy far from the fit": (0,)}
    run = equisparse.finetune(frames, valid=valid, **options)
    assert run.adapter.shifts == pytest.approx(clean)
    assert ("left-out-of-references", (0,)) in {(f.code, f.frames) for f in run.findings or ()}


def test_frames_without_energies_have_no_references_to_fit(frames: list[Atoms]) -> None:
    for atoms in frames:
        del atoms.info["REF_energy"]
    with pytest.raises(DataError, match="No frame has an energy"):
        equisparse.fit_references(frames, "toy-1")


def test_validation_frames_are_compared_with_the_base(
    toy: type[AbstractBackbone],
    frames: list[Atoms],
    options: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    others = [atoms.copy() for atoms in frames]
    for seed, atoms in enumerate(others):
        atoms.rattle(0.05, seed=seed)
    right, wrong = labelled(toy, frames, 1.0), labelled(toy, others, -1.0)
    for atoms in wrong:
        del atoms.info["REF_energy"]  # with energies, the forces contradict them without a base
    heard = Heard()
    with pytest.raises(DataError, match="audit found errors"):
        equisparse.finetune(right, valid=wrong, listener=heard, **options | {"force": False})
    errors = {(finding.code, finding.dataset) for finding in heard.findings if finding.level == "error"}
    assert errors == {("force-sign", "valid")}
    files = [str(tmp_path / f"{name}.extxyz") for name in ("right", "wrong")]
    for file, structures in zip(files, (right, wrong), strict=True):
        ase.io.write(file, structures)
    assert main(["audit", files[0], "--valid", files[1], "--base", "toy-1", "--backbone", "toy"]) == 2
    assert "ERROR force-sign" in capsys.readouterr().out
    found = equisparse.audit(right, "toy-1", valid=wrong)
    assert ("force-sign", "valid") in {(finding.code, finding.dataset) for finding in found}


def test_elements_without_a_fitted_reference_are_named(run: equisparse.Run) -> None:
    other = Atoms("NO", [[0, 0, 0], [0, 0, 1.2]], info={"REF_energy": -9.0})
    with pytest.warns(EquisparseWarning, match="no fitted reference energy for N"):
        equisparse.evaluate([other], "toy-1", run.adapter)
    other.calc = equisparse.calculator("toy-1", run.adapter)
    with pytest.warns(EquisparseWarning, match="no fitted reference energy for N"):
        other.get_potential_energy()
    with pytest.raises(BackboneError, match="given: Si"):
        other.calc.get_potential_energy(Atoms("Si"))


def test_frames_without_a_prediction_are_named(
    run: equisparse.Run, toy: type[AbstractBackbone], frames: list[Atoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = toy.predict

    def broken(backbone: AbstractBackbone, batch: Any) -> Prediction:
        prediction = predict(backbone, batch)
        prediction[FORCES][-1] = torch.nan
        return prediction

    monkeypatch.setattr(toy, "predict", broken)
    with pytest.warns(EquisparseWarning, match=r"frames 9, 11 \(2 frames\), the first is H2O"):
        errors = equisparse.evaluate(frames, "toy-1", run.adapter)
    assert np.isfinite(errors["force_mae_mev_per_ang"] or np.nan)
