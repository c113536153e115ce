"""Small model with the weights of a given layout, to test methods without a backbone."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import Block, Layout

_BATCH = 3


class Irrep(NamedTuple):
    """Degree and parity of an irrep, with the attribute names of e3nn."""

    l: int  # noqa: E741
    p: int


class PathModule(nn.Module):
    """Module with one weight that mixes the channels of each irrep, like e3nn's Linear; each block is a path.

    Parameters
    ----------
    blocks : tuple of Block
        Blocks of the weight, each of shape (mul_in, mul_out).
    """

    def __init__(self, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self._blocks, self._leaf = blocks, blocks[0].tensor.rpartition(".")[2]
        self.irreps_in = [(block.shape[0], Irrep(block.l, block.parity)) for block in blocks]
        self.irreps_out = [(block.shape[1], Irrep(block.l, block.parity)) for block in blocks]

    def forward(self, row: Tensor) -> Tensor:
        """Compute features of output irreps from features of input irreps, both of shape (batch, columns)."""
        weight, features = getattr(self, self._leaf), _components(row, self.irreps_in)
        mixed = [_mix(weight, block, x, x) for block, x in zip(self._blocks, features, strict=True)]
        return torch.cat([y.flatten(1) for y in mixed], -1)


class PathNetwork(nn.Module):
    """Model of a layout in which each block mixes the channels of random features of its irrep.

    Each weight has a neighbour that no method may change, and one parameter of the model is frozen. A weight that is
    alone in its module and has one matrix per irrep is used by a `PathModule`.

    Parameters
    ----------
    layout : Layout
        Names, shapes and blocks of the weights.
    dtype : torch.dtype
        Type of weights and features.
    seed : int
        Seed of weights and features.
    """

    def __init__(self, layout: Layout, dtype: torch.dtype, seed: int) -> None:
        super().__init__()
        self._layout = layout
        generator = torch.Generator().manual_seed(seed)
        for name, shape in layout.tensor_shapes.items():
            path, _, leaf = name.rpartition(".")
            owner = _submodule(self, path, PathModule(layout.of(name)) if _is_linear(name, layout) else nn.Module())
            owner.register_parameter(leaf, _parameter(shape, dtype, generator))
            owner.register_parameter(f"{leaf}_bystander", _parameter((3,), dtype, generator))
        self.frozen = _parameter((2,), dtype, generator).requires_grad_(False)
        self.features = [torch.randn(_BATCH, b.shape[0], 2 * b.l + 1, generator=generator, dtype=dtype) for b in layout]
        self.attributes = [torch.randn(_BATCH, *b.shape[1:-1], generator=generator, dtype=dtype) for b in layout]

    def weight(self, name: str) -> Tensor:
        """Present weight of a tensor, including the change by an attached method."""
        owner, leaf = parameter_owner(self, name)
        weight: Tensor = getattr(owner, leaf)
        return weight

    def weights(self) -> dict[str, Tensor]:
        """Detached copies of all weights of the layout, by name."""
        return {name: self.weight(name).detach().clone() for name in self._layout.tensors}

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Compute the output of each block, shape (batch, mul_out, 2l + 1)."""
        outputs: list[Tensor] = []
        for tensor in self._layout.tensors:
            indices = [index for index, block in enumerate(self._layout) if block.tensor == tensor]
            outputs += self._outputs(tensor, [features[index] for index in indices], indices)
        return outputs

    def _outputs(self, tensor: str, features: Sequence[Tensor], indices: Sequence[int]) -> list[Tensor]:
        """Outputs of the blocks of one tensor; `indices` are those of the blocks in the layout."""
        module = parameter_owner(self, tensor)[0]
        if isinstance(module, PathModule):
            return _components(module(torch.cat([x.flatten(1) for x in features], -1)), module.irreps_out)
        weight, blocks = self.weight(tensor), self._layout.blocks
        return [
            _mix(weight, blocks[index], x, self.attributes[index]) for index, x in zip(indices, features, strict=True)
        ]

    def behaviour(self) -> dict[str, Tensor]:
        """Everything that a method may change: present weights by name, and outputs by index."""
        outputs = {f"output {index}": output.detach() for index, output in enumerate(self(self.features))}
        return self.weights() | outputs

    def loss(self) -> Tensor:
        """Scalar that depends on every weight, and whose gradient at the base is not zero."""
        outputs = self(self.features)
        return torch.stack([(output - 1).square().mean() for output in outputs]).sum()


def _mix(weight: Tensor, block: Block, x: Tensor, attributes: Tensor) -> Tensor:
    """Output of one block by a direct contraction."""
    matrix = weight.reshape(-1)[block.indices()]
    if len(block.shape) == 2:
        return torch.einsum("bim,io->bom", x, matrix)
    return torch.einsum("bim,be,ieo->bom", x, attributes, matrix)


def _is_linear(tensor: str, layout: Layout) -> bool:
    """Return whether a tensor is like that of a Linear: alone in its module, with one contiguous matrix per path."""
    path = tensor.rpartition(".")[0]
    alone = [name.rpartition(".")[0] for name in layout.tensors].count(path) == 1
    return alone and bool(path) and all(len(block.shape) == 2 and not block.strides for block in layout.of(tensor))


def _components(row: Tensor, irreps: Sequence[tuple[int, Irrep]]) -> list[Tensor]:
    """Features of each irrep, shape (batch, multiplicity, 2l + 1), of a row of irreps, shape (batch, columns)."""
    shapes = [(multiplicity, 2 * irrep.l + 1) for multiplicity, irrep in irreps]
    flat = row.split([channels * components for channels, components in shapes], -1)
    return [features.unflatten(-1, shape) for features, shape in zip(flat, shapes, strict=True)]


def _submodule(model: nn.Module, path: str, last: nn.Module) -> nn.Module:
    """Submodule at a path; if it is missing, `last` is added there, within plain modules."""
    *steps, name = path.split(".")
    for step in steps:
        if not hasattr(model, step):
            model.add_module(step, nn.Module())
        model = model.get_submodule(step)
    if name and not hasattr(model, name):
        model.add_module(name, last)
    return model.get_submodule(name)


def _parameter(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> nn.Parameter:
    """Parameter with normally distributed values."""
    return nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype))
