"""Agreement of two changes: complete with itself, and within its null for supports drawn at random."""

from dataclasses import replace

import pytest
import torch

from equisparse.adapters.adapter import Adapter
from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import InputError
from equisparse.formats.entries import Entries, pack
from equisparse.interpret.bootstrap import resampled_interval
from equisparse.interpret.stability import stability_table

LAYOUT = Layout(
    matrix_blocks("mix.weight", [(f"{n}e->{n}e", n, 1, (30, 30)) for n in range(6)], "linear", 0),
    {"mix.weight": (5400,)},
    5400,
)
BASE = {"backbone": "none", "source": "path network", "sha256": "0" * 64, "version": "0"}


def random_adapter(seed: int, *, growing: bool) -> Adapter:
    """A tenth of all weights, at random; with `growing`, larger changes in later blocks."""
    generator = torch.Generator().manual_seed(seed)
    change = torch.where(torch.rand(6, 900, generator=generator) < 0.1, 1.0, 0.0)
    if growing:
        change *= torch.arange(1, 7)[:, None]
    return Adapter(Entries(), LAYOUT, {"mix.weight": pack(change.reshape(-1))}, {}, BASE, "float32", (1,))


def test_a_change_agrees_with_itself() -> None:
    adapter = random_adapter(0, growing=True)
    (row,) = stability_table({"a": adapter, "b": adapter})
    assert (row.first, row.second, row.jaccard) == ("a", "b", 1.0)
    assert row.spearman == pytest.approx(1.0)
    assert row.jaccard_null < 0.1


def test_random_supports_agree_as_chance_says_and_their_shares_as_planted() -> None:
    (row,) = stability_table({"a": random_adapter(0, growing=True), "b": random_adapter(1, growing=True)})
    assert row.jaccard_expected == pytest.approx(0.1 / 1.9, rel=0.1)
    assert row.jaccard < 1.05 * row.jaccard_null
    assert row.spearman == pytest.approx(1.0)
    assert row.spearman > row.spearman_null


def test_adapters_of_different_bases_are_refused() -> None:
    adapter = random_adapter(0, growing=False)
    other = replace(adapter, base=BASE | {"sha256": "1" * 64})
    with pytest.raises(InputError, match="cannot be compared"):
        stability_table({"a": adapter, "b": other})


def test_an_interval_holds_the_truth_and_shrinks_with_frames() -> None:
    generator = torch.Generator().manual_seed(0)
    widths = []
    for count in (20, 2000):
        rows = torch.stack([torch.ones(count), 1 + torch.rand(count, generator=generator)], dim=1).double().numpy()
        estimate, low, high = resampled_interval(rows, lambda sums: sums[..., 1] / sums[..., 0])
        assert low < estimate < high
        assert low < 1.5 < high
        widths.append(high - low)
    assert widths[1] < 0.2 * widths[0]
