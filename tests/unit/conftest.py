"""An adapter with changes planted at known places."""

import pytest
import torch

from equisparse.adapters.adapter import Adapter, TrainedBy
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.formats.entries import Entries, pack


@pytest.fixture
def planted() -> Adapter:
    """One entry in the vectors of a Linear, two in the vector columns of a matrix; 3 of 400 parameters."""
    layout = Layout(
        (
            *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (8, 8)), ("1o->1o", 1, -1, (6, 6))], "linear", 0),
            *column_blocks("radial.weight", 10, [("0ex0e->0e", 0, 1, 5), ("1ox0e->1o", 1, -1, 5)], "readout", -2),
        ),
        {"mix.weight": (100,), "radial.weight": (10, 10)},
        400,
    )
    mix, radial = torch.zeros(100), torch.zeros(10, 10)
    mix[64 + 7] = 0.5
    radial[0, 5], radial[9, 9] = 0.25, -0.125
    base = {"backbone": "sevennet", "source": "7net-0", "sha256": "ab" * 32, "version": "0.13.0"}
    stored = {"mix.weight": pack(mix), "radial.weight": pack(radial)}
    trained = TrainedBy("soft_threshold", {"regime": "L"})
    return Adapter(Entries(), layout, stored, {12: -2.5}, base, "float32", (12,), trained_by=trained)
