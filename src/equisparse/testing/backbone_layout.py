"""Laws of a backbone's layout: its blocks tile the weights, and their indices, elements and positions are right.

Each check raises AssertionError if its law is violated.
"""

import math

import torch
from ase import Atoms

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.attach import written
from equisparse.backbones.base import AbstractBackbone
from equisparse.formats.entries import Entries, pack
from equisparse.interpret.signatures import element_parts, largest_entries, signature_table
from equisparse.quantities import ENERGY
from equisparse.testing.backbones import predict


def check_layout(backbone: AbstractBackbone) -> None:
    """Check that every weight of a tensor is in exactly one block, and that names and shapes are those of the model."""
    layout, parameters = backbone.layout(), dict(backbone.model.named_parameters())
    assert layout.total_parameters == sum(parameter.numel() for parameter in parameters.values()), "total"
    assert list(layout.tensors) == [name for name in parameters if name in set(layout.tensors)], "order of tensors"
    for name, shape in layout.tensor_shapes.items():
        assert tuple(parameters[name].shape) == shape, f"{name} has shape {tuple(parameters[name].shape)}, not {shape}"
        covered = torch.cat([block.indices().reshape(-1) for block in layout.of(name)])
        assert torch.equal(covered.sort().values, torch.arange(math.prod(shape))), f"the blocks do not tile {name}"


def check_element_order(backbone: AbstractBackbone, first: int, second: int) -> int:
    """Check that the part of a block that `element_order` assigns to an element acts on that element only.

    Parameters
    ----------
    backbone : AbstractBackbone
    first, second : int
        Two atomic numbers that the model knows; dimers of each are predicted.

    Returns
    -------
    int
        Number of parts that were checked; 0 for a model without element axes.
    """
    pairs = [Atoms([z, z], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.5]]) for z in (first, second)]
    before, n_checked = predict(backbone, pairs)[ENERGY], 0
    for block in backbone.layout():
        parts = dict(element_parts(block, backbone.element_order))
        for place, z in enumerate((first, second)):
            if z in parts:
                weight = backbone.model.get_parameter(block.tensor).detach().clone()
                parts[z].view(weight).add_(0.1)
                with written(backbone.model, {block.tensor: weight}):
                    after = predict(backbone, pairs)[ENERGY]
                assert after[place] != before[place], f"{block.tensor}: the part of {z} does not act on {z}"
                assert after[1 - place] == before[1 - place], f"{block.tensor}: the part of {z} acts on others"
                n_checked += 1
    return n_checked


def check_planted_changes(backbone: AbstractBackbone) -> int:
    """Check that a change of one entry is reported in its block and position: first, middle and last of every block.

    Returns
    -------
    int
        Number of changes that were checked.
    """
    layout, planted = backbone.layout(), 0
    for tensor in layout.tensors:
        own = layout.restrict([tensor])
        for index, block in enumerate(own):
            for place in sorted({0, block.numel // 2, block.numel - 1}):
                change = torch.zeros(layout.size_of(tensor))
                change[block.indices().reshape(-1)[place]] = 0.25
                adapter = Adapter(Entries(), own, {tensor: pack(change)}, {}, {}, "float32", ())
                rows = signature_table(adapter, backbone.model)
                assert [row.n_changed for row in rows] == [int(other == index) for other in range(len(own.blocks))]
                (entry,) = largest_entries(adapter, backbone.model)
                position = " ".join(str(int(axis)) for axis in torch.unravel_index(torch.tensor(place), block.shape))
                assert (entry.block, entry.position) == (index, position), f"{tensor} {block.path} {position}"
                planted += 1
    return planted
