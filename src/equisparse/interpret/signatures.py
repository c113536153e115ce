"""Weight signatures: change of each block of path weights relative to the weights of the base."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from equisparse.adapters.adapter import Adapter
from equisparse.blocks import Block

ELEMENT_ROLE = "embedding"
"""Role of tensors whose first axis runs over the elements that the base knows."""


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """Change of one block, or of the part of it that belongs to one element.

    Parameters
    ----------
    block : int
        Index of the block in the layout.
    tensor, layer, role, path, l, parity
        As in `equisparse.blocks.Block`.
    element : int or None
        Atomic number, if the row is the part of a block that belongs to one element.
    n_weights, n_changed : int
        Number of weights, and of those that differ from the base.
    fraction : float
        ``n_changed / n_weights``.
    relative_norm : float or None
        ``|W' - W| / |W|``, Frobenius norms; None if the base is zero.
    one_minus_r2 : float or None
        ``sum (W' - W)^2 / sum (W' - mean W')^2``: one minus the coefficient of determination of W' by W; None if all
        values of W' are equal.
    sign_balance : float or None
        Mean of ``sign(W' - W) sign(W)`` over changed weights: 1 if all magnitudes grow, -1 if all shrink; None without
        changes. It does not depend on the arbitrary signs of channels.
    largest : float
        Largest ``|W' - W|``.
    """

    block: int
    tensor: str
    layer: int
    role: str
    path: str
    l: int  # noqa: E741  the name that Block uses
    parity: int
    element: int | None
    n_weights: int
    n_changed: int
    fraction: float
    relative_norm: float | None
    one_minus_r2: float | None
    sign_balance: float | None
    largest: float


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One changed weight.

    Parameters
    ----------
    block : int
        Index of the block in the layout.
    position : str
        Indices in the block, from 0: input channel, element slot if there is one, output channel.
    base, change : float
        Weight W of the base, and its change W' - W.
    """

    block: int
    position: str
    base: float
    change: float


def signature_table(adapter: Adapter, model: nn.Module, elements: Sequence[int] | None = None) -> list[SignatureRow]:
    """One row per block of the adapter's layout, in its order, then one per element of blocks with an element axis.

    Parameters
    ----------
    adapter : Adapter
    model : Module
        The untouched base.
    elements : sequence of int, optional
        Atomic numbers in the order of the element axis; without them there are no rows per element.
    """
    of_blocks, of_elements = [], []
    for index, (block, base, changed) in enumerate(changed_blocks(adapter, model)):
        of_blocks.append(_row(index, block, base, changed))
        for element, part in element_parts(replace(block, offset=0, strides=()), elements):
            of_elements.append(_row(index, block, part.view(base), part.view(changed), element))
    return of_blocks + of_elements


def largest_entries(adapter: Adapter, model: nn.Module, count: int = 10) -> list[EntryRow]:
    """The `count` largest changes of every block, largest first; unchanged weights are omitted."""
    blocks = enumerate(changed_blocks(adapter, model))
    return [row for index, (_, base, changed) in blocks for row in _top(index, base, changed, count)]


def pooled_maps(adapter: Adapter, model: nn.Module, cells: int = 32) -> dict[int, Tensor]:
    """Root mean square change of every changed block on a grid of at most `cells` x `cells`.

    Returns
    -------
    dict of int to Tensor
        Index of the block in the layout -> grid, float32; rows are input channels, columns output channels.
    """
    maps = {}
    for index, (_, base, changed) in enumerate(changed_blocks(adapter, model)):
        change = (changed - base).reshape(base.shape[0], -1)
        if change.any():
            rows, columns = (min(cells, size) for size in change.shape)
            pooled = nn.functional.adaptive_avg_pool2d(change.square()[None, None], (rows, columns))[0, 0].sqrt()
            maps[index] = pooled.float()
    return maps


def changed_blocks(adapter: Adapter, model: nn.Module) -> Iterator[tuple[Block, Tensor, Tensor]]:
    """Each block with its weights in the base and in the adapted model, both float64 on the CPU."""
    base = {name: model.get_parameter(name) for name in adapter.layout.tensors}
    changed: Mapping[str, Tensor] = base | adapter.weights(model)
    for block in adapter.layout:
        before, after = (block.view(weights[block.tensor]).cpu().double() for weights in (base, changed))
        yield block, before, after


def element_parts(block: Block, elements: Sequence[int] | None) -> Iterator[tuple[int, Block]]:
    """Atomic number of each element, and the part of a block that belongs to it; nothing without an element axis.

    Parameters
    ----------
    block : Block
    elements : sequence of int or None
        Atomic numbers in the order of element axes.
    """
    count, shape = len(elements or ()), block.shape
    strides: tuple[int, ...]
    if len(block.shape) == 3 and block.shape[1] == count:
        axis, shape, strides = 1, (shape[0], shape[2]), (block.steps[0], block.steps[2])
    elif block.role == ELEMENT_ROLE and block.shape[0] == count:
        axis, shape, strides = 0, (1, *shape[1:]), block.steps
    else:
        return
    for slot, element in enumerate(elements or ()):
        yield element, replace(block, offset=block.offset + slot * block.steps[axis], shape=shape, strides=strides)


def _row(index: int, block: Block, base: Tensor, changed: Tensor, element: int | None = None) -> SignatureRow:
    """Signature of one block or of one part of it."""
    change = changed - base
    nonzero = change != 0
    count, squares = int(nonzero.sum()), float(change.square().sum())
    signs = (change.sign() * base.sign())[nonzero]
    return SignatureRow(
        block=index,
        tensor=block.tensor,
        layer=block.layer,
        role=block.role,
        path=block.path,
        l=block.l,
        parity=block.parity,
        element=element,
        n_weights=base.numel(),
        n_changed=count,
        fraction=count / base.numel(),
        relative_norm=_ratio(squares**0.5, float(base.norm())),
        one_minus_r2=_ratio(squares, float((changed - changed.mean()).square().sum())),
        sign_balance=float(signs.mean()) if count else None,
        largest=float(change.abs().max()),
    )


def _top(index: int, base: Tensor, changed: Tensor, count: int) -> Iterator[EntryRow]:
    """Largest changes of one block."""
    change = (changed - base).reshape(-1)
    for flat in change.abs().topk(min(count, change.numel())).indices.tolist():
        if change[flat] != 0:
            indices = torch.unravel_index(torch.tensor(flat), base.shape)
            position = " ".join(str(int(axis)) for axis in indices)
            yield EntryRow(index, position, float(base.reshape(-1)[flat]), float(change[flat]))


def _ratio(value: float, total: float) -> float | None:
    """``value / total``; None if `total` is zero."""
    return value / total if total else None
