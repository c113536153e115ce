"""A pull towards the base, layer by layer: on structures unlike the data, every layer goes on giving what it gave."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equisparse.adapters.attach import Attachment
from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import Layout

MOST_ROWS = 2000
"""Rows that are kept of a layer."""
ROWS_A_STEP = 128
"""Rows that a step looks at in every layer."""


class LayerRows(NamedTuple):
    """Inputs and outputs of a layer of the base, one row per atom: shapes (n, columns in) and (n, columns out)."""

    inputs: Tensor
    outputs: Tensor


def layer_rows(model: nn.Module, layout: Layout, predict: Callable[[], object], seed: int = 0) -> dict[str, LayerRows]:
    """Rows of the modules that own the layout's weights and map one tensor to another, by the name of a weight.

    Parameters
    ----------
    model : Module
        The untouched base.
    layout : Layout
        Weights that may change.
    predict : callable
        Runs the model over the structures that are to be kept.
    seed : int
        Of the choice of rows, where there are more than `MOST_ROWS`.
    """
    owners = {parameter_owner(model, tensor)[0]: tensor for tensor in layout.tensors}
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if len(inputs) == 1 and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            seen.setdefault(owners[module], []).append((inputs[0].detach(), output.detach()))

    handles = [module.register_forward_hook(keep) for module in owners]
    try:
        predict()
    finally:
        for handle in handles:
            handle.remove()
    generator = torch.Generator().manual_seed(seed)
    return {tensor: _some_rows(pairs, generator) for tensor, pairs in seen.items()}


class Anchor:
    """The penalty ``weight * mean_l |f'_l(x) - f_l(x)|^2 / |f_l(x)|^2``, x rows that the base's layer l took.

    It costs no pass through the model: each layer is asked alone. For linear layers it is L2-SP (Li et al., arXiv
    1802.01483) with the second moments of a layer's inputs as metric, so that weights may move where structures unlike
    the data do not notice.

    Parameters
    ----------
    attachment : Attachment
        Of any method.
    rows : mapping of str to LayerRows
        From `layer_rows`; layers that gave zero do not count.
    weight : float
    seed : int
        Of the rows that a step looks at.
    """

    def __init__(self, attachment: Attachment, rows: Mapping[str, LayerRows], weight: float, seed: int = 0) -> None:
        self._weight, self._seed = weight, seed
        sizes = {tensor: layer.outputs.square().mean() for tensor, layer in rows.items()}
        self._layers = [
            (parameter_owner(attachment.model, tensor)[0], layer, sizes[tensor])
            for tensor, layer in rows.items()
            if sizes[tensor] > 0
        ]

    def penalty(self, step: int) -> Tensor:
        """Penalty of the present weights, shape (); rows depend on the seed and the step alone."""
        generator = torch.Generator().manual_seed(1_000_003 * self._seed + step)
        moved = [self._moved(module, layer, generator) / size for module, layer, size in self._layers]
        return self._weight * torch.stack(moved).mean()

    def _moved(self, module: nn.Module, layer: LayerRows, generator: torch.Generator) -> Tensor:
        """Mean square change of a layer's outputs on some of its rows."""
        some = torch.randint(len(layer.inputs), (ROWS_A_STEP,), generator=generator).to(layer.inputs.device)
        change: Tensor = module(layer.inputs[some]) - layer.outputs[some]
        return change.square().mean()


def _some_rows(pairs: Sequence[tuple[Tensor, Tensor]], generator: torch.Generator) -> LayerRows:
    """Rows of several passes, at most `MOST_ROWS`."""
    inputs = torch.cat([inputs for inputs, _ in pairs])
    outputs = torch.cat([outputs for _, outputs in pairs])
    some = torch.randperm(len(inputs), generator=generator)[:MOST_ROWS].to(inputs.device)
    return LayerRows(inputs[some], outputs[some])
