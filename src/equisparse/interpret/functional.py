"""Functional signatures: change of the outputs of a model's layers, by degree l and by element."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import Block


@dataclass(frozen=True, slots=True)
class FunctionalRow:
    """Change of the output of one module, over the atoms of some frames.

    Parameters
    ----------
    tensor, layer, role
        As in `equisparse.blocks.Block`, of the weight that the module owns.
    l, parity : int
        Degree and parity of the irrep of the output.
    element : int or None
        Atomic number of the atoms; None for all.
    relative_change : float or None
        ``|y' - y| / |y|`` over channels, components and atoms; None where the output of the base is zero. It includes
        the effect of earlier layers on the module's input.
    """

    tensor: str
    layer: int
    role: str
    l: int  # noqa: E741  the name that Block uses
    parity: int
    element: int | None
    relative_change: float | None


def functional_table(
    adapter: Adapter, model: nn.Module, numbers: NDArray[np.int64], predict: Callable[[], object]
) -> list[FunctionalRow]:
    """Changes of the outputs of all modules that own a weight of the layout and output one row of irreps per atom.

    Parameters
    ----------
    adapter : Adapter
    model : Module
        The untouched base; untouched again afterwards, bit for bit.
    numbers : array of int, shape (n_atoms,)
        Atomic numbers, in the order of the model's rows.
    predict : callable
        Function that runs `model` with its present weights once over these atoms.
    """
    with recorded(adapter, model) as before:
        predict()
    with adapter.applied(model), recorded(adapter, model) as after:
        predict()
    rows = []
    for tensor in adapter.layout.tensors:
        module, block = parameter_owner(model, tensor)[0], adapter.layout.of(tensor)[0]
        if tensor in before and len(before[tensor]) == len(numbers):
            rows += list(_rows(block, module, before[tensor], after[tensor], numbers))
    return rows


@contextmanager
def recorded(adapter: Adapter, model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Record, within the block, the outputs of the modules that own the layout's weights: float64, by tensor name."""
    outputs: dict[str, Tensor] = {}

    def keep(tensor: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs[tensor] = output.detach().cpu().double()

        return hook

    owners = {tensor: parameter_owner(model, tensor)[0] for tensor in adapter.layout.tensors}
    handles = [
        module.register_forward_hook(keep(tensor)) for tensor, module in owners.items() if hasattr(module, "irreps_out")
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _rows(
    block: Block, module: nn.Module, before: Tensor, after: Tensor, numbers: NDArray[np.int64]
) -> Iterator[FunctionalRow]:
    """One row per irrep and element."""
    columns: dict[tuple[int, int], list[int]] = {}
    first = 0
    for multiplicity, irrep in module.irreps_out:  # type: ignore[union-attr]
        width = multiplicity * (2 * irrep.l + 1)
        columns.setdefault((irrep.l, irrep.p), []).extend(range(first, first + width))
        first += width
    groups: dict[int | None, Tensor] = {None: torch.ones(len(numbers), dtype=torch.bool)}
    groups |= {int(z): torch.from_numpy(numbers == z) for z in np.unique(numbers)}
    for (degree, parity), indices in sorted(columns.items()):
        for element, atoms in groups.items():
            base, changed = before[atoms][:, indices], after[atoms][:, indices]
            size = float(base.norm())
            change = float((changed - base).norm()) / size if size else None
            yield FunctionalRow(block.tensor, block.layer, block.role, degree, parity, element, change)
