"""NequIP's accelerator in training: upstream's modifier, with kernels that compute with e3nn."""

import pytest
from ase import Atoms

pytest.importorskip("nequip", reason="the extra nequip is not installed")

from equisparse.backbones.accelerators import use_accelerator
from equisparse.backbones.registry import load_backbone
from equisparse.errors import BackboneError
from equisparse.testing import faster_form, periodicity


def test_nothing_else_changes(checkpoint, load, oxides, tmp_path, kernel_package):
    source = str(checkpoint("deep-linear-readout"))
    plain, fast = load(source, dtype="float64"), load_backbone(source, dtype="float64")
    faster_form.check_accelerator(plain, fast, "oeq", oxides, tmp_path)
    kernels = [module for module in fast.model.modules() if isinstance(module, kernel_package.TensorProductConv)]
    assert len(kernels) == sum(type(module).__name__ == "TensorProductScatter" for module in plain.model.modules())
    assert fast.accelerate(oxides[:1])
    periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])


def test_choices(checkpoint, load, oxides, kernel_package):
    backbone = load(str(checkpoint("plain")), dtype="float64")
    assert use_accelerator(backbone, "auto", oxides) is None
    with pytest.raises(BackboneError, match=r"OpenEquivariance does not run on this device"):
        use_accelerator(backbone, "oeq", oxides)
    with pytest.raises(BackboneError, match=r"cuEquivariance cannot be used(.|\n)*oeq or none"):
        use_accelerator(backbone, "cueq", oxides)
