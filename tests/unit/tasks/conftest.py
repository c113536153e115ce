"""The smallest base that can be fine-tuned, known by the name ``toy-1``, and molecules with labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms

import equisparse
from equisparse.backbones import registry
from equisparse.testing.toy import ToyBackbone


def molecule(seed: int) -> Atoms:
    """A disturbed molecule of water with made-up labels."""
    rng = np.random.default_rng(seed)
    atoms = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    atoms.positions += rng.normal(0, 0.1, (3, 3))
    atoms.info["REF_energy"] = -14.0 + 0.1 * rng.normal()
    atoms.arrays["REF_forces"] = rng.normal(0, 0.5, (3, 3))
    atoms.arrays["REF_forces"] -= atoms.arrays["REF_forces"].mean(0)
    return atoms


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> type[ToyBackbone]:
    """The backbone, known by name during a test."""
    monkeypatch.setattr(registry, "_BACKBONES", dict(registry._BACKBONES))
    equisparse.register_backbone("toy", ToyBackbone, prefixes=("toy-",))
    return ToyBackbone


@pytest.fixture(name="molecule")
def molecule_maker() -> Callable[[int], Atoms]:
    """`molecule`."""
    return molecule


@pytest.fixture
def frames() -> list[Atoms]:
    """Twelve labelled molecules."""
    return [molecule(seed) for seed in range(12)]


@pytest.fixture
def valid() -> list[Atoms]:
    """Four further molecules."""
    return [molecule(seed) for seed in range(20, 24)]


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Options of a fine-tune that takes a moment."""
    return {
        "base": "toy-1",
        "method": "full",
        "targets": ["all"],
        "out": tmp_path / "run",
        "epochs": 2,
        "batch_size": 4,
        "anchor": 0.0,
        "force": True,
        "report": False,
    }


@pytest.fixture
def files(frames: list[Atoms], valid: list[Atoms], tmp_path: Path) -> dict[str, str]:
    """The molecules as files."""
    paths = {"train": frames, "valid": valid}
    for name, atoms in paths.items():
        ase.io.write(tmp_path / f"{name}.extxyz", atoms)
    return {name: str(tmp_path / f"{name}.extxyz") for name in paths}
