"""Batches that do not fit are taken in pieces: all of them once, in order, as large as fits, and told once."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.backbones.prediction import Prediction
from equisparse.errors import StateError
from equisparse.training.dataset import Targets
from equisparse.training.loss import Loss
from equisparse.training.memory import Room, in_pieces, is_out_of_memory


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

    room = Room()
    for size in sizes:
        tried: list[int] = []
        pieces = in_pieces(range(size), run, room)
        assert [item for piece in pieces for item in piece] == list(range(size))
        assert sum(piece > most for piece in tried) <= 5  # halving, and learnt for later batches
    assert room.frames is None or room.frames <= most < max(sizes)


def test_it_is_told_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Room, "told", False)

    def run(piece: Sequence[int]) -> None:
        if len(piece) > 1:
            raise torch.OutOfMemoryError

    for _ in range(3):
        in_pieces(range(8), run, Room())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "8 frames at once" in caplog.text


def test_other_errors_pass() -> None:
    def run(piece: Sequence[int]) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        in_pieces(range(4), run, Room())


@pytest.mark.parametrize(("alone", "frames", "cause"), [(True, 1, "single frame"), (False, 4, "several processes")])
def test_what_cannot_be_split_is_told(alone: bool, frames: int, cause: str) -> None:
    def run(piece: Sequence[int]) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(StateError, match=cause):
        in_pieces(range(frames), run, Room(alone=alone))


@given(seed=st.integers(0, 1000), cut=st.integers(1, 4))
def test_losses_of_pieces_add_up_to_that_of_the_batch(seed: int, cut: int) -> None:
    """With frames of different sizes and missing labels."""
    generator = torch.Generator().manual_seed(seed)
    n_atoms = torch.randint(1, 5, (5,), generator=generator)
    values = [
        torch.randn(shape, generator=generator) for shape in ((5,), (int(n_atoms.sum()), 3), (5, 3, 3)) for _ in "pt"
    ]
    energy, energy_label, forces, force_labels, stress, stress_label = values
    energy_label[seed % 5], stress_label[(seed + 1) % 5] = torch.nan, torch.nan
    ends = [0, int(n_atoms[:cut].sum()), int(n_atoms.sum())]
    whole = Targets(energy_label, force_labels, stress_label, n_atoms)
    loss = Loss(1.0, 10.0, 100.0, 0.01)
    parts = []
    for frames, atoms in ((slice(0, cut), slice(*ends[:2])), (slice(cut, 5), slice(*ends[1:]))):
        prediction = Prediction(energy[frames], forces[atoms], stress[frames])
        targets = Targets(energy_label[frames], force_labels[atoms], stress_label[frames], n_atoms[frames])
        parts.append(loss(prediction, targets, whole))
    torch.testing.assert_close(sum(parts), loss(Prediction(energy, forces, stress), whole))
