"""Sums of adapters: ``dW = sum_i c_i dW_i`` with ``dW_i = W'_i - W``, as a new adapter of the same base."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.blocks import Block, Layout
from equisparse.errors import AdapterMismatchError, InputError
from equisparse.formats.base import AbstractFormat, AbstractWeightFormat, Stored, stored_bytes
from equisparse.formats.dense import Dense
from equisparse.formats.entries import Entries, pack

COMBINED = "combined"
"""Entry of an adapter's metrics that lists the terms of a sum."""


def combine(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    *,
    names: Sequence[str] | None = None,
    backbone: AbstractBackbone | None = None,
) -> Adapter:
    """Adapter whose change is the weighted sum of the changes of others; reference-energy shifts are summed likewise.

    ``combine([a, b], [1, 1])`` adds, ``[1, -1]`` subtracts, and ``combine([a], [0.5])`` scales. Sums are taken in
    float64 and rounded once to the precision of the adapters. An element that an adapter has no shift for counts as
    zero there, which is what that adapter does.

    The result has the format `entries`, or `dense` where that is smaller. It was not trained by a method;
    ``metrics["combined"]`` lists its terms.

    Parameters
    ----------
    adapters : sequence of Adapter
        One or more, of one base, modality and precision, that change weights.
    weights : sequence of float
        One coefficient c_i per adapter.
    names : sequence of str, optional
        Names of the adapters in ``metrics["combined"]``; their methods by default.
    backbone : AbstractBackbone, optional
        The untouched base; needed only where an adapter multiplies weights (`scale`).

    Raises
    ------
    AdapterMismatchError
        If the adapters belong to different bases, modalities, precisions or tensors.
    InputError
        If there is not one finite coefficient an adapter, a sum is too large for the precision, or the base is needed
        and not given.
    StateError
        If an adapter changes no weights, or the base is not untouched.
    """
    _check_terms(adapters, weights)
    if backbone is not None:
        adapters[0].check_base(vars(backbone.identity))
        backbone.check_untouched()
    layout = _union([adapter.layout for adapter in adapters])
    sums = {name: _sum(adapters, weights, name, backbone) for name in layout.tensors}
    dtype = getattr(torch, adapters[0].dtype)
    changes = {name: change.to(dtype) for name, change in sums.items() if change is not None}
    if not all(bool(change.isfinite().all()) for change in changes.values()):
        raise InputError("The combined change is too large to be stored.", given=f"weights {list(weights)}")
    smallest, stored = smaller_format({name: change for name, change in changes.items() if bool(change.any())})
    terms = zip(names or [adapter.label for adapter in adapters], weights, adapters, strict=True)
    return Adapter(
        format=smallest,
        layout=layout,
        stored=stored,
        shifts=_shifts(adapters, weights),
        base=dict(adapters[0].base),
        dtype=adapters[0].dtype,
        elements=tuple(sorted({z for adapter in adapters for z in adapter.elements})),
        modality=adapters[0].modality,
        metrics={COMBINED: [_origin(name, weight, adapter) for name, weight, adapter in terms]},
    )


def _origin(name: str, weight: float, adapter: Adapter) -> dict[str, object]:
    """Plain values that say what one term of a sum was."""
    seed = {"seed": adapter.metrics["seed"]} if "seed" in adapter.metrics else {}
    return {"name": name, "weight": float(weight), "method": adapter.label} | seed


def describe_combination(adapter: Adapter) -> str | None:
    """Terms of a sum of adapters in words, such as ``+0.5 * a +0.5 * b``; None for an adapter that is no sum."""
    if COMBINED not in adapter.metrics:
        return None
    try:
        terms = [
            (float(term["weight"]), str(term["name"]))
            for term in cast(list[Mapping[str, Any]], adapter.metrics[COMBINED])
        ]
    except (TypeError, ValueError, LookupError, OverflowError):  # a file may say anything
        return "something that its file does not tell"
    return " ".join(f"{weight:+g} * {name if name.isprintable() else ascii(name)}" for weight, name in terms)


def _check_terms(adapters: Sequence[Adapter], weights: Sequence[float]) -> None:
    """Raise unless there is one finite coefficient for every adapter, and their changes can be added."""
    if not adapters or len(adapters) != len(weights) or not all(map(math.isfinite, weights)):
        raise InputError(
            "Every adapter needs one finite weight.",
            given=f"{len(adapters)} adapters and the weights {' '.join(map(str, weights)) or 'none'}",
            expected="as many weights as adapters, at least one",
            next_step="give, for example, --weights 0.5 0.5 for two adapters",
        )
    for adapter in adapters:
        adapter.check_mergeable()
        adapter.check_spin_free("adding")
        adapter.check_fits(adapters[0].base, adapters[0].modality, adapters[0].dtype)


def _union(layouts: Sequence[Layout]) -> Layout:
    """Layout of the tensors of all layouts, in the order in which they first come."""
    blocks: dict[str, tuple[Block, ...]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for layout in layouts:
        for name in layout.tensors:
            found = (layout.of(name), layout.tensor_shapes[name], layout.total_parameters)
            if found != (blocks.get(name, found[0]), shapes.get(name, found[1]), layouts[0].total_parameters):
                raise AdapterMismatchError(
                    "The tensors of the adapters do not fit each other.",
                    given=f"{name} of shape {found[1]}, one of {found[2]} parameters",
                    expected=f"shape {shapes.get(name, found[1])}, one of {layouts[0].total_parameters} parameters",
                    cause="adapters of models of different versions",
                )
            blocks[name], shapes[name] = found[:2]
    return Layout(tuple(block for part in blocks.values() for block in part), shapes, layouts[0].total_parameters)


def _sum(
    adapters: Sequence[Adapter], weights: Sequence[float], name: str, backbone: AbstractBackbone | None
) -> Tensor | None:
    """Weighted sum of the changes of one tensor, float64; None if no adapter stores one."""
    parts = [
        weight * _change(adapter, name, backbone)
        for adapter, weight in zip(adapters, weights, strict=True)
        if name in adapter.stored
    ]
    return torch.stack(parts).sum(0) if parts else None


def _change(adapter: Adapter, name: str, backbone: AbstractBackbone | None) -> Tensor:
    """What an adapter adds to one tensor, float64, of the tensor's shape."""
    stored_format = adapter.format
    assert isinstance(stored_format, AbstractWeightFormat)  # noqa: S101  checked before
    if stored_format.additive:
        base = torch.zeros(adapter.layout.tensor_shapes[name], dtype=torch.float64)
    elif backbone is None:
        raise InputError(
            f"The method {adapter.label} multiplies weights: what it adds depends on the base.",
            given="no base model",
            expected=str(adapter.base["source"]),
            next_step=f"give the base with --base {adapter.base['source']}",
        )
    else:
        base = backbone.model.get_parameter(name).detach().double().cpu()
    return stored_format.apply(base, adapter.stored[name], adapter.layout.of(name)) - base


def smaller_format(changes: Mapping[str, Tensor]) -> tuple[AbstractFormat, dict[str, Stored]]:
    """The changes by tensor name in the format that takes fewer bytes: `entries` or `dense`."""
    packed = {name: pack(change) for name, change in changes.items()}
    dense: dict[str, Stored] = {name: {"change": change} for name, change in changes.items()}
    if sum(map(stored_bytes, packed.values())) <= sum(map(stored_bytes, dense.values())):
        return Entries(), packed
    return Dense(), dense


def _shifts(adapters: Sequence[Adapter], weights: Sequence[float]) -> dict[int, float]:
    """Weighted sums of the shifts by atomic number, eV."""
    pairs = list(zip(adapters, weights, strict=True))
    numbers = sorted({z for adapter in adapters for z in adapter.shifts})
    return {z: math.fsum(weight * adapter.shifts.get(z, 0.0) for adapter, weight in pairs) for z in numbers}
