"""The package as a Python user has it: structures in memory in, values out; every task prints nothing."""

import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

import equisparse
from equisparse import ENERGY, FORCES
from equisparse.cli import main
from equisparse.data.demo import demo_files

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


class Heard(equisparse.Listener):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def planned(self, plan: equisparse.Plan) -> None:
        self.told.append(f"{plan.method.name} on {plan.frames}")

    def epoch_done(self, progress: equisparse.FitProgress) -> None:
        self.told.append(f"epoch {progress.curve[-1].epoch} of {progress.epochs}")

    def finished(self, run: equisparse.Run) -> None:
        self.told.append(f"finished {run.name}")


@pytest.fixture(scope="module")
def backbone(small_base: str) -> equisparse.AbstractBackbone:
    return equisparse.load_backbone(small_base, device="cpu")


def structures(part: str, count: int) -> list[Atoms]:
    """The first structures of a part of the demo data, as a user reads them."""
    return ase.io.read(getattr(demo_files(), part), f":{count}")


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def run(
    backbone: equisparse.AbstractBackbone, heard: Heard, tmp_path_factory: pytest.TempPathFactory
) -> equisparse.Run:
    """A short fine-tune of structures in memory on a loaded base."""
    return equisparse.finetune(
        structures("train", 8),
        valid=structures("valid", 3),
        base=backbone,
        method=equisparse.Sparse(changed=0.02),
        out=tmp_path_factory.mktemp("runs") / "run",
        epochs=2,
        batch_size=4,
        listener=heard,
    )


def test_the_run_has_what_was_asked_for(run: equisparse.Run, heard: Heard) -> None:
    assert run.metrics.changed_fraction_model == pytest.approx(0.02, rel=0.05)
    assert len(run.curve) == 2
    assert heard.told == ["sparse on {'train': 8, 'valid': 3}", "epoch 1 of 2", "epoch 2 of 2", "finished run"]


def test_the_base_is_untouched(run: equisparse.Run, backbone: equisparse.AbstractBackbone) -> None:
    backbone.check_untouched()


def test_errors_on_structures_in_memory_are_those_of_the_run(
    run: equisparse.Run, backbone: equisparse.AbstractBackbone
) -> None:
    adapter = run.adapter
    errors = equisparse.evaluate(structures("valid", 3), backbone, adapter)
    expected = run.metrics.final["valid"]
    assert errors == {name: value and pytest.approx(value, rel=1e-4) for name, value in expected.items()}
    base = equisparse.evaluate(structures("valid", 3), backbone)
    assert base == {name: value and pytest.approx(value, rel=1e-4) for name, value in run.metrics.base["valid"].items()}


def test_the_calculator_gives_the_predictions_of_the_run(run: equisparse.Run) -> None:
    atoms = structures("valid", 1)[0]
    atoms.calc = run.calculator(device="cpu")
    predictions = run.predictions
    assert predictions is not None
    assert atoms.get_potential_energy() == pytest.approx(predictions.after[ENERGY][0], abs=1e-3)
    np.testing.assert_allclose(atoms.get_forces(), predictions.after[FORCES][: len(atoms)], atol=1e-4)


def test_the_audit_knows_frames_in_memory_and_packaged_ones() -> None:
    backbone = equisparse.load_backbone("7net-0", device="cpu")  # an untrained model knows no signs
    frames = structures("train", 4)
    for frame in frames:
        frame.arrays["REF_forces"] *= -1
    findings = equisparse.audit(frames, backbone)
    assert any(finding.level == "error" and finding.code == "force-sign" for finding in findings)
    assert not [finding for finding in equisparse.audit("demo:valid", backbone) if finding.level == "error"]


def test_tasks_read_the_stored_frames_again(run: equisparse.Run) -> None:
    rows = equisparse.attribute(run, "layer", frames=1, device="cpu")
    assert sum(row.n_changed for row in rows) == run.metrics.changed_count


def test_a_run_can_be_resumed_from_its_configuration(run: equisparse.Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    words = ["finetune", "--config", str(copy / "config.yaml"), "--out", str(copy), "--resume"]
    assert main(words) == 0
    assert equisparse.read_run(copy).metrics.final == run.metrics.final


def test_a_folder_with_a_run_is_refused_before_anything_is_written(
    run: equisparse.Run, backbone: equisparse.AbstractBackbone
) -> None:
    before = (run.folder / "frames" / "train.extxyz").read_bytes()
    with pytest.raises(equisparse.InputError, match="holds a run already"):
        equisparse.finetune(structures("test", 4), base=backbone, out=run.folder)
    assert (run.folder / "frames" / "train.extxyz").read_bytes() == before


def test_adapters_are_values(run: equisparse.Run, backbone: equisparse.AbstractBackbone, tmp_path: Path) -> None:
    adapter = run.adapter
    half = equisparse.combine([adapter], [0.5], out=tmp_path / "half.safetensors")
    assert sum(row.n_changed for row in equisparse.inspect(tmp_path / "half.safetensors")) == half.stored_values
    assert sum(row.n_both for row in equisparse.diff(adapter, half)) == half.stored_values
    merged = equisparse.merge(backbone, half, tmp_path / "half.pth", frames=structures("test", 1))
    assert merged.check.equal
    assert equisparse.load_backbone(str(merged.path), device="cpu").identity != backbone.identity


def test_pages_and_figures_are_paths(run: equisparse.Run, tmp_path: Path) -> None:
    assert equisparse.write_report(run, tmp_path / "page.html").stat().st_size > 10_000
    assert all(path.exists() for path in equisparse.export(run, tmp_path / "figures"))


def test_a_short_run_leaves_out_what_a_report_needs(backbone: equisparse.AbstractBackbone, tmp_path: Path) -> None:
    run = equisparse.finetune(
        structures("train", 4), base=backbone, out=tmp_path, epochs=1, valid_fraction=0.5, report=False
    )
    assert run.metrics.valid_loss == min(epoch.valid_loss or np.inf for epoch in run.curve)
    assert run.metrics.retention is None
    assert not list(tmp_path.glob("merged*")) + list(tmp_path.glob("*.html")) + list(tmp_path.glob("interpretation"))


def test_reference_energies_are_those_of_the_run(run: equisparse.Run, backbone: equisparse.AbstractBackbone) -> None:
    fitted = equisparse.fit_references(structures("train", 8), backbone)
    assert fitted.shifts == pytest.approx(dict(run.metrics.reference_shifts_ev), abs=1e-6)


def test_nothing_is_printed(
    backbone: equisparse.AbstractBackbone, run: equisparse.Run, capfd: pytest.CaptureFixture[str]
) -> None:
    equisparse.finetune(
        structures("train", 4), base=backbone, out=run.folder.parent / "quiet", epochs=1, valid_fraction=0.5
    )
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")
