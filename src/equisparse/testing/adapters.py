"""Adapters with random values on a small model, to test operations on adapters."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from equisparse.adapters.adapter import Adapter, adapter_of
from equisparse.adapters.attach import attach
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.blocks import Layout
from equisparse.methods.registry import make_method
from equisparse.testing.networks import PathNetwork

IDENTITY = BaseId("none", "path network", "0" * 64, "0")
"""Identity of the base in tests."""

_OPTIONS: Mapping[str, Mapping[str, Any]] = {"elora": {"rank": 2}, "mmea": {"rank": 2}}

_STEPS = 4


class _PathBackbone(SimpleNamespace):
    """Part of a backbone that needs no upstream package."""

    check_untouched = AbstractBackbone.check_untouched


def path_backbone(layout: Layout, dtype: torch.dtype = torch.float32, seed: int = 0) -> AbstractBackbone:
    """Create a base model from a `PathNetwork`; it cannot predict."""
    model = PathNetwork(layout, dtype, seed)
    loaded = fingerprint(dict(model.named_parameters()))
    backbone = _PathBackbone(model=model, identity=IDENTITY, dtype=dtype, modality=None, loaded=loaded)
    return cast(AbstractBackbone, backbone)


def random_adapter(
    base: AbstractBackbone, layout: Layout, method: str, seed: int, shifts: Mapping[int, float] | None = None
) -> Adapter:
    """Create an adapter of `base` with random values of all trained parameters; the base is untouched afterwards.

    Parameters
    ----------
    base : AbstractBackbone
    layout : Layout
        Selected tensors.
    method : str
        Name of the method; `sparse` changes a quarter of the weights.
    seed : int
        Seed of the values.
    shifts : mapping of int to float, optional
        Atomic number -> eV.
    """
    quarter = {"changed": (layout.numel + 3) // 4 / layout.total_parameters}
    options = quarter if method == "sparse" else _OPTIONS.get(method)
    attachment = attach(base.model, make_method(method, options), layout, seed=seed)
    generator = torch.Generator().manual_seed(seed)

    def noise(values: Tensor) -> Tensor:
        return torch.randn(values.shape, generator=generator, dtype=torch.float64).to(values)

    with torch.no_grad():
        for parameter in (parameter for delta in attachment.deltas.values() for parameter in delta.parameters()):
            parameter.add_(noise(parameter))
    controller = attachment.controller()

    def probes() -> Iterator[None]:
        for _, present in attachment.weights():
            (present * noise(present)).sum().backward()  # pruning ranks by gradients
        yield

    for step in range(_STEPS):
        controller.start_step(step, _STEPS, probes)
        next(probes())
        controller.before_step(step, _STEPS)
        controller.after_step(step, _STEPS)
    adapter = adapter_of(
        attachment, base=vars(base.identity), dtype=base.dtype, shifts=shifts or {}, elements=tuple(shifts or (1,))
    )
    attachment.detach()
    return adapter
