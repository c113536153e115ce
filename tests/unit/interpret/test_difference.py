"""Differences of two adapters against numbers counted by hand, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import save_adapter
from equisparse.cli import main
from equisparse.errors import AdapterMismatchError, InputError
from equisparse.formats.entries import pack
from equisparse.interpret.difference import difference_table, differences
from equisparse.testing.adapters import path_backbone, random_adapter


@pytest.fixture
def other(planted: Adapter) -> Adapter:
    """Of the three planted entries, one stays, one has the other sign, and one is elsewhere; another shift."""
    mix, radial = torch.zeros(100), torch.zeros(10, 10)
    mix[64 + 7] = 0.5
    radial[0, 5], radial[9, 8] = -0.25, 0.5
    return replace(planted, stored={"mix.weight": pack(mix), "radial.weight": pack(radial)}, shifts={12: -2.0, 8: 1.0})


def test_by_hand(planted: Adapter, other: Adapter) -> None:
    rows = difference_table(planted, other)
    ((_, whole),) = differences(rows)
    assert (whole.n_weights, whole.n_first, whole.n_second, whole.n_both) == (200, 3, 3, 2)
    assert whole.jaccard == 2 / 4
    squares = (0.25 + 0.0625 + 0.015625, 0.25 + 0.0625 + 0.25)
    assert (whole.norm_first, whole.norm_second) == pytest.approx([math.sqrt(square) for square in squares])
    assert whole.cosine == pytest.approx((0.25 - 0.0625) / math.sqrt(math.prod(squares)))
    assert whole.norm_difference == pytest.approx(math.sqrt(0.25 + 0.015625 + 0.25))
    layers = dict(differences(rows, ("layer",)))
    assert layers[(0,)].cosine == layers[(0,)].jaccard == 1.0
    assert (layers[(0,)].norm_difference, layers[(-2,)].n_both) == (0.0, 1)
    untouched = next(group for key, group in differences(rows, ("path",)) if key == ("0e->0e",))
    assert math.isnan(untouched.jaccard)
    assert math.isnan(untouched.cosine)


def test_an_adapter_does_not_differ_from_itself(planted: Adapter) -> None:
    ((_, whole),) = differences(difference_table(planted, planted))
    assert (whole.jaccard, whole.cosine, whole.norm_difference) == (1.0, pytest.approx(1.0), 0.0)


def test_a_tensor_that_one_does_not_select_counts_as_unchanged(planted: Adapter) -> None:
    layout = planted.layout.restrict(["mix.weight"])
    part = replace(planted, layout=layout, stored={"mix.weight": planted.stored["mix.weight"]})
    ((_, whole),) = differences(difference_table(part, planted))
    assert (whole.n_weights, whole.n_first, whole.n_second, whole.n_both) == (200, 1, 3, 1)


def test_what_cannot_be_compared_is_refused(planted: Adapter) -> None:
    with pytest.raises(AdapterMismatchError, match="another base"):
        difference_table(planted, replace(planted, base=dict(planted.base) | {"sha256": "1" * 64}))
    base = path_backbone(planted.layout)
    scale, gates, full = (random_adapter(base, planted.layout, name, 0) for name in ("scale", "mmea", "full"))
    with pytest.raises(InputError, match="equisparse combine"):
        difference_table(scale, full)
    with pytest.raises(InputError, match="changes no weights"):
        difference_table(full, gates)
    assert difference_table(scale, scale)[0].n_both > 0


def test_command(planted: Adapter, other: Adapter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(tmp_path / f"{name}.safetensors") for name in "ab"]
    for adapter, file in zip((planted, other), files, strict=True):
        save_adapter(adapter, file)
    assert main(["diff", *files]) == 0
    shown = capsys.readouterr().out
    for words in ("Per layer", "readout", "0.500", "Mg", "-0.5000", "O ", "97.5 %"):
        assert words in shown
    assert main(["combine", *files, "--weights", "1", "-1", "--out", str(tmp_path / "c" / "c.safetensors")]) == 0
    assert "+1 * a.safetensors -1 * b.safetensors" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "c" / "c.safetensors")]) == 0
    shown = capsys.readouterr().out
    for words in ("3 weights", "+1 * a.safetensors -1 * b.safetensors", "stored as"):
        assert words in shown
    assert main(["combine", *files, "--weights", "1", "--out", str(tmp_path / "d.safetensors")]) == 2
    assert "one finite weight" in capsys.readouterr().err
    assert not (tmp_path / "d.safetensors").exists()
