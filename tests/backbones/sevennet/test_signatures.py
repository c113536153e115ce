"""Changes planted in a real model are found where they were planted: every block of every tensor of 7net-0."""

import numpy as np
import pytest
import torch
from ase import Atoms

from equisparse.adapters.adapter import Adapter
from equisparse.formats.entries import Entries, pack
from equisparse.interpret.functional import functional_table
from equisparse.interpret.signatures import signature_table
from equisparse.testing import backbone_layout

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


def test_every_planted_change_is_found(load) -> None:
    backbone = load("7net-0")
    assert (
        len(backbone.layout().blocks)
        < backbone_layout.check_planted_changes(backbone)
        <= 3 * len(backbone.layout().blocks)
    )


def test_a_change_of_an_embedding_is_found_at_its_element(load) -> None:
    backbone = load("7net-0")
    name = "onehot_to_feature_x.linear.weight"
    layout = backbone.layout().restrict([name])
    (block,) = layout.blocks
    change = torch.zeros(block.shape)
    slot = int(backbone.model.type_map[8])
    change[slot, 5] = 1.0
    adapter = Adapter(Entries(), layout, {name: pack(change.reshape(-1))}, {}, {}, "float32", (8,))
    rows = [row for row in signature_table(adapter, backbone.model, backbone.element_order) if row.element]
    assert len(rows) == len(backbone.elements)
    assert {row.element: row.n_changed for row in rows if row.n_changed} == {8: 1}


def test_outputs_move_where_weights_do_and_after(load, oxides: list[Atoms]) -> None:
    backbone = load("7net-0")
    name = "2_self_interaction_2.linear.weight"
    layout = backbone.layout()
    block = next(block for block in layout.of(name) if block.l == 1)
    change = torch.zeros(layout.size_of(name))
    change[block.indices().reshape(-1)] = 0.05
    adapter = Adapter(Entries(), layout, {name: pack(change)}, {}, {}, "float32", ())
    graphs = [backbone.graph(atoms) for atoms in oxides]
    numbers = np.concatenate([atoms.numbers for atoms in oxides])
    rows = functional_table(adapter, backbone.model, numbers, lambda: backbone.predict(backbone.collate(graphs)))

    assert {row.element for row in rows} == {None, 8, 12, 13}
    own = {row.l: row.relative_change for row in rows if row.tensor == name and row.element is None}
    assert own[1] > 0
    assert own[0] == own[2] == 0
    before = [row.relative_change for row in rows if row.layer in (-1, 0, 1)]
    assert before
    assert not any(before)
    after = [row.relative_change for row in rows if row.tensor.startswith(("3_self_interaction_2", "reduce_"))]
    assert min(after) > 0
