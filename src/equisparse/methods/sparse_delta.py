"""Change of a tensor whose entries are removed on the way; the others are trained on from new values."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block
from equisparse.formats.base import Stored
from equisparse.formats.entries import compact_dtype, pack
from equisparse.formats.products import order_of_entries, tiled
from equisparse.methods.base import AbstractDelta, ParameterGroup
from equisparse.methods.curvature import Curvature
from equisparse.methods.parametrization import make_parametrization
from equisparse.methods.surgeon import PathChange


class SparseDelta(AbstractDelta):
    """Change ``W' = W + mask * (start + size * R)`` with a trained tensor R that is zero at first.

    When entries are removed, the start moves such that the others get their new values. R is trained on, or begins at
    zero with new factors. The size is the smaller of 1 and the root mean square of the weight, so that relative changes
    of small weights are as large as those of other weights. In evaluation mode, entries of R that never had a gradient
    are zero. When few entries remain, they are trained themselves in place of R, see `train_entries`.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Blocks that tile the weight; each is pruned as a matrix of its first axis by all others.
    rank : int or None
        Rank of the product that is trained; entry by entry if None.
    storage : torch.dtype or None
        Precision of the stored values; None means float16 if that is precise enough.
    generator : Generator
        Generator of the start values.
    """

    size: Tensor
    mask: Tensor
    start: Tensor
    seen: Tensor
    _entries: Tensor
    _order: Tensor

    def __init__(
        self,
        weight: Tensor,
        blocks: tuple[Block, ...],
        *,
        rank: int | None,
        storage: torch.dtype | None,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.raw = make_parametrization(weight, blocks, rank=rank, width=0.0, generator=generator)
        self.entries = nn.Parameter(torch.zeros_like(weight, memory_format=torch.contiguous_format))
        self._storage = storage
        self.shapes = [(block.shape[0], block.numel // block.shape[0]) for block in blocks]
        self.register_buffer("size", weight.double().square().mean().sqrt().clamp_max(1.0).to(weight))
        self.register_buffer("mask", torch.ones_like(weight))
        self.register_buffer("start", torch.zeros_like(weight))
        self.register_buffer("seen", torch.zeros_like(weight, dtype=torch.bool))
        self.register_buffer("_entries", torch.cat([b.indices().reshape(-1) for b in blocks]), persistent=False)
        self.register_buffer("_order", order_of_entries(blocks), persistent=False)
        self._probed, self._probing = torch.empty(0), False
        self._trains_entries = False

    def change(self) -> Tensor:
        """Present change of the weight, same shape."""
        trained = self._trained() if self._trains_entries or not self.training else self.size * self.raw()
        change: Tensor = self.mask * (self.start + trained)
        if self._probing and change.requires_grad:
            change.register_hook(self._record)
        return change

    @torch.no_grad()
    def present(self) -> Tensor:
        """Present change in evaluation mode, same shape."""
        return self.mask * (self.start + self._trained())

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.change()

    def stored(self) -> Stored:
        change = self.present()
        return pack(change, self._storage or compact_dtype(change))

    def groups(self) -> list[ParameterGroup]:
        return [self.raw.group()]

    def moved_by_controller(self) -> list[nn.Parameter]:
        return [self.entries]

    def begin_at(self, change: Tensor) -> None:
        self.start.copy_(change)

    def train_entries(self) -> None:
        """Train the entries that may change, without factors, from now on; see `equisparse.methods.natural`."""
        self._trains_entries = True
        self.raw.idle = True

    def supports(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Entries of each block that may change, column by column: rows, columns, positions in the flattened tensor."""
        found = []
        pieces = self._entries.split([rows * columns for rows, columns in self.shapes])
        for mask, piece, shape in zip(self.matrices(self.mask), pieces, self.shapes, strict=True):
            columns, rows = (mask.T > 0).nonzero(as_tuple=True)
            found.append((rows, columns, piece.view(shape)[rows, columns]))
        return found

    def start_probing(self) -> None:
        """Begin to record gradients with respect to the change, masked entries included."""
        self._probed, self._probing = torch.zeros_like(self.start), True

    def take_probe(self) -> Tensor:
        """Gradient with respect to the change that was recorded since the last call, shape of the weight."""
        taken = self._probed
        self._probed = torch.zeros_like(self.start)
        return taken

    def end_probing(self) -> None:
        """Record no more gradients."""
        self._probed, self._probing = torch.empty(0), False

    def matrices(self, tensor: Tensor) -> list[Tensor]:
        """Matrices of all blocks of a tensor of the shape of the weight, copied to float64."""
        flat = tensor.detach().reshape(-1)[self._entries].double()
        pieces = flat.split([rows * columns for rows, columns in self.shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def paths(self, curvatures: Sequence[Curvature]) -> list[PathChange]:
        """Present change of every block, with its curvature."""
        supports = [matrix > 0 for matrix in self.matrices(self.mask)]
        changes = self.matrices(self.present())
        return [
            PathChange(values, support, curvature.inputs, curvature.output_factors)
            for values, support, curvature in zip(changes, supports, curvatures, strict=True)
        ]

    def continue_from(self, paths: Sequence[PathChange], generator: Generator | None) -> None:
        """Train on from new values on new supports, one of each per block; see `restore`."""
        support = self._tensor([path.support.to(self.mask.dtype) for path in paths])
        self.restore(support, self._tensor([path.values for path in paths]), generator)

    @torch.no_grad()
    def restore(self, mask: Tensor, change: Tensor, generator: Generator | None) -> None:
        """Train factors on from a mask and a change, both of the shape of the weight.

        Parameters
        ----------
        mask, change : Tensor
        generator : Generator or None
            Generator of new factors; None keeps those that are trained.
        """
        self._trains_entries = self.raw.idle = False
        self.entries.zero_()
        if generator is not None:
            self.raw.restart(generator)
        self.mask.copy_(mask)
        self.start.copy_(mask * (change - self._trained()))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *others: Any) -> None:
        """Load a checkpoint; one of an earlier version has no trained entries, and not which ones had a gradient."""
        state_dict.setdefault(f"{prefix}seen", torch.ones_like(self.seen))
        state_dict.setdefault(f"{prefix}entries", torch.zeros_like(self.entries))
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _trained(self) -> Tensor:
        """Trained part of the change, zero where the data do not reach it; after one step, nothing is known of that."""
        if self._trains_entries:
            return self.entries
        part: Tensor = self.size * self.raw()
        return part * self.seen if bool(self.seen.any()) else part

    def _record(self, gradient: Tensor) -> None:
        """Add a gradient with respect to the change to the present probe."""
        self._probed += gradient

    def _tensor(self, matrices: Sequence[Tensor]) -> Tensor:
        """Tensor of the shape of the weight with the matrices of all blocks."""
        return tiled(matrices, self._order).view_as(self.start)
