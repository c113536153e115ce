"""Checkpoints of NequIP are loaded and written in any precision, without a trace in the process or the file."""

import os
import random

import numpy as np
import pytest
import torch

pytest.importorskip("nequip", reason="the extra nequip is not installed")
import e3nn

from equisparse.adapters.attach import attach
from equisparse.backbones.registry import load_backbone
from equisparse.errors import StateError
from equisparse.methods.scale import Scale
from equisparse.quantities import ENERGY, FORCES
from equisparse.testing import backbones as laws


@pytest.mark.parametrize("stored", ["float32", "float64"])
def test_precisions_agree_and_have_one_fingerprint(checkpoint, load, oxides, stored):
    path = str(checkpoint("plain", stored))
    single, double = load(path, dtype="float32"), load(path, dtype="float64")
    assert single.identity == double.identity
    one, other = laws.predict(single, oxides), laws.predict(double, oxides)
    laws.ENERGY_TOLERANCE[torch.float32].check("energy", one[ENERGY], other[ENERGY])
    laws.FORCE_TOLERANCE[torch.float32].check("forces", one[FORCES], other[FORCES])
    laws.check_rotation(double, oxides[0])


@pytest.mark.parametrize("name", ["moving-average", "schedule-free"])
def test_native_checkpoints_hold_no_trace_of_the_training_before(checkpoint, load, tmp_path, name):
    backbone = load(str(checkpoint(name)), dtype="float64")
    backbone.save_native(tmp_path / "n.ckpt", {})
    contents = torch.load(tmp_path / "n.ckpt", weights_only=False)
    assert not [entry for entry in contents if "optimizer" in entry]
    for number, (parameter, weight) in enumerate(backbone.model.named_parameters()):
        written = contents["state_dict"][f"model.sole_model.{parameter}"]
        assert torch.equal(written, weight)
        assert torch.equal(contents["state_dict"].get(f"ema.ema_weight_{number}", written), weight)


def test_native_files_keep_their_precision(checkpoint, load, oxides, tmp_path):
    double = load(str(checkpoint("plain", "float32")), dtype="float64")
    double.save_native(tmp_path / "n.ckpt", {})
    again = load_backbone(str(tmp_path / "n.ckpt"))
    assert again.identity.sha256 == double.identity.sha256


def test_the_process_is_left_as_it_was(checkpoint, oxides):
    def state() -> tuple:
        return (
            torch.get_default_dtype(),
            torch.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002  the generator that upstream seeds
            dict(os.environ),
            torch.multiprocessing.get_sharing_strategy(),
            torch.backends.fp32_precision,
            dict(e3nn.get_optimization_defaults()),
        )

    before = state()
    backbone = load_backbone(str(checkpoint("plain")), dtype="float64")
    laws.check_calculator(backbone, backbone.upstream_calculator(checkpoint("plain")), oxides[:1])
    assert state() == before


def test_saving_an_attached_model_is_refused(checkpoint, load, tmp_path):
    backbone = load(str(checkpoint("plain")), dtype="float64")
    attachment = attach(backbone.model, Scale(), backbone.layout())
    with pytest.raises(StateError, match="detach the method first"):
        backbone.save_native(tmp_path / "m.ckpt", {})
    attachment.detach()
