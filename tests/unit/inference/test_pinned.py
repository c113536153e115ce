"""Pinned memory: every tensor of a batch is copied once, and only for a GPU; a CPU has none, so it is faked."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from equisparse.inference.pinned import pinned

GPU, CPU = torch.device("cuda", 1), torch.device("cpu")


@dataclass(frozen=True)
class Spins:
    """Batch of a batch and a tensor, as that of a spin layer."""

    graph: Any
    spins: Tensor


class Known:
    """Batch that pins itself, as those of torch_geometric."""

    def pin_memory(self) -> str:
        return "pinned"


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of values of the tensors that are pinned."""
    sizes: list[int] = []

    def pin(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor.clone()

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    return sizes


def test_all_tensors_of_a_batch_are_pinned(copied: list[int]) -> None:
    batch = Spins({"positions": torch.ones(2, 3), "name": "x", "inner": [torch.ones(9)]}, torch.zeros(2))
    again = pinned(batch, GPU)
    assert sorted(copied) == [2, 6, 9]
    assert torch.equal(again.graph["positions"], batch.graph["positions"])
    assert again.graph["positions"] is not batch.graph["positions"]
    assert again.graph["name"] == "x"
    assert pinned(Known(), GPU) == "pinned"  # type: ignore[comparison-overlap]


def test_nothing_is_copied_for_a_cpu(copied: list[int]) -> None:
    batch = Spins({"positions": torch.ones(2, 3)}, torch.zeros(2))
    assert pinned(batch, CPU) is batch
    assert not copied
