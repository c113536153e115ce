"""A fine-tune with compiled convolutions trains what one without trains."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import equisparse
from equisparse.backbones.e3nn.fused import FusedConvolution

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the compiled functions that are called."""
    names: set[str] = set()
    call = FusedConvolution.call

    def recorded(self: FusedConvolution, name: str, *tensors: Any) -> None:
        names.add(name)
        call(self, name, *tensors)

    monkeypatch.setattr(FusedConvolution, "call", recorded)
    return names


@pytest.fixture
def trained(small_base: str, frames: dict[str, str], tmp_path: Path) -> Callable[[str], equisparse.Run]:
    """Function that trains the small base with a value of the option."""

    def train(choice: str) -> equisparse.Run:
        return equisparse.finetune(
            frames["train"],
            valid=frames["valid"],
            base=small_base,
            method=equisparse.make_method("full"),
            max_steps=4,
            batch_size=4,
            compile=choice,
            device="cpu",
            out=tmp_path / choice,
            report=False,
            force=True,
        )

    return train


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_both_forms_train_the_same_change(trained: Callable[[str], equisparse.Run], calls: set[str]) -> None:
    plain = trained("off")
    assert not calls
    compiled = trained("on")
    assert calls == {"value", "gradient", "second"}
    losses = [[epoch.valid_loss for epoch in run.curve] for run in (plain, compiled)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    changes = [run.adapter.stored for run in (plain, compiled)]
    assert changes[0].keys() == changes[1].keys()
