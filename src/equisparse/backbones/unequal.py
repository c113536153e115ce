"""Differences between two models of one upstream that are no differences of weights."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equisparse.backbones.base import AbstractBackbone
from equisparse.wording import counted

ROUNDING = 1e-6
"""Difference of constants, as a fraction of their largest magnitude, that is rounding: a few units of float32."""


@dataclass(frozen=True)
class Unequal:
    """One difference between a base and a fine-tuned checkpoint.

    Parameters
    ----------
    what : str
        Name of a parameter, a buffer, an attribute of a module or a property of the model.
    base, finetuned : str
        Its value or shape in both; for a tensor of values, the largest difference.
    """

    what: str
    base: str
    finetuned: str

    def __str__(self) -> str:
        return f"{self.what}: {self.finetuned}, in the base {self.base}"


def unequal_properties(base: AbstractBackbone, finetuned: AbstractBackbone) -> list[Unequal]:
    """Elements, cutoff and upstream that differ."""
    found = []
    if base.name != finetuned.name:
        found.append(Unequal("upstream", base.name, finetuned.name))
    orders = [backbone.element_order or tuple(sorted(backbone.elements)) for backbone in (base, finetuned)]
    if orders[0] != orders[1]:
        names = [f"{counted(len(order), 'element')} ({_symbols(order)})" for order in orders]
        found.append(Unequal("elements", *names))
    if not math.isclose(base.cutoff, finetuned.cutoff, rel_tol=ROUNDING):
        found.append(Unequal("cutoff", f"{base.cutoff:g} Angstrom", f"{finetuned.cutoff:g} Angstrom"))
    return found


def unequal_structure(base: nn.Module, finetuned: nn.Module) -> list[Unequal]:
    """Classes of modules, and names and shapes of parameters and buffers, that differ."""
    classes = [{name: type(module).__name__ for name, module in model.named_modules()} for model in (base, finetuned)]
    shapes = [
        {name: str(tuple(tensor.shape)) for name, tensor in _tensors(model).items()} for model in (base, finetuned)
    ]
    return [*_unequal_texts("module ", *classes), *_unequal_texts("", *shapes)]


def unequal_constants(base: nn.Module, finetuned: nn.Module, without: str = "") -> list[Unequal]:
    """Buffers, and numbers among the attributes of modules, that differ by more than rounding.

    Parameters
    ----------
    base, finetuned : Module
        Of one structure: see `unequal_structure`.
    without : str
        Name of a buffer that is not compared.
    """
    found = []
    buffers = dict(finetuned.named_buffers())
    for name, buffer in base.named_buffers():
        if name != without and not _equal(buffer, buffers[name]):
            found.append(_unequal_buffer(name, buffer, buffers[name]))
    ours, theirs = _numbers(base), _numbers(finetuned)
    common = [name for name in ours if name in theirs]
    unequal = [name for name in common if not math.isclose(ours[name], theirs[name], rel_tol=ROUNDING)]
    return found + [Unequal(name, f"{ours[name]:g}", f"{theirs[name]:g}") for name in unequal]


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _unequal_texts(prefix: str, base: Mapping[str, str], finetuned: Mapping[str, str]) -> Iterator[Unequal]:
    """Entries that differ, or that one lacks."""
    for name in {**base, **finetuned}:
        values = [texts.get(name, "none") for texts in (base, finetuned)]
        if values[0] != values[1]:
            yield Unequal(f"{prefix}{name}", *values)


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two constants of one shape are equal within rounding."""
    if not one.is_floating_point():
        return bool((one == other).all())
    largest = float(one.abs().max()) if one.numel() else 0.0
    return torch.allclose(one.double(), other.double(), rtol=0.0, atol=ROUNDING * largest, equal_nan=True)


def _unequal_buffer(name: str, base: Tensor, finetuned: Tensor) -> Unequal:
    """Difference of a buffer: both values where it is a single number, the largest difference otherwise."""
    if base.numel() == 1:
        return Unequal(name, f"{base.item():g}", f"{finetuned.item():g}")
    largest = float((finetuned.double() - base.double()).abs().max())
    return Unequal(
        name, f"magnitudes up to {float(base.double().abs().max()):g}", f"other values by up to {largest:.2g}"
    )


def _numbers(model: nn.Module) -> dict[str, float]:
    """Public attributes of modules that are numbers, such as the average number of neighbours."""
    return {
        f"{name}.{attribute}".lstrip("."): float(value)
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, (int, float)) and not attribute.startswith("_") and attribute != "training"
    }


def _symbols(order: tuple[int, ...]) -> str:
    """Symbols of the first elements of a list."""
    from ase.data import chemical_symbols

    shown = " ".join(chemical_symbols[z] for z in order[:8])
    return f"{shown} ..." if len(order) > 8 else shown
