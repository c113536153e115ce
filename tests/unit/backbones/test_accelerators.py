"""Accelerators: which is used, what is refused, and that one which gives other numbers is not used."""

import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType
from typing import ClassVar

import pytest
import torch
from ase import Atoms

from equisparse.backbones import accelerators
from equisparse.backbones.accelerators import check_usable, use_accelerator
from equisparse.errors import BackboneError, MissingPackageError
from equisparse.testing.toy import ToyBackbone

FRAMES = [Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])]


class WithKernels(ToyBackbone):
    """Backbone with three accelerators, of which FlashTP changes the numbers and cuEquivariance cannot be built."""

    accelerators: ClassVar = {"oeq": ("cuda",), "flash": ("cuda",), "cueq": ("cuda", "cpu")}
    attached: tuple[str, ...] = ()

    def graph(self, atoms: Atoms) -> torch.Tensor:
        return torch.tensor(atoms.positions, dtype=self.dtype)  # on the CPU, wherever the backbone says that it is

    def attach_kernels(self, accelerator: str) -> None:
        self.attached += (accelerator,)
        if accelerator == "flash":
            with torch.no_grad():
                next(self.model.parameters()).mul_(1 + 1e-4)
        if accelerator == "cueq":
            raise RuntimeError("no compiler\nsecond line")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let exactly these packages be importable."""

    def only(*names: str) -> None:
        for accelerator in accelerators.ACCELERATORS.values():
            module = ModuleType(accelerator.package) if accelerator.package in names else None
            monkeypatch.setitem(sys.modules, accelerator.package, module)

    return only


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> WithKernels:
    """Backbone that says it is on a GPU."""
    monkeypatch.setattr(accelerators, "_current", lambda _: nullcontext())
    backbone = WithKernels.load("toy-1")
    backbone.device = torch.device("cuda")
    return backbone  # type: ignore[return-value]


def test_auto_uses_none_on_a_cpu(installed: Callable[..., None]) -> None:
    installed("openequivariance", "flashTP_e3nn", "cuequivariance_torch")
    assert use_accelerator(WithKernels.load("toy-1"), "auto", FRAMES) is None


def test_auto_uses_the_first_that_passes(
    on_gpu: WithKernels, installed: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    installed()
    assert use_accelerator(on_gpu, "auto", FRAMES) is None
    installed("openequivariance", "flashTP_e3nn")
    assert use_accelerator(on_gpu, "none", FRAMES) is None
    assert use_accelerator(on_gpu, "auto", []) is None
    assert use_accelerator(on_gpu, "auto", FRAMES) == "OpenEquivariance"
    assert on_gpu.attached == ("oeq",)
    installed("flashTP_e3nn", "cuequivariance_torch")
    with caplog.at_level(logging.WARNING):
        assert use_accelerator(on_gpu, "auto", FRAMES) is None
    assert [message.split(" is not used")[0] for message in caplog.messages] == ["FlashTP", "cuEquivariance"]
    assert not any("\n" in message for message in caplog.messages)
    assert on_gpu.attached == ("oeq",)


def test_a_chosen_one_is_used_or_the_run_ends(on_gpu: WithKernels, installed: Callable[..., None]) -> None:
    installed("openequivariance", "flashTP_e3nn", "cuequivariance_torch")
    assert use_accelerator(on_gpu, "oeq", FRAMES) == "OpenEquivariance"
    with pytest.raises(BackboneError, match=r"FlashTP gives other numbers(.|\n)*float64(.|\n)*at most 1e-06"):
        use_accelerator(on_gpu, "flash", FRAMES)
    with pytest.raises(BackboneError, match=r"cuEquivariance cannot be used(.|\n)*no compiler\n(.|\n)*next step"):
        use_accelerator(on_gpu, "cueq", FRAMES)
    on_gpu.check_untouched()


def test_what_is_missing_is_named(on_gpu: WithKernels, installed: Callable[..., None]) -> None:
    installed()
    with pytest.raises(MissingPackageError, match=r"OpenEquivariance cannot be imp(.|\n)*pip install openequivariance"):
        check_usable(on_gpu, "oeq")
    with pytest.raises(BackboneError, match=r"does not run on this device(.|\n)*--device cpu(.|\n)*--device cuda\n"):
        check_usable(WithKernels.load("toy-1"), "oeq")
    with pytest.raises(BackboneError, match=r"cannot be used with the backbone toy(.|\n)*expected: none"):
        check_usable(ToyBackbone.load("toy-1"), "oeq")
    for choice in ("auto", "none"):
        check_usable(ToyBackbone.load("toy-1"), choice)
