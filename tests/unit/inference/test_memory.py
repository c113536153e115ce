"""Batches that do not fit are taken in pieces: all items once, in order, as large as fits, with one warning."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.errors import StateError
from equisparse.inference.dataset import Batch
from equisparse.inference.memory import BatchLimiter, in_pieces, is_out_of_memory
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.training.loss import Loss
from equisparse.training.options import TrainingOptions


def allocator_error() -> RuntimeError:
    """What torch itself raises on the CPU."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60)
    return raised.value


ERRORS = (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MemoryError(), allocator_error())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_of_short_memory_are_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6), most=st.integers(1, 20), error=st.sampled_from(ERRORS)
)
def test_every_item_is_taken_once_in_order(sizes: list[int], most: int, error: Exception) -> None:
    def run(piece: Sequence[int]) -> list[int]:
        tried.append(len(piece))
        if len(piece) > most:
            raise error
        return list(piece)

    limiter = BatchLimiter()
    for size in sizes:
        tried: list[int] = []
        pieces = in_pieces(range(size), run, limiter)
        assert [item for piece in pieces for item in piece] == list(range(size))
        assert sum(piece > most for piece in tried) <= 5  # halving, and learnt for later batches
    assert limiter.frames is None or limiter.frames <= most < max(sizes)


def test_the_user_is_warned_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchLimiter, "warned", False)

    def run(piece: Sequence[int]) -> None:
        if len(piece) > 1:
            raise torch.OutOfMemoryError

    for _ in range(3):
        in_pieces(range(8), run, BatchLimiter())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "8 frames at once" in caplog.text


def test_other_errors_pass() -> None:
    def run(piece: Sequence[int]) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        in_pieces(range(4), run, BatchLimiter())


def test_a_single_frame_that_does_not_fit_is_an_error() -> None:
    def run(piece: Sequence[int]) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(StateError, match="single frame"):
        in_pieces(range(1), run, BatchLimiter())


@given(seed=st.integers(0, 1000), cut=st.integers(1, 4))
def test_losses_of_pieces_add_up_to_that_of_the_batch(seed: int, cut: int) -> None:
    """With frames of different sizes and missing labels."""
    generator = torch.Generator().manual_seed(seed)
    n_atoms = torch.randint(1, 5, (5,), generator=generator)
    shapes = {ENERGY: (5,), FORCES: (int(n_atoms.sum()), 3), STRESS: (5, 3, 3)}
    prediction = {quantity: torch.randn(shape, generator=generator) for quantity, shape in shapes.items()}
    labels = {quantity: torch.randn(shape, generator=generator) for quantity, shape in shapes.items()}
    labels[ENERGY][seed % 5], labels[STRESS][(seed + 1) % 5] = torch.nan, torch.nan
    counts = {quantity: int(torch.isfinite(label).sum()) for quantity, label in labels.items()}
    ends = [0, int(n_atoms[:cut].sum()), int(n_atoms.sum())]
    loss = Loss.of(TrainingOptions())
    pieces = []
    for frames, atoms in ((slice(0, cut), slice(*ends[:2])), (slice(cut, 5), slice(*ends[1:]))):
        places = {ENERGY: frames, FORCES: atoms, STRESS: frames}
        predicted = {quantity: values[places[quantity]] for quantity, values in prediction.items()}
        batch = Batch(None, {quantity: label[places[quantity]] for quantity, label in labels.items()}, n_atoms[frames])
        pieces.append(loss(predicted, batch, counts))
    torch.testing.assert_close(sum(pieces), loss(prediction, Batch(None, labels, n_atoms)))
