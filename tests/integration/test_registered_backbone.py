"""A backbone that another package brings: a tiny network of pair distances, fine-tuned and used by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from torch import Tensor, nn

import equisparse
from equisparse.backbones import registry
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.prediction import Prediction
from equisparse.blocks import Block, Layout
from equisparse.quantities import ENERGY, FORCES, STRESS

WIDTH = 8


class Network(nn.Module):
    """Energy of an atom: a function of the distances of all others."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.read = nn.Linear(WIDTH, 1, bias=False)
        for layer in (self.mix, self.read):
            nn.init.normal_(layer.weight, 0, 0.3, generator=generator)

    def forward(self, distances: Tensor) -> Tensor:
        """Energies, shape (n_atoms,), from distances, shape (n_atoms, n_others)."""
        features = torch.exp(-((distances.unsqueeze(-1) - torch.linspace(0.5, 4.0, WIDTH)) ** 2)).sum(-2)
        energies: Tensor = self.read(torch.tanh(self.mix(features))).squeeze(-1)
        return energies


class ToyBackbone(equisparse.AbstractBackbone):
    """The network as a backbone."""

    name: ClassVar[str] = "toy"
    native_suffix = ".toy"

    @classmethod
    def locate(cls, source: str) -> Path:
        return Path(source)

    @classmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "ToyBackbone":
        backbone = cls()
        backbone.model, backbone.dtype, backbone.device = Network(), torch.float32, torch.device("cpu")
        if Path(source).is_file():
            backbone.model.load_state_dict(torch.load(source, weights_only=True))
        backbone.elements, backbone.cutoff, backbone.modality = frozenset({1, 6, 7, 8}), 6.0, modality
        backbone.loaded = fingerprint(dict(backbone.model.named_parameters()))
        backbone.identity = BaseId("toy", source, backbone.loaded, "1.0")
        return backbone

    def layout(self) -> Layout:
        block = Block("mix.weight", "0e->0e", 0, 1, "linear", 0, 0, (WIDTH, WIDTH))
        return Layout((block,), {"mix.weight": (WIDTH, WIDTH)}, WIDTH * WIDTH + WIDTH)

    def graph(self, atoms: Atoms) -> Tensor:
        return torch.tensor(atoms.positions, dtype=torch.float32)

    def collate(self, graphs: Sequence[Tensor]) -> list[Tensor]:
        return [graph.clone() for graph in graphs]

    @torch.enable_grad()
    def predict(self, batch: list[Tensor], *, training: bool = False) -> Prediction:
        energies, forces = [], []
        for positions in batch:
            positions.requires_grad_()
            apart = positions.unsqueeze(0) - positions.unsqueeze(1)
            others = ~torch.eye(len(positions), dtype=torch.bool)
            distances = apart[others].reshape(len(positions), -1, 3).norm(dim=-1)
            energy = self.model(distances).sum()
            forces.append(-torch.autograd.grad(energy, positions, create_graph=training)[0])
            energies.append(energy)
        stress = torch.zeros(len(batch), 3, 3)
        found = {ENERGY: torch.stack(energies), FORCES: torch.cat(forces), STRESS: stress}
        return found if training else {quantity: values.detach() for quantity, values in found.items()}

    @property
    def native_bytes(self) -> int:
        return 1000

    @property
    def reference_slots(self) -> Mapping[int, int]:
        return {z: z for z in self.elements}

    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        torch.save({"shifts": dict(shifts)} | {"weights": self.model.state_dict()}, path)

    def upstream_calculator(self, path: Path) -> Calculator:
        stored = torch.load(path, weights_only=True)
        other = ToyBackbone.load("toy-1")
        other.model.load_state_dict(stored["weights"])
        return equisparse.calculator(other) if not stored["shifts"] else Shifted(other, stored["shifts"])

    def deployment_notes(self, path: Path) -> str:
        return "nowhere"


def Shifted(backbone: ToyBackbone, shifts: dict[int, float]) -> Calculator:  # noqa: N802  stands for a class
    """The toy's own calculator."""
    from equisparse.deploy.calculator import AdaptedCalculator

    return AdaptedCalculator(backbone, shifts)


def frames(seeds: range) -> list[Atoms]:
    """Disturbed molecules with the labels of another theory."""
    found = []
    for seed in seeds:
        atoms = molecule(["CH3OH", "H2O", "NH3"][seed % 3])
        atoms.positions += np.random.default_rng(seed).normal(0, 0.05, atoms.positions.shape)
        atoms.calc = EMT()
        atoms.get_forces()
        found.append(atoms)
    return found


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKBONES", dict(registry._BACKBONES))


def test_a_registered_backbone_is_fine_tuned_and_used_by_name(tmp_path: Path) -> None:
    equisparse.register_backbone("toy", ToyBackbone, prefixes=("toy-",), suffixes=(".toy",))
    run = equisparse.finetune(
        frames(range(12)),
        valid=frames(range(20, 26)),
        base="toy-1",
        method=equisparse.Full(),
        targets=["all"],
        out=tmp_path / "run",
        epochs=6,
        batch_size=4,
        anchor=0.0,
        force=True,
    )
    error = "force_rmse_mev_per_ang"
    before, after = run.metrics.refit["train"][error], run.metrics.final["train"][error]
    assert before is not None
    assert after is not None
    assert after < before
    assert run.config.base == "toy-1"
    assert run.metrics.merged_check is not None
    assert run.metrics.merged_check.equal
    atoms = frames(range(20, 21))[0]
    atoms.calc = run.calculator(device="cpu")
    predictions = run.predictions
    assert predictions is not None
    assert atoms.get_potential_energy() == pytest.approx(predictions.after[ENERGY][0], abs=1e-4)


def test_a_loaded_backbone_needs_no_registration_to_be_evaluated() -> None:
    errors = equisparse.evaluate(frames(range(3)), ToyBackbone.load("toy-1"))
    assert errors["force_mae_mev_per_ang"] is not None
