"""Accelerators of MACE in training: cuEquivariance on the CPU, OpenEquivariance as far as its arguments."""

import pytest
import torch
from ase import Atoms

import equisparse
from equisparse.backbones import upstream
from equisparse.backbones.accelerators import use_accelerator
from equisparse.backbones.equivalence import largest_difference
from equisparse.backbones.registry import load_backbone
from equisparse.errors import BackboneError
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing import faster_form, periodicity

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)
    cuet = pytest.importorskip("cuequivariance_torch", reason="cuEquivariance is not installed")
    from mace.modules import wrapper_ops

    from equisparse.backbones.mace import kernels


def test_nothing_else_changes_with_cuequivariance(model_file, load, oxides, tmp_path):
    source = str(model_file("scale-shift"))
    plain, fast = load(source, dtype="float64"), load_backbone(source, dtype="float64")
    faster_form.check_accelerator(plain, fast, "cueq", oxides, tmp_path)
    assert fast.accelerate(oxides[:1])  # the contraction of a model that has kernels
    faster_form.check_training(plain, fast, oxides, SoftThreshold())
    periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])


def test_the_fused_product_of_a_gpu(model_file, load, oxides, monkeypatch):
    source = str(model_file("scale-shift"))
    plain, fast = load(source, dtype="float64"), load_backbone(source, dtype="float64")
    made = cuet.SegmentedPolynomial

    def naive(polynomial, *, math_dtype, method):
        assert (math_dtype, method) == (torch.float64, "uniform_1d")
        module = made(polynomial, math_dtype=math_dtype, method="naive")
        module.m.buffer_num_segments, module.m.operand_extent = [1], 1  # only the kernels of a GPU have them
        return module

    monkeypatch.setattr(cuet, "SegmentedPolynomial", naive)
    for interaction in fast.model.interactions:
        with upstream.default_dtype(torch.float64):
            kernel = kernels._fused(interaction.conv_tp, torch.device("cpu"))
        interaction.conv_tp.forward = kernels.partial(kernels._convolve, kernel)
        interaction.conv_fusion = True
    assert largest_difference(plain, fast, oxides) < 1e-12


def test_openequivariance(model_file, load, oxides, tmp_path, kernel_package, monkeypatch):
    monkeypatch.setattr(wrapper_ops, "OEQ_AVAILABLE", True)
    monkeypatch.setattr(wrapper_ops, "oeq", kernel_package, raising=False)
    source = str(model_file("scale-shift"))
    plain, fast = load(source, dtype="float64"), load_backbone(source, dtype="float64")
    faster_form.check_accelerator(plain, fast, "oeq", oxides, tmp_path)
    kinds = [type(module.conv_tp.forward.args[0].product) for module in fast.model.interactions]
    assert kinds == [kernel_package.TensorProductConv] * 2


def test_choices_on_a_cpu(model_file, load, oxides):
    backbone = load(str(model_file("scale-shift")))
    assert use_accelerator(backbone, "auto", oxides) is None
    refused = {"oeq": "does not run on this device", "flash": "cannot be used with the backbone mace"}
    for name, message in refused.items():
        with pytest.raises(BackboneError, match=message):
            use_accelerator(backbone, name, oxides)


class Notices(equisparse.Listener):
    """Keeps what a task reports."""

    def __init__(self):
        self.texts = []

    def notice(self, topic, text):
        self.texts.append(text)


def test_an_adapter_looks_the_same(model_file, tmp_path):
    source, told = str(model_file("scale-shift", torch.float32)), Notices()
    frames = {"train": equisparse.read_frames("demo:train")[:4], "valid": equisparse.read_frames("demo:valid")[:2]}
    options = {"method": "full", "max_steps": 2, "batch_size": 2, "anchor": 0, "force": True, "report": False}
    run = equisparse.finetune(
        **frames, base=source, out=tmp_path / "run", accelerator="cueq", device="cpu", listener=told, **options
    )
    assert [text for text in told.texts if "cuEquivariance in the convolutions" in text]
    base = load_backbone(source)
    assert run.adapter.layout == equisparse.select(base.layout(), equisparse.make_method("full").default_targets)
    equisparse.merge(base, run.adapter, tmp_path / "merged.model", frames=frames["valid"])
    assert load_backbone(str(tmp_path / "merged.model")).layout() == base.layout()
