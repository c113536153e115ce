"""The smallest base that can be fine-tuned: a network of pair distances, also an example of a backbone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from torch import Tensor, nn

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.device import resolve_device
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.prediction import Prediction
from equisparse.blocks import Layout, matrix_blocks
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.quantities import ENERGY, FORCES, STRESS

_WIDTH = 4


class DistanceNetwork(nn.Module):
    """Energies of atoms, eV, as a function of the distances of all others."""

    accelerated: bool
    """Set by `ToyBackbone.accelerate`."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(_WIDTH, _WIDTH, bias=False)
        self.read = nn.Linear(_WIDTH, 1, bias=False)
        generator = torch.Generator().manual_seed(0)
        for layer in (self.mix, self.read):
            nn.init.normal_(layer.weight, 0, 0.3, generator=generator)

    def forward(self, distances: Tensor) -> Tensor:
        """Return energies, shape (n_atoms,), for distances in Angstrom, shape (n_atoms, n_others)."""
        features = torch.exp(-((distances.unsqueeze(-1) - torch.linspace(0.5, 3.0, _WIDTH).to(distances)) ** 2)).sum(-2)
        energies: Tensor = self.read(torch.tanh(self.mix(features))).squeeze(-1)
        return energies


class ToyBackbone(AbstractBackbone):
    """The network as a backbone, for H, C, N, O and Mg.

    A source is the file of a merged model, or any name: ``toy-2`` has other weights than all other names.
    """

    name: ClassVar[str] = "toy"
    native_suffix = ".toy"

    @classmethod
    def locate(cls, source: str) -> Path:
        """Return the source as a path."""
        return Path(source)

    @classmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "ToyBackbone":
        """Load a model by name or file."""
        backbone = cls()
        backbone.model = DistanceNetwork()
        if Path(source).is_file():
            backbone.model.load_state_dict(torch.load(source, weights_only=True)["weights"])
        elif source == "toy-2":
            backbone.model.read.weight.data.mul_(2)
        backbone.dtype, backbone.device, backbone.modality = getattr(torch, dtype), resolve_device(device), modality
        backbone.model.to(backbone.device, backbone.dtype)
        backbone.elements, backbone.cutoff = frozenset({1, 6, 7, 8, 12}), 6.0
        backbone.loaded = fingerprint(dict(backbone.model.named_parameters()))
        backbone.identity = BaseId("toy", source, backbone.loaded, "1.0")
        return backbone

    def layout(self) -> Layout:
        """Return one block for each of the two layers."""
        blocks = (
            *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (_WIDTH, _WIDTH))], "linear", 0),
            *matrix_blocks("read.weight", [("0e->0e", 0, 1, (_WIDTH, 1))], "readout", -1),
        )
        return Layout(blocks, {"mix.weight": (_WIDTH, _WIDTH), "read.weight": (1, _WIDTH)}, _WIDTH * _WIDTH + _WIDTH)

    def graph(self, atoms: Atoms) -> Tensor:
        """Return the positions; cells are not seen."""
        return torch.tensor(atoms.positions, dtype=self.dtype, device=self.device)

    def collate(self, graphs: Sequence[Tensor]) -> list[Tensor]:
        """Return copies of the positions of several structures."""
        return [graph.clone() for graph in graphs]

    @torch.enable_grad()
    def predict(self, batch: list[Tensor], *, training: bool = False) -> Prediction:
        """Predict energies and forces; the stress is 0."""
        energies, forces = [], []
        for positions in batch:
            positions.requires_grad_()
            others = ~torch.eye(len(positions), dtype=torch.bool)
            apart = (positions.unsqueeze(0) - positions.unsqueeze(1))[others].reshape(len(positions), -1, 3)
            energy = self.model(apart.norm(dim=-1)).sum()
            forces.append(-torch.autograd.grad(energy, positions, create_graph=training)[0])
            energies.append(energy)
        found = {
            ENERGY: torch.stack(energies),
            FORCES: torch.cat(forces),
            STRESS: torch.zeros(len(batch), 3, 3).to(forces[0]),
        }
        return found if training else {quantity: values.detach() for quantity, values in found.items()}

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        """Agree to a faster form, which computes the same."""
        assert isinstance(self.model, DistanceNetwork)
        self.model.accelerated = True
        return True

    def in_float64(self) -> "ToyBackbone":
        """Load the same model in float64."""
        return self.load(self.identity.source, dtype="float64")

    @property
    def native_bytes(self) -> int:
        """Size that is claimed for the checkpoint."""
        return 1000

    @property
    def reference_slots(self) -> Mapping[int, int]:
        """One slot for each element."""
        return {z: z for z in self.elements}

    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        """Write weights and shifts."""
        torch.save({"shifts": dict(shifts), "weights": self.model.state_dict()}, path)

    def upstream_calculator(self, path: Path) -> Calculator:
        """Return a calculator of a written model."""
        return AdaptedCalculator(ToyBackbone.load(str(path)), torch.load(path, weights_only=True)["shifts"])

    def deployment_notes(self, path: Path) -> str:
        """Return that nothing else reads the file."""
        return "nowhere"
