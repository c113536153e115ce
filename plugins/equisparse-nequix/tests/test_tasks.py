"""A fine-tune through the public functions, and what follows it."""

from pathlib import Path

import ase.io
import pytest

import equisparse
import equisparse_nequix.backbone
from equisparse.data.demo import demo_files


def test_a_fine_tune_is_evaluated_attributed_and_merged(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equisparse_nequix.backbone, "nequix_calculator", lambda *_: None)  # as in test_laws.py
    files = {name: tmp_path / f"{name}.extxyz" for name in ("train", "valid", "test")}
    for name, count in (("train", 8), ("valid", 4), ("test", 4)):
        ase.io.write(files[name], ase.io.read(getattr(demo_files(), name), f":{count}"))
    run = equisparse.finetune(
        files["train"],
        valid=files["valid"],
        test=files["test"],
        base=str(small),
        changed=0.03,
        out=tmp_path / "run",
        epochs=3,
        batch_size=4,
        device="cpu",
        force=True,  # forces of random weights have any sign
    )
    error = "force_mae_mev_per_ang"
    assert run.metrics.final["train"][error] < run.metrics.refit["train"][error]
    assert run.metrics.changed_fraction_model == pytest.approx(0.03, rel=0.1)
    assert run.metrics.merged_check.equal

    adapted = equisparse.evaluate(files["test"], small, run.adapter, device="cpu")
    merged = equisparse.evaluate(files["test"], tmp_path / "run" / "merged.nqx", device="cpu")
    assert merged == {name: value and pytest.approx(value, rel=1e-3) for name, value in adapted.items()}

    assert {row.group for row in equisparse.attribute(run, "element", device="cpu")} >= {"Mg", "O"}
