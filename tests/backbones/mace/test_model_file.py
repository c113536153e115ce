"""Files of MACE are loaded and written with any head and in any precision, and leave the process as it was."""

import os

import pytest
import torch

from equisparse.adapters.attach import attach
from equisparse.backbones import upstream
from equisparse.backbones.registry import load_backbone
from equisparse.errors import BackboneError, StateError
from equisparse.methods.scale import Scale
from equisparse.quantities import ENERGY, FORCES
from equisparse.testing import backbones as laws

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)


def test_heads_differ_and_shifts_of_one_leave_the_other(model_file, heads, load, oxides, tmp_path):
    path = str(model_file("heads"))
    one, other = (load(path, dtype="float64", modality=head) for head in heads)
    before = laws.predict(one, oxides)[ENERGY]
    assert not torch.allclose(before, laws.predict(other, oxides)[ENERGY])
    other.save_native(tmp_path / "m.model", {8: 1.0})
    again = load_backbone(str(tmp_path / "m.model"), dtype="float64", modality=heads[0])
    assert torch.equal(laws.predict(again, oxides)[ENERGY], before)
    with pytest.raises(BackboneError, match="PBE or R2SCAN"):
        load_backbone(path)


@pytest.mark.parametrize("stored", [torch.float32, torch.float64])
def test_precisions_agree_and_have_one_fingerprint(model_file, load, oxides, stored):
    path = str(model_file("scale-shift", stored))
    single, double = load(path, dtype="float32"), load(path, dtype="float64")
    assert single.identity == double.identity
    one, other = laws.predict(single, oxides), laws.predict(double, oxides)
    laws.ENERGY_TOLERANCE[torch.float32].check("energy", one[ENERGY], other[ENERGY])
    laws.FORCE_TOLERANCE[torch.float32].check("forces", one[FORCES], other[FORCES])


def test_the_process_is_left_as_it_was(model_file, oxides):
    state = dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()
    backbone = load_backbone(str(model_file("scale-shift")), dtype="float64")
    laws.check_calculator(backbone, backbone.upstream_calculator(model_file("scale-shift")), oxides[:1])
    assert (dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()) == state


def test_saving_an_attached_model_is_refused(model_file, load, tmp_path):
    backbone = load(str(model_file("scale-shift")), dtype="float64")
    attachment = attach(backbone.model, Scale(), backbone.layout())
    with pytest.raises(StateError, match="detach the method first"):
        backbone.save_native(tmp_path / "m.model", {})
    attachment.detach()
