"""Activation-matching penalty: on replay structures, the output of every layer stays close to that of the base."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equisparse.adapters.attach import Attachment
from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import Layout

MOST_ROWS = 2000
"""Largest number of rows that are stored per layer."""
ROWS_PER_STEP = 128
"""Rows of every layer that enter the penalty of one step."""


class LayerRows(NamedTuple):
    """Inputs and outputs of one layer of the base, one row per atom.

    Parameters
    ----------
    inputs : Tensor, shape (n, input columns)
    outputs : Tensor, shape (n, output columns)
    """

    inputs: Tensor
    outputs: Tensor


def layer_rows(model: nn.Module, layout: Layout, predict: Callable[[], object], seed: int = 0) -> dict[str, LayerRows]:
    """Record inputs and outputs of the modules that own the layout's weights and map one tensor to another.

    Parameters
    ----------
    model : Module
        The untouched base.
    layout : Layout
        Weights that may change.
    predict : callable
        Runs the model on the replay structures.
    seed : int
        Seed of the choice of rows, if a layer has more than `MOST_ROWS`.

    Returns
    -------
    dict of str to LayerRows
        Name of the weight that a module owns -> rows of the module.
    """
    owners = {parameter_owner(model, tensor)[0]: tensor for tensor in layout.tensors}
    recorded: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if len(inputs) == 1 and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            recorded.setdefault(owners[module], []).append((inputs[0].detach(), output.detach()))

    handles = [module.register_forward_hook(record) for module in owners]
    try:
        predict()
    finally:
        for handle in handles:
            handle.remove()
    generator = torch.Generator().manual_seed(seed)
    return {tensor: _some_rows(pairs, generator) for tensor, pairs in recorded.items()}


class Anchor:
    """Penalty ``weight * mean_l |f'_l(x) - f_l(x)|^2 / |f_l(x)|^2``, with inputs x of layer l of the base.

    It needs no pass through the whole model: each layer is evaluated alone. For linear layers it is L2-SP (Li et al.,
    arXiv 1802.01483) with the second moments of a layer's inputs as metric: weights may move in directions that do not
    change the outputs for replay structures.

    Parameters
    ----------
    attachment : Attachment
        Attachment of any method.
    rows : mapping of str to LayerRows
        Result of `layer_rows`; layers whose outputs are zero are ignored.
    weight : float
        Weight of the penalty.
    seed : int
        Seed of the choice of rows in every step.
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
        """Penalty of the present weights, shape (); its rows depend only on the seed and the step."""
        generator = torch.Generator().manual_seed(1_000_003 * self._seed + step)
        squares = [change.square().mean() / size for change, size in self._changes(generator)]
        return self._weight * torch.stack(squares).mean()

    def random_combination(self, generator: torch.Generator) -> Tensor:
        """Random combination of the changes, shape (): the mean outer product of its gradients is the curvature.

        See `equisparse.training.probes.random_combination`.
        """
        terms = []
        for change, size in self._changes(generator):
            noise = torch.randn(change.shape, generator=generator, dtype=torch.float64).to(change)
            scale = (2 * self._weight / (len(self._layers) * float(size) * change.numel())) ** 0.5
            terms.append(scale * (noise * change).sum())
        return torch.stack(terms).sum()

    def _changes(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Change of the outputs of each layer on some of its rows, and the mean square of its outputs."""
        for module, layer, size in self._layers:
            rows = torch.randint(len(layer.inputs), (ROWS_PER_STEP,), generator=generator).to(layer.inputs.device)
            yield module(layer.inputs[rows]) - layer.outputs[rows], size


def _some_rows(pairs: Sequence[tuple[Tensor, Tensor]], generator: torch.Generator) -> LayerRows:
    """Randomly chosen rows of several passes, at most `MOST_ROWS`."""
    inputs = torch.cat([inputs for inputs, _ in pairs])
    outputs = torch.cat([outputs for _, outputs in pairs])
    chosen = torch.randperm(len(inputs), generator=generator)[:MOST_ROWS].to(inputs.device)
    return LayerRows(inputs[chosen], outputs[chosen])
