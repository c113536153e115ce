"""The faster form of NequIP."""

import pytest
from ase import Atoms

pytest.importorskip("nequip", reason="the extra nequip is not installed")

from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.backbones.registry import load_backbone
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing import faster_form, periodicity


def test_nothing_else_changes(checkpoint, load, oxides, tmp_path):
    source = str(checkpoint("deep-linear-readout"))
    plain, fast = load(source, dtype="float64"), load_backbone(source, dtype="float64")
    faster_form.check_faster_form(plain, fast, oxides, tmp_path)
    assert sum(isinstance(module, EdgeProduct) for module in fast.model.modules()) == 3
    periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])
    faster_form.check_training(plain, fast, oxides, SoftThreshold())
    faster_form.check_compiled(plain, fast, oxides, 3)
    periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])


def test_single_precision_is_checked_in_double(checkpoint, oxides):
    assert load_backbone(str(checkpoint("plain", "float32"))).accelerate(oxides[:1])
