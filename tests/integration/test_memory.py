"""A model that runs out of memory on large batches: the fine-tune and the evaluation go on, to the same result."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.prediction import Prediction
from equisparse.backbones.registry import load_backbone
from equisparse.data.frames import LabelledFrame
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.memory import BatchLimiter
from equisparse.inference.predict import evaluate
from equisparse.methods.full import Full
from equisparse.methods.select import select
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.tasks.stages import train_adapter
from equisparse.training.fit import FitResult
from equisparse.training.options import TrainingOptions
from equisparse.training.replay import Replay, replay_of

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
MOST = 2
"""Frames that fit."""


def on_the_gpu(prediction: Prediction) -> Prediction:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def on_the_cpu(prediction: Prediction) -> Prediction:
    torch.empty(1 << 60)  # DefaultCPUAllocator: can't allocate memory
    return prediction


def in_the_backward_pass(prediction: Prediction) -> Prediction:
    if not prediction[ENERGY].requires_grad:
        return on_the_gpu(prediction)
    prediction[ENERGY].register_hook(lambda gradient: on_the_gpu(prediction))
    return prediction


Failure = Callable[[Prediction], Prediction]


@pytest.fixture(scope="module")
def backbone(small_base: str) -> AbstractBackbone:
    return load_backbone(small_base, device="cpu")


@pytest.fixture
def short_of(backbone: AbstractBackbone, monkeypatch: pytest.MonkeyPatch) -> Callable[[Failure], list[int]]:
    """Let the model fail on more than `MOST` frames; gives the sizes of all batches it is asked for."""
    predict, tried = backbone.predict, []

    def short(failure: Failure) -> list[int]:
        def limited(batch: Any, *, training: bool = False) -> Prediction:
            tried.append(batch.num_graphs)
            size, prediction = batch.num_graphs, predict(batch, training=training)
            return failure(prediction) if size > MOST else prediction

        monkeypatch.setattr(backbone, "predict", limited)
        return tried

    return short


def labelled(seed: int) -> LabelledFrame:
    """A disturbed cell of copper with the labels of another theory."""
    generator = np.random.default_rng(seed)
    atoms = bulk("Cu") * (1 + seed % 2, 1, 1)
    atoms.positions += generator.normal(0, 0.1, atoms.positions.shape)
    atoms.calc = EMT()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = None
    return LabelledFrame(atoms, {ENERGY: np.array(energy), FORCES: forces}, "made", seed)


@pytest.fixture(scope="module")
def datasets(backbone: AbstractBackbone) -> dict[str, FrameDataset]:
    frames = [labelled(seed) for seed in range(8)]
    frames[3] = frames[3].with_labels({ENERGY: None})  # pieces with and without it
    return {"train": FrameDataset(backbone, frames[:5], {}), "valid": FrameDataset(backbone, frames[5:], {})}


@pytest.fixture(scope="module")
def replay(backbone: AbstractBackbone) -> Replay:
    return replay_of(backbone, [labelled(seed) for seed in range(10, 14)], seed=0)


def trained(
    backbone: AbstractBackbone, datasets: dict[str, FrameDataset], folder: Path, replay: Replay | None
) -> tuple[Adapter, FitResult]:
    method = Full()
    folder.mkdir()
    options = TrainingOptions(epochs=2, batch_size=5, warmup_steps=1, replay_batch_size=3).resolved(5, 1e-3)
    layout = select(backbone.layout(), ("linear",))
    return train_adapter(backbone, method, layout, datasets, options, folder, replay=replay)


@pytest.fixture(scope="module")
def whole(
    backbone: AbstractBackbone, datasets: Any, replay: Replay, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Adapter, FitResult]]:
    """A run with room enough."""
    return trained(backbone, datasets, tmp_path_factory.mktemp("runs") / "whole", replay)


@pytest.mark.parametrize("failure", [on_the_gpu, on_the_cpu, in_the_backward_pass])
def test_the_steps_stay_the_same(
    failure: Failure,
    whole: tuple[Adapter, FitResult],
    backbone: AbstractBackbone,
    datasets: dict[str, FrameDataset],
    replay: Replay,
    short_of: Callable[[Failure], list[int]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BatchLimiter, "warned", False)
    tried = short_of(failure)
    with caplog.at_level(logging.WARNING):
        adapter, fitted = trained(backbone, datasets, tmp_path / "short", replay)
    assert fitted.steps == whole[1].steps == 2
    assert max(tried) == 5
    assert tried.count(5) == 1, "a size that did not fit was tried again"
    for name, parts in whole[0].stored.items():
        change = parts["change"]
        torch.testing.assert_close(
            adapter.stored[name]["change"], change, rtol=0, atol=2e-2 * float(change.abs().max())
        )
    for row, expected in zip(fitted.curve, whole[1].curve, strict=True):
        assert row.to_dict() | {"seconds": 0} == pytest.approx(expected.to_dict() | {"seconds": 0}, rel=1e-3, abs=1e-3)
    warnings = [record for record in caplog.records if "Out of memory" in record.message]
    assert len(warnings) == 1


def test_evaluation_goes_on(
    backbone: AbstractBackbone, datasets: dict[str, FrameDataset], short_of: Callable[[Failure], list[int]]
) -> None:
    expected = evaluate(backbone, datasets["train"])
    tried = short_of(on_the_cpu)
    found = evaluate(backbone, datasets["train"])
    assert tried == [5, 3, 2, 2, 1]
    np.testing.assert_allclose(found[ENERGY], expected[ENERGY], atol=1e-4)
    np.testing.assert_allclose(found[FORCES], expected[FORCES], atol=1e-4)
    np.testing.assert_allclose(found[STRESS], expected[STRESS], atol=1e-5)
