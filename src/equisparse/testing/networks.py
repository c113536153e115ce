"""The smallest model that has the weights of a given layout, to try methods on without a backbone."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import Block, Layout

_BATCH = 3


class Irrep(NamedTuple):
    """Order and parity, under the names that e3nn gives them."""

    l: int  # noqa: E741
    p: int


class PathModule(nn.Module):
    """Owner of one weight that mixes the channels of each irrep, as e3nn's Linear does; each block is a path.

    Parameters
    ----------
    blocks : tuple of Block
        Of the weight, each (mul_in, mul_out).
    """

    def __init__(self, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self._blocks, self._leaf = blocks, blocks[0].tensor.rpartition(".")[2]
        self.irreps_in = [(block.shape[0], Irrep(block.l, block.parity)) for block in blocks]
        self.irreps_out = [(block.shape[1], Irrep(block.l, block.parity)) for block in blocks]

    def forward(self, row: Tensor) -> Tensor:
        """Row of output irreps, shape (batch, columns), from a row of input irreps."""
        weight, features = getattr(self, self._leaf), _components(row, self.irreps_in)
        mixed = [_mix(weight, block, x, x) for block, x in zip(self._blocks, features, strict=True)]
        return torch.cat([y.flatten(1) for y in mixed], -1)


class PathNetwork(nn.Module):
    """The obvious model of a layout: each block mixes the channels of random features of its irrep.

    Beside each weight there is a parameter that no method may touch, and one of the model is frozen from the beginning.
    A weight that stands alone in its module and has a matrix for every irrep is used by a `PathModule`.

    Parameters
    ----------
    layout : Layout
        Names, shapes and blocks of the weights.
    dtype : torch.dtype
        Of weights and features.
    seed : int
        Of weights and features.
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
        """Present weight of a tensor, changed by whatever is attached."""
        owner, leaf = parameter_owner(self, name)
        found: Tensor = getattr(owner, leaf)
        return found

    def weights(self) -> dict[str, Tensor]:
        """Detached copies of all weights of the layout."""
        return {name: self.weight(name).detach().clone() for name in self._layout.tensors}

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Output of each block, shape (batch, mul_out, 2l + 1)."""
        outputs: list[Tensor] = []
        for tensor in self._layout.tensors:
            places = [place for place, block in enumerate(self._layout) if block.tensor == tensor]
            outputs += self._outputs(tensor, [features[place] for place in places], places)
        return outputs

    def _outputs(self, tensor: str, features: Sequence[Tensor], places: Sequence[int]) -> list[Tensor]:
        """Outputs of the blocks of one tensor, which stand at some places of the layout."""
        module = parameter_owner(self, tensor)[0]
        if isinstance(module, PathModule):
            return _components(module(torch.cat([x.flatten(1) for x in features], -1)), module.irreps_out)
        weight, blocks = self.weight(tensor), self._layout.blocks
        return [
            _mix(weight, blocks[place], x, self.attributes[place]) for place, x in zip(places, features, strict=True)
        ]

    def behaviour(self) -> dict[str, Tensor]:
        """All that a method may change: present weights, and outputs by number."""
        outputs = {f"output {number}": output.detach() for number, output in enumerate(self(self.features))}
        return self.weights() | outputs

    def loss(self) -> Tensor:
        """A scalar in which every weight has a part, and that does not rest at the base."""
        outputs = self(self.features)
        return torch.stack([(output - 1).square().mean() for output in outputs]).sum()


def _mix(weight: Tensor, block: Block, x: Tensor, attributes: Tensor) -> Tensor:
    """Output of one block: the slow, obvious contraction."""
    part = weight.reshape(-1)[block.indices()]
    if len(block.shape) == 2:
        return torch.einsum("bim,io->bom", x, part)
    return torch.einsum("bim,be,ieo->bom", x, attributes, part)


def _is_linear(tensor: str, layout: Layout) -> bool:
    """Whether a tensor is a Linear's: alone in its module, with one matrix after the other, one for every path."""
    path = tensor.rpartition(".")[0]
    alone = [name.rpartition(".")[0] for name in layout.tensors].count(path) == 1
    return alone and bool(path) and all(len(block.shape) == 2 and not block.strides for block in layout.of(tensor))


def _components(row: Tensor, irreps: Sequence[tuple[int, Irrep]]) -> list[Tensor]:
    """Parts of a row of irreps, shape (batch, columns), each as (batch, multiplicity, 2l + 1)."""
    shapes = [(multiplicity, 2 * irrep.l + 1) for multiplicity, irrep in irreps]
    parts = row.split([channels * components for channels, components in shapes], -1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, shapes, strict=True)]


def _submodule(model: nn.Module, path: str, last: nn.Module) -> nn.Module:
    """Submodule at a path; where it is missing, `last`, in plain modules."""
    *steps, name = path.split(".")
    for step in steps:
        if not hasattr(model, step):
            model.add_module(step, nn.Module())
        model = model.get_submodule(step)
    if name and not hasattr(model, name):
        model.add_module(name, last)
    return model.get_submodule(name)


def _parameter(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> nn.Parameter:
    """Normal numbers."""
    return nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype))
