"""A fine-tune with compiled convolutions trains what one without trains."""

import shutil

import pytest
import torch

import equisparse
from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.formats.entries import unpack


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_a_run_trains_the_same_change(small_base, frames, tmp_path, monkeypatch):
    calls = []
    call = equisparse.backbones.e3nn.fused.FusedConvolution.call
    monkeypatch.setattr(
        "equisparse.backbones.e3nn.fused.FusedConvolution.call",
        lambda self, name, *tensors: calls.append(name) or call(self, name, *tensors),
    )
