"""Progress of a training on a terminal and in a log file."""

import io

import pytest
from rich.console import Console

from equisparse.cli.progress import TerminalProgress
from equisparse.training.epochs import Epoch
from equisparse.training.listener import FitProgress

EPOCH = Epoch(1, 5, 0.0123, errors={"valid": {"force_mae_mev_per_ang": 40.0, "energy_mae_mev_per_atom": 3.0}})


@pytest.fixture
def progress() -> FitProgress:
    """State within the second epoch."""
    return FitProgress(step=6, total_steps=10, epochs=2, steps_per_second=2.0, curve=[EPOCH])


def test_a_log_file_gets_one_line_per_epoch(progress: FitProgress) -> None:
    console = Console(file=io.StringIO(), width=80)
    shown = TerminalProgress(console)
    shown.fit_started()
    shown.step_done(progress)
    shown.epoch_done(progress)
    shown.fit_ended()
    (line,) = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert line == "epoch 1/2  E valid 3.00  F valid 40.0  changed 1.23%  step 6/10  2.00 steps/s  0:02 left"


@pytest.mark.parametrize("curve", [[], [EPOCH]], ids=["first epoch", "later"])
def test_a_terminal_gets_a_table_as_soon_as_there_are_errors(curve: list[Epoch]) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    shown = TerminalProgress(console)
    shown.fit_started()
    shown.step_done(FitProgress(3, 10, 2, 2.0, curve))
    shown.fit_ended()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "step 3/10  2.00 steps/s  0:03 left" in text
    assert ("F valid" in text) == ("mean absolute errors: E in meV/atom, F in meV/Angstrom" in text) == bool(curve)
