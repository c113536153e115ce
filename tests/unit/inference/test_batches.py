"""Batches by work: within their limits, every frame once, the same for a seed and an epoch, and equal for processes."""

import numpy as np
import pytest

from equisparse.errors import InputError
from equisparse.inference.batches import BatchLimits, WorkBatches

SIZES = np.random.default_rng(0).integers(2, 60, 500)
LIMITS = BatchLimits(12, atoms=200, edges=9000)


def batches(rank: int, epoch: int = 0, seed: int = 3, replicas: int = 2) -> list[list[int]]:
    """Batches of one process."""
    sampler = WorkBatches(SIZES, SIZES**2, LIMITS, seed=seed, replicas=replicas, rank=rank)
    sampler.sampler.set_epoch(epoch)
    assert len(sampler) == len(list(sampler))
    return list(sampler)


def test_batches_are_within_all_limits_and_every_frame_occurs_once() -> None:
    all_batches = batches(0) + batches(1)
    assert sorted(index for batch in all_batches for index in batch) == list(range(500))
    assert max(map(len, all_batches)) <= 12
    assert max(SIZES[batch].sum() for batch in all_batches) <= 200
    assert max((SIZES[batch] ** 2).sum() for batch in all_batches) <= 9000


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    assert batches(0, epoch=4) == batches(0, epoch=4)
    assert batches(0, epoch=4) != batches(0, epoch=5)
    assert batches(0, epoch=4) != batches(0, epoch=4, seed=5)


def test_processes_take_as_many_steps_with_nearly_equal_work() -> None:
    first, second = batches(0), batches(1)
    assert len(first) == len(second)
    work = [np.array([(SIZES[batch] ** 2).sum() for batch in part]) for part in (first, second)]
    assert np.median(np.abs(work[0] - work[1])) < 0.1 * np.median(work[0])


def test_a_frame_that_no_batch_can_hold_is_an_error() -> None:
    with pytest.raises(InputError, match="more atoms than a batch may have") as caught:
        WorkBatches(SIZES, None, BatchLimits(12, atoms=50), seed=0)
    assert f"the largest has {SIZES.max()} atoms" in str(caught.value)
