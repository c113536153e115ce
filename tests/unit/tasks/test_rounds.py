"""Rounds of steps between validations see the frames in the same order as epochs."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms
from torch.utils.data import DistributedSampler

import equisparse
from equisparse.errors import InputError
from equisparse.inference.batching import SharedBatches
from equisparse.tasks.listener import Listener
from equisparse.training.options import Rounds, TrainingOptions
from equisparse.training.rounds import RoundBatches
from equisparse.training.throughput import Throughput


def batches(steps: int | None = None, *, replicas: int = 1, rank: int = 0) -> SharedBatches | RoundBatches:
    """Batches of seven frames, two per process, by epochs or by rounds."""
    order: DistributedSampler[int] = DistributedSampler(range(7), 1, 0, shuffle=True, seed=5)  # type: ignore[arg-type]
    shared = SharedBatches(order, 2, replicas=replicas, rank=rank)
    return shared if steps is None else RoundBatches(shared, steps)


def sequence(chosen: SharedBatches | RoundBatches, count: int) -> list[list[int]]:
    """Batches of several epochs or rounds."""
    found = []
    for number in range(count):
        chosen.sampler.set_epoch(number)
        found += list(chosen)
    return found


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 9])
def test_rounds_are_parts_of_the_sequence_of_epochs(steps: int) -> None:
    assert sequence(batches(steps), 12)[:36] == sequence(batches(), 60)[: min(36, 12 * steps)]


def test_processes_share_every_batch_and_use_every_frame_once() -> None:
    whole = sequence(batches(replicas=2), 1)
    shares = [sequence(batches(replicas=2, rank=rank), 1) for rank in (0, 1)]
    assert len(whole) == len(shares[0]) == len(shares[1]) == 2
    assert sorted(frame for share in shares for batch in share for frame in batch) == list(range(7))
    four: SharedBatches = SharedBatches(range(5), 1, replicas=4, rank=3)  # type: ignore[arg-type]
    assert list(four) == [[3], []]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"epochs": 3}, Rounds(3, 10)),
        ({"epochs": 3, "validate_every": 5}, Rounds(6, 5)),
        ({"epochs": 3, "validate_every": 12}, Rounds(3, 12)),
        ({"max_steps": 4}, Rounds(1, 4)),
        ({"max_steps": 25}, Rounds(3, 9)),
        ({"max_steps": 25, "validate_every": 5}, Rounds(5, 5)),
        ({"max_steps": 25, "validate_every": 100}, Rounds(1, 25)),
    ],
)
def test_rounds_of_a_run(options: dict[str, int], expected: Rounds) -> None:
    assert TrainingOptions(**options).rounds(10) == expected  # type: ignore[arg-type]


def test_epochs_and_steps_exclude_each_other() -> None:
    with pytest.raises(InputError, match="mutually exclusive"):
        TrainingOptions(epochs=3, max_steps=10)


def last(run: equisparse.Run) -> dict[str, torch.Tensor]:
    """Parameters after the last step."""
    state: dict[str, torch.Tensor] = torch.load(run.files.last_checkpoint, weights_only=True)["state_dict"]
    return state


def test_a_run_of_steps_takes_the_steps_of_epochs(
    frames: list[Atoms], valid: list[Atoms], options: dict[str, Any], tmp_path: Path
) -> None:
    """Also with the stages of the method sparse, whose last one is over at the end."""
    options |= {"method": "sparse", "changed": 0.1, "report": False}
    epochs = equisparse.finetune(frames, valid=valid, **options | {"epochs": 2})
    length = {"epochs": None, "max_steps": 6, "validate_every": 1}
    steps = equisparse.finetune(frames, valid=valid, **options | length | {"out": tmp_path / "steps"})
    assert (epochs.metrics.steps, len(epochs.curve)) == (6, 2)
    assert (steps.metrics.steps, len(steps.curve)) == (6, 6)
    assert [row.valid_loss for row in steps.curve][2::3] == [row.valid_loss for row in epochs.curve]
    assert all(torch.equal(value, last(steps)[name]) for name, value in last(epochs).items())
    assert steps.config.max_steps == 6
    assert steps.config.epochs is None


def test_a_run_of_steps_is_resumed(
    frames: list[Atoms], valid: list[Atoms], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equisparse.training.task import FinetuneTask

    options |= {"epochs": None, "max_steps": 9, "validate_every": 3, "report": False}
    whole = equisparse.finetune(frames, valid=valid, **options)
    cut = options | {"out": tmp_path / "cut"}
    started = FinetuneTask.on_train_epoch_start

    def stop(task: FinetuneTask) -> None:
        if task.current_epoch == 2:
            raise KeyboardInterrupt
        started(task)

    with monkeypatch.context() as patch:
        patch.setattr(FinetuneTask, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            equisparse.finetune(frames, valid=valid, **cut)
    with pytest.raises(InputError, match="--max-steps 12"):
        equisparse.finetune(frames, valid=valid, **cut | {"resume": True, "max_steps": 12})
    resumed = equisparse.finetune(frames, valid=valid, **cut | {"resume": True})
    assert all(torch.equal(value, last(resumed)[name]) for name, value in last(whole).items())
    assert len(resumed.curve) == 3


@pytest.mark.parametrize("steps", [3, 4])
def test_a_sequence_goes_on_after_some_batches(steps: int) -> None:
    whole = [sequence(batches(steps), 3)[done:] for done in range(2 * steps + 1)]
    for done, expected in enumerate(whole):
        chosen = RoundBatches(batches(), steps, done)
        found = list(chosen)  # a loader with processes reads before it is told the round
        for number in range(done // steps + 1, 3):
            chosen.set_epoch(number)
            found += list(chosen)
        assert found == expected


@pytest.mark.parametrize("more", [{}, {"ema": 0.6}, {"workers": 1}, {"max_atoms": 9}])
def test_a_run_is_resumed_within_a_round(
    more: dict[str, Any],
    frames: list[Atoms],
    valid: list[Atoms],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The checkpoint is that of the step before, and the round ends as in a run that was not stopped."""
    from equisparse.training.task import FinetuneTask

    options |= {"epochs": None, "max_steps": 12, "validate_every": 4, "checkpoint_minutes": 1e-9} | more
    whole = equisparse.finetune(frames, valid=valid, **options)
    cut = options | {"out": tmp_path / "cut"}
    step = FinetuneTask.training_step

    for stop in (3, 4, 10):

        def stopped(task: FinetuneTask, batch: Any, index: int, stop: int = stop) -> None:
            if task.global_step == stop:
                raise KeyboardInterrupt
            step(task, batch, index)

        with monkeypatch.context() as patch:
            patch.setattr(FinetuneTask, "training_step", stopped)
            with pytest.raises(KeyboardInterrupt):
                equisparse.finetune(frames, valid=valid, **cut | {"resume": stop > 3})
    steps: list[int] = []
    monkeypatch.setattr(
        FinetuneTask, "training_step", lambda task, *given: steps.append(task.global_step) or step(task, *given)
    )
    resumed = equisparse.finetune(frames, valid=valid, **cut | {"resume": True})
    assert steps == [10, 11]
    assert all(torch.equal(value, last(resumed)[name]) for name, value in last(whole).items())
    rows = [[{**row.to_dict(), "seconds": 0} for row in run.curve] for run in (whole, resumed)]
    assert rows[0] == rows[1]


def test_an_average_of_the_weights_is_kept_with_the_entries_of_the_last_weights(
    frames: list[Atoms], valid: list[Atoms], options: dict[str, Any], tmp_path: Path
) -> None:
    options |= {"method": "sparse", "changed": 0.1, "epochs": 8}
    last_weights = equisparse.finetune(frames, valid=valid, **options)
    averaged = equisparse.finetune(frames, valid=valid, **options | {"ema": 0.9, "out": tmp_path / "averaged"})
    assert averaged.adapter.stored_values == last_weights.adapter.stored_values
    assert averaged.curve[-1].valid_loss != last_weights.curve[-1].valid_loss


def test_the_speed_of_a_training_is_reported(frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]) -> None:
    texts: dict[str, str] = {}

    class Notices(Listener):
        def notice(self, topic: str, text: str) -> None:
            texts[topic] = text

    equisparse.finetune(frames, valid=valid, listener=Notices(), **options)
    pattern = r"\S+ frames/s, \S+ atoms/s; \S+% of the time waiting for data; at most \S+ GB of memory"
    assert re.fullmatch(pattern, texts["throughput"])
    two = str(Throughput(2, 1234.0, 5.0, 0.02, 1_500_000_000))
    assert two.startswith("1.23e+03 frames/s, 5 atoms/s on 2 processes; 2.0% of the time")
    assert two.endswith("1.5 GB of memory per process")
