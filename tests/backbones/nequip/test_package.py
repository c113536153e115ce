"""Packages of NequIP, and checkpoints of models that upstream made from a package or modified."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytest.importorskip("nequip", reason="the extra nequip is not installed")
from nequip.model.saved_models import load_saved_model

from equisparse.backbones.nequip import files as nequip_files
from equisparse.backbones.nequip.global_state import nequip_state
from equisparse.backbones.registry import load_backbone
from equisparse.errors import BackboneError
from equisparse.quantities import ENERGY
from equisparse.testing import backbones as laws


@pytest.fixture(scope="session")
def package(folder: Path, checkpoint: Callable[..., Path], run_program: Callable[..., str]) -> Path:
    """Package of the plain model, made by upstream's command."""
    path = folder / "plain.nequip.zip"
    run_program("nequip.scripts.package", "build", checkpoint("plain"), path)
    return path


class TestPackage:
    """A package brings its own classes with it."""

    @pytest.fixture
    def backbone(self, package, load):
        return load(str(package), dtype="float64")

    def test_it_is_the_model_of_its_checkpoint(self, backbone, checkpoint, load, oxides):
        other = load(str(checkpoint("plain")), dtype="float64")
        assert backbone.layout() == other.layout()
        assert backbone.identity.sha256 == other.identity.sha256
        assert torch.equal(laws.predict(backbone, oxides)[ENERGY], laws.predict(other, oxides)[ENERGY])

    def test_copies_are_on_their_own(self, backbone, oxides):
        laws.check_copies(backbone, oxides[:1])

    def test_native_file(self, backbone, oxides, shifts, run_program, tmp_path):
        path = tmp_path / f"native{backbone.native_suffix}"
        laws.check_native(backbone, path, oxides, shifts)
        laws.check_reload(backbone, path, oxides)
        assert "atom_types" in run_program("nequip.scripts.package", "info", path)
        with nequip_state():
            eager, compiled = (load_saved_model(path, compile_mode=mode).state_dict() for mode in ("eager", "compile"))
        assert all(torch.equal(eager[name], compiled[name]) for name in eager)

    def test_checkpoints_become_packages(self, checkpoint, load, oxides, shifts, tmp_path):
        backbone = load(str(checkpoint("moving-average")), dtype="float64")
        laws.check_native(backbone, tmp_path / "native.nequip.zip", oxides, shifts)

    def test_packages_do_not_become_checkpoints(self, backbone, tmp_path):
        with pytest.raises(BackboneError, match="cannot be merged into a checkpoint"):
            backbone.save_native(tmp_path / "native.ckpt", {})
        assert not list(tmp_path.iterdir())

    def test_a_package_that_cannot_be_written_leaves_nothing(self, backbone, tmp_path, monkeypatch):
        monkeypatch.setattr(nequip_files, "_INTERNAL_MODULES", set())
        with pytest.raises(BackboneError, match="cannot be written"):
            backbone.save_native(tmp_path / "native.nequip.zip", {})
        assert not list(tmp_path.iterdir())

    def test_another_precision_is_refused(self, package):
        with pytest.raises(BackboneError, match=r"computes in float64(.|\n)*use --dtype float64"):
            load_backbone(str(package), dtype="float32")


class TestUpstreamFinetunes:
    """Checkpoints of models that NequIP itself adapted: from a package, and with changed reference energies."""

    @pytest.fixture(params=["from-package", "modified"])
    def path(self, request, package, folder, model_config, write_checkpoint):
        path = folder / f"{request.param}.ckpt"
        modifier = {"modifier": "modify_PerTypeScaleShift", "shifts": {"O": -1.0}}
        configs = {
            "from-package": {"_target_": "nequip.model.ModelFromPackage", "package_path": str(package)},
            "modified": {"_target_": "nequip.model.modify", "modifiers": [modifier], "model": model_config()},
        }
        if not path.exists():
            write_checkpoint(path, configs[request.param])
        return path

    def test_native_file(self, path, load, oxides, shifts, tmp_path):
        backbone = load(str(path), dtype="float64")
        laws.check_native(backbone, tmp_path / "native.ckpt", oxides, shifts)
        laws.check_reload(backbone, tmp_path / "native.ckpt", oxides)

    def test_precision(self, path, load, oxides):
        if path.stem == "from-package":
            with pytest.raises(BackboneError, match="use --dtype float64"):
                load_backbone(str(path), dtype="float32")
        else:
            single, double = (laws.predict(load(str(path), dtype=dtype), oxides) for dtype in ("float32", "float64"))
            laws.ENERGY_TOLERANCE[torch.float32].check("energy", single[ENERGY], double[ENERGY])
