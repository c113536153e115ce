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
from equisparse.wording import counted

COMBINED = "combined"
"""Key of the terms of a sum in the metrics of an adapter."""


def combine(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    *,
    names: Sequence[str] | None = None,
    backbone: AbstractBackbone | None = None,
) -> Adapter:
    """Weighted sum of adapters, as a new adapter; reference-energy shifts are summed in the same way.

    ``combine([a, b], [1, 1])`` adds, ``[1, -1]`` subtracts, and ``combine([a], [0.5])`` scales. Sums are taken in
    float64 and rounded once to the precision of the adapters. The shift of an element that an adapter
    does not have is zero.

    The result has the format `entries`, or `dense` if that is smaller. No method trained it;
    ``metrics["combined"]`` lists its terms.

    Parameters
    ----------
    adapters : sequence of Adapter
        One or more adapters of one base, modality and precision, all of which change weights.
    weights : sequence of float
        One coefficient c_i per adapter.
    names : sequence of str, optional
        Names of the adapters in ``metrics["combined"]``; their methods by default.
    backbone : AbstractBackbone, optional
        Untouched base; needed only if an adapter multiplies weights (method `scale`).

    Raises
    ------
    AdapterMismatchError
        If the adapters belong to different bases, modalities, precisions or tensors.
    InputError
        If there is not one finite coefficient per adapter, a sum overflows the precision, or the base is missing.
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
    """Plain values that describe one term of a sum."""
    seed = {"seed": adapter.metrics["seed"]} if "seed" in adapter.metrics else {}
    return {"name": name, "weight": float(weight), "method": adapter.label} | seed


def describe_combination(adapter: Adapter) -> str | None:
    """Describe the terms of a sum of adapters, such as ``+0.5 * a +0.5 * b``; None if the adapter is not a sum."""
    if COMBINED not in adapter.metrics:
        return None
    try:
        terms = [
            (float(term["weight"]), str(term["name"]))
            for term in cast(list[Mapping[str, Any]], adapter.metrics[COMBINED])
        ]
    except (TypeError, ValueError, LookupError, OverflowError):  # untrusted input
        return "unreadable terms"
    return " ".join(f"{weight:+g} * {name if name.isprintable() else ascii(name)}" for weight, name in terms)


def _check_terms(adapters: Sequence[Adapter], weights: Sequence[float]) -> None:
    """Raise unless there is one finite coefficient for every adapter, and their changes can be added."""
    if not adapters or len(adapters) != len(weights) or not all(map(math.isfinite, weights)):
        raise InputError(
            "Every adapter needs one finite weight.",
            given=f"{counted(len(adapters), 'adapter')} and the weights {' '.join(map(str, weights)) or 'none'}",
            expected="as many weights as adapters, at least one",
            next_step="give, for example, --weights 0.5 0.5 for two adapters",
        )
    for adapter in adapters:
        adapter.check_mergeable()
        adapter.check_spin_free("adding")
        adapter.check_fits(adapters[0].base, adapters[0].modality, adapters[0].dtype)


def _union(layouts: Sequence[Layout]) -> Layout:
    """Layout of the tensors of all layouts, in the order of first occurrence."""
    blocks: dict[str, tuple[Block, ...]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for layout in layouts:
        for name in layout.tensors:
            own_blocks, shape = layout.of(name), layout.tensor_shapes[name]
            fits = blocks.get(name, own_blocks) == own_blocks and shapes.get(name, shape) == shape
            if not fits or layout.total_parameters != layouts[0].total_parameters:
                raise AdapterMismatchError(
                    "The tensors of the adapters do not fit each other.",
                    given=f"{name} of shape {shape}, one of {layout.total_parameters} parameters",
                    expected=f"shape {shapes.get(name, shape)}, one of {layouts[0].total_parameters} parameters",
                    cause="adapters of models of different versions",
                )
            blocks[name], shapes[name] = own_blocks, shape
    all_blocks = tuple(block for own_blocks in blocks.values() for block in own_blocks)
    return Layout(all_blocks, shapes, layouts[0].total_parameters)


def _sum(
    adapters: Sequence[Adapter], weights: Sequence[float], name: str, backbone: AbstractBackbone | None
) -> Tensor | None:
    """Weighted sum of the changes of one tensor, float64; None if no adapter stores one."""
    changes = [
        weight * _change(adapter, name, backbone)
        for adapter, weight in zip(adapters, weights, strict=True)
        if name in adapter.stored
    ]
    return torch.stack(changes).sum(0) if changes else None


def _change(adapter: Adapter, name: str, backbone: AbstractBackbone | None) -> Tensor:
    """Change of one tensor by an adapter, float64, of the tensor's shape."""
    stored_format = adapter.format
    assert isinstance(stored_format, AbstractWeightFormat)  # noqa: S101  checked before
    if stored_format.additive:
        base = torch.zeros(adapter.layout.tensor_shapes[name], dtype=torch.float64)
    elif backbone is None:
        raise InputError(
            f"The method {adapter.label} multiplies weights, so its change depends on the base.",
            given="no base model",
            expected=str(adapter.base["source"]),
            next_step=f"give the base with --base {adapter.base['source']}",
        )
    else:
        base = backbone.model.get_parameter(name).detach().double().cpu()
    return stored_format.apply(base, adapter.stored[name], adapter.layout.of(name)) - base


def smaller_format(changes: Mapping[str, Tensor]) -> tuple[AbstractFormat, dict[str, Stored]]:
    """Store changes by tensor name in the format that needs fewer bytes: `entries` or `dense`."""
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
