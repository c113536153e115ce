"""Differences between two models are found by name, and rounding is none."""

import copy

import pytest
import torch
from torch import nn

from equisparse.backbones.unequal import unequal_constants, unequal_structure


class Toy(nn.Module):
    """A model with a weight, a constant, reference energies and an average number of neighbours."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.mix = nn.Linear(width, 2)
        self.register_buffer("scale", torch.tensor([1.5, 2.0, 3.0]))
        self.register_buffer("references", torch.tensor([-1.0, -2.0]))
        self.register_buffer("slots", torch.tensor([0, 1]))
        self.neighbours = 8.5


def texts(found: list) -> list[str]:
    return [str(one) for one in found]


def test_weights_and_rounding_are_no_differences() -> None:
    base = Toy()
    other = copy.deepcopy(base)
    with torch.no_grad():
        other.mix.weight.add_(1.0)
        other.scale.mul_(1 + 1e-7)
    other.eval()
    assert unequal_structure(base, other) == []
    assert unequal_constants(base, other) == []


def test_structures() -> None:
    assert texts(unequal_structure(Toy(), Toy(4))) == ["mix.weight: (2, 4), in the base (2, 3)"]
    other = Toy()
    other.mix = nn.Sequential(nn.Linear(3, 2))  # type: ignore[assignment]
    found = texts(unequal_structure(Toy(), other))
    assert found[0] == "module mix: Sequential, in the base Linear"
    assert "mix.weight: none, in the base (2, 3)" in found
    assert "mix.0.weight: (2, 3), in the base none" in found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("scale", torch.tensor([1.5, 2.0, 3.5]), "scale: other values by up to 0.5, in the base magnitudes up to 3"),
        ("slots", torch.tensor([1, 0]), "slots: other values by up to 1, in the base magnitudes up to 1"),
        ("neighbours", 12.25, "neighbours: 12.25, in the base 8.5"),
    ],
)
def test_constants(name: str, value: object, expected: str) -> None:
    other = Toy()
    setattr(other, name, value)
    assert texts(unequal_constants(Toy(), other)) == [expected]


def test_reference_energies_can_be_left_out() -> None:
    other = Toy()
    other.references = torch.tensor([-1.0, -9.0])
    assert len(unequal_constants(Toy(), other)) == 1
    assert unequal_constants(Toy(), other, without="references") == []
