"""A training with coarser matrix products: refused on a CPU; elsewhere its price is a result of the run."""

from typing import Any

import pytest
import torch
from ase import Atoms
from torch import Tensor

import equisparse
from equisparse.errors import InputError
from equisparse.inference import precision
from equisparse.report.terminal.closing import closing_facts
from equisparse.testing.toy import ToyBackbone


def test_a_cpu_is_refused_before_the_training(frames: list[Atoms], options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--precision tf32 has no effect here"):
        equisparse.finetune(frames, **options | {"precision": "tf32"})
    assert not (options["out"] / "metrics.csv").exists()


def test_the_training_is_coarse_and_the_results_are_not(
    frames: list[Atoms], valid: list[Atoms], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    predict = ToyBackbone.predict

    def rounded(self: ToyBackbone, batch: Any, *, training: bool = False) -> dict[Any, Tensor]:
        now = torch.get_float32_matmul_precision()
        seen[training].add(now)
        found = predict(self, batch, training=training)
        return {quantity: values.half().float() if now == "high" else values for quantity, values in found.items()}

    monkeypatch.setattr(ToyBackbone, "predict", rounded)
    monkeypatch.setattr(precision, "_without_tf32", lambda *_: "")
    run = equisparse.finetune(frames, valid=valid, **options | {"precision": "tf32"})
    assert seen[True] == {"high"}
    price = equisparse.read_run(run.folder).metrics.precision
    assert price == run.metrics.precision
    assert price is not None
    assert price.n_frames == len(valid)
    assert price.largest["energy"] > 0
    assert ("precision", str(price)) in list(closing_facts(run))
    exact = equisparse.evaluate(valid, "toy-1", run.files.adapter)
    assert run.metrics.final["valid"]["force_mae_mev_per_ang"] == pytest.approx(exact["force_mae_mev_per_ang"])
    assert torch.get_float32_matmul_precision() == "highest"
