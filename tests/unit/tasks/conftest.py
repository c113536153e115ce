"""The smallest base that can be fine-tuned: a network of pair distances, known by the name ``toy-1``."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from torch import Tensor, nn

import equisparse
from equisparse.backbones import registry
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.prediction import Prediction
from equisparse.blocks import Layout, matrix_blocks
from equisparse.quantities import ENERGY, FORCES, STRESS

WIDTH = 4


class Network(nn.Module):
    """Energies of atoms from their distances."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.read = nn.Linear(WIDTH, 1, bias=False)
        generator = torch.Generator().manual_seed(0)
        for layer in (self.mix, self.read):
            nn.init.normal_(layer.weight, 0, 0.3, generator=generator)

    def forward(self, distances: Tensor) -> Tensor:
        features = torch.exp(-((distances.unsqueeze(-1) - torch.linspace(0.5, 3.0, WIDTH)) ** 2)).sum(-2)
        energies: Tensor = self.read(torch.tanh(self.mix(features))).squeeze(-1)
        return energies


class Toy(equisparse.AbstractBackbone):
    """The network as a backbone; ``toy-2`` has other weights."""

    name: ClassVar[str] = "toy"
    native_suffix = ".toy"
    accelerated = False

    @classmethod
    def locate(cls, source: str) -> Path:
        return Path(source)

    @classmethod
    def load(cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None) -> "Toy":
        backbone = cls()
        backbone.model = Network()
        if source != "toy-1":
            backbone.model.read.weight.data.mul_(2)
        backbone.dtype, backbone.device, backbone.modality = torch.float32, torch.device("cpu"), modality
        backbone.elements, backbone.cutoff = frozenset({1, 6, 7, 8, 12}), 6.0
        backbone.loaded = fingerprint(dict(backbone.model.named_parameters()))
        backbone.identity = BaseId("toy", source, backbone.loaded, "1.0")
        return backbone

    def layout(self) -> Layout:
        blocks = (
            *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (WIDTH, WIDTH))], "linear", 0),
            *matrix_blocks("read.weight", [("0e->0e", 0, 1, (WIDTH, 1))], "readout", -1),
        )
        return Layout(blocks, {"mix.weight": (WIDTH, WIDTH), "read.weight": (1, WIDTH)}, WIDTH * WIDTH + WIDTH)

    def graph(self, atoms: Atoms) -> Tensor:
        return torch.tensor(atoms.positions, dtype=torch.float32)

    def collate(self, graphs: Sequence[Tensor]) -> list[Tensor]:
        return [graph.clone() for graph in graphs]

    @torch.enable_grad()
    def predict(self, batch: list[Tensor], *, training: bool = False) -> Prediction:
        energies, forces = [], []
        for positions in batch:
            positions.requires_grad_()
            others = ~torch.eye(len(positions), dtype=torch.bool)
            apart = (positions.unsqueeze(0) - positions.unsqueeze(1))[others].reshape(len(positions), -1, 3)
            energy = self.model(apart.norm(dim=-1)).sum()
            forces.append(-torch.autograd.grad(energy, positions, create_graph=training)[0])
            energies.append(energy)
        found = {ENERGY: torch.stack(energies), FORCES: torch.cat(forces), STRESS: torch.zeros(len(batch), 3, 3)}
        return found if training else {quantity: values.detach() for quantity, values in found.items()}

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        self.accelerated = self.model.accelerated = True
        return True

    @property
    def native_bytes(self) -> int:
        return 1000

    @property
    def reference_slots(self) -> Mapping[int, int]:
        return {z: z for z in self.elements}

    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        raise NotImplementedError

    def upstream_calculator(self, path: Path) -> Calculator:
        raise NotImplementedError

    def deployment_notes(self, path: Path) -> str:
        return "nowhere"


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
def toy(monkeypatch: pytest.MonkeyPatch) -> type[Toy]:
    """The backbone, known by name during a test."""
    monkeypatch.setattr(registry, "_BACKBONES", dict(registry._BACKBONES))
    equisparse.register_backbone("toy", Toy, prefixes=("toy-",))
    return Toy


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
