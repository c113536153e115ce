"""A planted change is found exactly where it was planted."""

from dataclasses import replace

import torch

from equisparse.adapters.adapter import Adapter, count_changes
from equisparse.formats.scales import ChannelScales
from equisparse.interpret.changes import aggregate, change_table
from equisparse.testing.networks import PathNetwork


def test_sparse_change_is_found_in_its_blocks(planted: Adapter) -> None:
    rows = {(row.tensor, row.path): row for row in change_table(planted)}
    assert rows["mix.weight", "0e->0e"].n_changed == 0
    assert rows["mix.weight", "1o->1o"].n_changed == 1
    assert rows["radial.weight", "1ox0e->1o"].n_changed == 2
    assert rows["radial.weight", "0ex0e->0e"].n_changed == 0
    assert rows["mix.weight", "1o->1o"].largest == 0.5
    assert rows["mix.weight", "1o->1o"].rms_change == (0.5**2 / 36) ** 0.5


def test_scales_change_their_channels(planted: Adapter) -> None:
    mix = {"input_scale": torch.zeros(14), "output_scale": torch.zeros(14)}
    mix["output_scale"][8 + 2] = 0.1
    rows = {row.path: row for row in change_table(replace(planted, format=ChannelScales(), stored={"mix.weight": mix}))}
    assert (rows["0e->0e"].n_changed, rows["1o->1o"].n_changed) == (0, 6)
    assert abs(rows["1o->1o"].largest - 0.1) < 1e-6


def test_tables_count_what_a_real_base_counts(planted: Adapter) -> None:
    model = PathNetwork(planted.layout, torch.float32, seed=0)
    assert count_changes(planted, model).count == sum(row.n_changed for row in change_table(planted)) == 3


def test_sums_keep_weights_and_changes(planted: Adapter) -> None:
    by_role = {total.key[0]: total for total in aggregate(change_table(planted), ("role",))}
    assert (by_role["linear"].n_weights, by_role["linear"].n_changed) == (100, 1)
    assert by_role["readout"].fraction == 2 / 100
