"""Nequix as a backbone: the network is this package's, files and calculator are those of nequix."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from torch import Tensor

from equisparse.backbones.acceleration import accelerate_checked
from equisparse.backbones.base import AbstractBackbone, check_detached
from equisparse.backbones.device import DTYPES, resolve_device
from equisparse.backbones.e3nn.layout import model_layout
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.prediction import EnergyTerm, FinalFeatures, Prediction
from equisparse.backbones.upstream import default_dtype, translate_errors
from equisparse.blocks import Layout
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.errors import BackboneError
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse_nequix.accelerated import accelerate_model
from equisparse_nequix.files import read_model, write_model
from equisparse_nequix.graphs import Graph, graph_of, joined
from equisparse_nequix.layout import model_blocks
from equisparse_nequix.model import NequixNetwork
from equisparse_nequix.published import MODELS, located
from equisparse_nequix.upstream import nequix_calculator

_REFERENCES = "atom_energies"


class NequixBackbone(AbstractBackbone):
    """A Nequix model: a file ending in ``.nqx``, or the name of a published one such as ``nequix-mp-1``.

    The version in its identity is that of this package, which has the network.
    """

    name: ClassVar[str] = "nequix"
    prefixes: ClassVar[tuple[str, ...]] = ("nequix-",)
    suffixes: ClassVar[tuple[str, ...]] = (".nqx",)
    runs_code: ClassVar[bool] = False
    native_suffix = ".nqx"
    model: NequixNetwork

    def __init__(self, path: Path, device: torch.device, dtype: str) -> None:
        with default_dtype(torch.float64):  # constants of the network are exact before they are rounded
            self._config, network = read_model(path)
        values = dict(network.named_parameters()) | {_REFERENCES: network.atom_energies}
        stored = {name: value.float() for name, value in values.items()}
        self.identity = BaseId(self.name, path.name, fingerprint(stored), metadata.version("equisparse-nequix"))
        self.dtype, self.device, self.modality = DTYPES[dtype], device, None
        self.model = network.to(device=device, dtype=self.dtype).eval()
        self.loaded = fingerprint(dict(network.named_parameters()))
        self._path, self.cutoff = path, network.cutoff
        self._species = {int(z): index for index, z in enumerate(sorted(self._config["atomic_numbers"]))}
        self.elements = frozenset(self._species)

    @classmethod
    def locate(cls, source: str) -> Path:
        """Find or download the file of a model."""
        return located(source)

    @classmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "NequixBackbone":
        """Load a model."""
        if modality is not None:
            raise BackboneError("Nequix models have no modalities.", given=modality, next_step="omit --modality")
        path = located(source)
        expected = f"a file that nequix has written, or one of {', '.join(MODELS)}"
        with translate_errors("This is no Nequix model.", given=source, expected=expected):
            return cls(path, resolve_device(device), dtype)

    def layout(self) -> Layout:
        """Return the layout of all path weights."""
        return model_layout(self.model, model_blocks(self.model))

    def graph(self, atoms: Atoms) -> Graph:
        """Return the neighbour graph of a frame."""
        return graph_of(atoms, self.cutoff, self._species, self.dtype)

    def collate(self, graphs: Sequence[Graph]) -> Graph:
        """Join graphs to a batch."""
        return joined(graphs)

    def predict(self, batch: Graph, *, training: bool = False) -> Prediction:
        """Predict energies, forces and stresses."""
        return self._predict(batch, None, training)

    @property
    def final_scalars(self) -> int:
        """Number of invariant channels in the last layer."""
        return int(self.model.readout.irreps_in.dim)

    def predict_with(self, batch: Graph, term: EnergyTerm, *, training: bool = False) -> Prediction:
        """Predict with an added energy."""
        return self._predict(batch, term, training)

    @torch.enable_grad()  # forces are derivatives
    def _predict(self, batch: Graph, term: EnergyTerm | None, training: bool) -> Prediction:
        """Predict with the energy of a term, if there is one."""
        self.model.train(training)
        batch = batch.to(self.device)
        vectors = batch.vectors.detach().requires_grad_()
        receivers, senders = batch.edges
        scalars = self.model.features(batch.species, vectors, senders, receivers)
        energy = _summed(self.model.energies(scalars, batch.species), batch.frames, len(batch.volumes))
        if term is not None:
            final = FinalFeatures(scalars, vectors, batch.edges, batch.frames, batch.numbers, len(batch.volumes))
            energy = energy + term(final).energy
        (slopes,) = torch.autograd.grad(energy.sum(), vectors, create_graph=training)
        forces = _summed(slopes, receivers, len(batch.species)) - _summed(slopes, senders, len(batch.species))
        found = {ENERGY: energy, FORCES: forces, STRESS: _stress(batch, vectors, slopes)}
        return found if training else {quantity: values.detach() for quantity, values in found.items()}

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        """Replace the products on the edges by cheaper ones."""
        return accelerate_checked(self, accelerate_model, frames)

    def in_float64(self) -> "NequixBackbone":
        """Load the base once more in float64."""
        return NequixBackbone(self._path, self.device, "float64")

    @property
    def native_bytes(self) -> int:
        """Size of the file."""
        return self._path.stat().st_size

    @property
    def reference_slots(self) -> Mapping[int, int]:
        """One slot for each element."""
        return self._species

    @property
    def reference_tensor(self) -> str:
        """Name of the buffer of the reference energies."""
        return _REFERENCES

    @property
    def element_order(self) -> tuple[int, ...]:
        """Atomic numbers, ascending."""
        return tuple(self._species)

    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        """Write a file that nequix reads."""
        check_detached(self.model, "Nequix")
        state = dict(self.model.state_dict())
        moved = state[_REFERENCES].double().clone()
        for z, value in shifts.items():
            moved[self._species[z]] += value
        write_model(path, self._config, state | {_REFERENCES: moved.float()}, self.model)

    def upstream_calculator(self, path: Path) -> Calculator:
        """Return nequix's own calculator of a file or, without nequix, one of the file as this package reads it."""
        own = nequix_calculator(path, self.cutoff)
        return own or AdaptedCalculator(NequixBackbone(path, self.device, "float32"))

    def deployment_notes(self, path: Path) -> str:
        """Return how to use a file."""
        lines = (
            "ASE:     from nequix.calculator import NequixCalculator",
            f"         calc = NequixCalculator(model_path='{path}', use_kernel=False)",
            "faster:  use_kernel=True on a GPU (needs OpenEquivariance)",
        )
        return "\n".join(lines)


def _summed(values: Tensor, places: Tensor, length: int) -> Tensor:
    """Sums of the rows of `values` that belong to each place."""
    return values.new_zeros(length, *values.shape[1:]).index_add(0, places, values)


def _stress(batch: Graph, vectors: Tensor, slopes: Tensor) -> Tensor:
    """Derivative of the energy by a symmetric strain over the volume, shape (n_frames, 3, 3), eV/Angstrom^3."""
    outer = vectors.unsqueeze(-1) * slopes.unsqueeze(-2)
    virial = _summed(outer, batch.frames[batch.edges[0]], len(batch.volumes))
    return (virial + virial.transpose(1, 2)) / (2 * batch.volumes.reshape(-1, 1, 1))
