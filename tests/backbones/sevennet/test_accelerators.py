"""SevenNet's accelerators in training, with kernels that compute with e3nn; cuEquivariance where it is installed."""

import pytest
from ase import Atoms

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

from sevenn.nn import cue_helper, flash_helper, oeq_helper

from equisparse.backbones.accelerators import use_accelerator
from equisparse.backbones.registry import load_backbone
from equisparse.errors import BackboneError
from equisparse.methods.full import Full
from equisparse.testing import faster_form, periodicity


@pytest.fixture
def usable(kernel_package, monkeypatch):
    """Let upstream find kernels on a CPU."""
    for name in ("TensorProductConv", "TPProblem", "torch_to_oeq_dtype"):
        monkeypatch.setattr(oeq_helper, name, getattr(kernel_package, name), raising=False)
    monkeypatch.setattr(flash_helper, "uvu_TP", kernel_package.uvu_TP, raising=False)
    for helper, package in ((oeq_helper, "oeq"), (flash_helper, "flash"), (cue_helper, "cue")):
        monkeypatch.setattr(helper, f"is_{package}_available", lambda: True)


@pytest.mark.parametrize(
    ("own_model", "name"),
    [("linear", "oeq"), ("linear", "cueq"), ("no-parity", "cueq")],
    indirect=["own_model"],
)
def test_nothing_else_changes(own_model, name, load, oxides, tmp_path, usable):
    if name == "cueq":
        pytest.importorskip("cuequivariance_torch", reason="cuEquivariance is not installed")
    plain, fast = load(str(own_model), dtype="float64"), load_backbone(str(own_model), dtype="float64")
    faster_form.check_accelerator(plain, fast, name, oxides, tmp_path)
    periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])
    assert fast.accelerate(oxides[:1])
    kernels = [module.forward.func.__module__ for module in fast.model.modules() if "forward" in vars(module)]
    assert kernels == ["equisparse.backbones.sevennet.kernels"] * 2


@pytest.mark.parametrize("own_model", ["linear"], indirect=True)
def test_methods_train_with_them(own_model, oxides, usable):
    one, other = load_backbone(str(own_model), dtype="float64"), load_backbone(str(own_model), dtype="float64")
    one.attach_kernels("oeq")
    other.attach_kernels("flash")
    faster_form.check_training(one, other, oxides, Full())


@pytest.mark.parametrize("own_model", ["linear"], indirect=True)
def test_without_a_gpu(own_model, load, oxides):
    backbone = load(str(own_model))
    assert use_accelerator(backbone, "auto", oxides) is None
    for name in ("oeq", "flash", "cueq"):
        with pytest.raises(BackboneError, match=r"does not run on this device(.|\n)*--device cuda(.|\n)*omit --accel"):
            use_accelerator(backbone, name, oxides)


@pytest.mark.parametrize("own_model", ["linear"], indirect=True)
def test_the_file_of_a_copy_can_be_read(own_model, load, tmp_path):
    backbone = load(str(own_model))
    backbone.copied().save_native(tmp_path / "copied.pth", {})
    assert load_backbone(str(tmp_path / "copied.pth")).loaded == backbone.loaded
