"""MACE, through its own package: loader, graphs, model, calculator and file format are upstream's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import mace
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from mace.calculators import MACECalculator
from mace.data import AtomicData, config_from_atoms
from mace.tools import AtomicNumberTable
from mace.tools.torch_geometric.batch import Batch
from torch import Tensor

from equisparse.backbones.acceleration import accelerate_checked
from equisparse.backbones.base import AbstractBackbone, check_detached
from equisparse.backbones.device import DTYPES, resolve_device
from equisparse.backbones.e3nn.layout import model_layout
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.mace.accelerated import accelerate_model
from equisparse.backbones.mace.elements import write_known_elements
from equisparse.backbones.mace.features import invariant_channels, term_added
from equisparse.backbones.mace.files import locate, open_model
from equisparse.backbones.mace.kernels import attach_kernels
from equisparse.backbones.mace.layout import model_blocks
from equisparse.backbones.modality import checked_modality
from equisparse.backbones.open_cells import in_safe_order, replaced_volume
from equisparse.backbones.prediction import EnergyTerm, Prediction
from equisparse.backbones.upstream import default_dtype
from equisparse.blocks import Layout
from equisparse.files import replacing
from equisparse.quantities import ENERGY, FORCES, SMALLEST_VOLUME, STRESS

_REFERENCES = "atomic_energies_fn.atomic_energies"


class MACEBackbone(AbstractBackbone):
    """A MACE model: any ``.model`` file, or a foundation model such as ``mace-mpa-0`` or ``mace-off23``.

    The heads of a multi-head model are its modalities.
    """

    name = "mace"
    native_suffix = ".model"
    accelerators: ClassVar[Mapping[str, tuple[str, ...]]] = {"oeq": ("cuda",), "cueq": ("cuda", "cpu")}

    def __init__(self, source: str, device: torch.device, dtype: str, modality: str | None) -> None:
        self._path = locate(source)
        model = open_model(self._path, source)
        self._heads: list[str] = list(getattr(model, "heads", None) or ["Default"])
        self.modality = checked_modality(self._heads if len(self._heads) > 1 else [], modality, source)
        self._head = self._heads.index(self.modality) if self.modality else 0
        weights = dict(model.named_parameters()) | {_REFERENCES: model.state_dict()[_REFERENCES]}
        self.identity = BaseId(self.name, Path(source).name, fingerprint(weights), mace.__version__)
        self._references: Tensor = weights[_REFERENCES].detach().clone()
        self.dtype, self.device = DTYPES[dtype], device
        self.model = model.to(device=device, dtype=self.dtype).eval()
        self.loaded = fingerprint(dict(self.model.named_parameters()))
        numbers = [int(z) for z in model.atomic_numbers]  # type: ignore[union-attr]
        self._table, self.elements = AtomicNumberTable(numbers), frozenset(numbers)
        self.cutoff = float(model.r_max)  # type: ignore[arg-type]

    @classmethod
    def locate(cls, source: str) -> Path:
        return locate(source)

    @classmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "MACEBackbone":
        return cls(source, resolve_device(device), dtype, modality)

    def layout(self) -> Layout:
        return model_layout(self.model, model_blocks(self.model))

    def graph(self, atoms: Atoms) -> Any:
        bare = in_safe_order(Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc))
        with default_dtype(self.dtype):
            config = config_from_atoms(bare, head_name=self._heads[self._head])
            graph = AtomicData.from_config(config, z_table=self._table, cutoff=self.cutoff, heads=self._heads)
        if bare.cell.volume > SMALLEST_VOLUME:  # upstream's cell has long vectors in directions that are not periodic
            graph.cell = torch.as_tensor(bare.cell.array).to(graph.cell)
        return graph

    def collate(self, graphs: Sequence[Any]) -> Any:
        return Batch.from_data_list(list(graphs))

    def predict(self, batch: Any, *, training: bool = False) -> Prediction:
        return self._predict(batch.to(self.device, non_blocking=True).to_dict(), training)

    @property
    def final_scalars(self) -> int:
        return len(invariant_channels(self.model))

    def predict_with(self, batch: Any, term: EnergyTerm, *, training: bool = False) -> Prediction:
        values = batch.to(self.device, non_blocking=True).to_dict()
        with term_added(self.model, values, term):
            return self._predict(values, training)

    def _predict(self, values: dict[str, Tensor], training: bool) -> Prediction:
        """Prediction for a batch in upstream's form."""
        self.model.train(training)
        with torch.enable_grad():
            output = self.model(values, training=training, compute_stress=True)
        energy, forces, stress = (output[key] for key in ("energy", "forces", "stress"))
        if not training:
            energy, forces, stress = energy.detach(), forces.detach(), stress.detach()
        return {ENERGY: energy, FORCES: forces, STRESS: stress}

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        return accelerate_checked(self, accelerate_model, frames)

    def attach_kernels(self, accelerator: str) -> None:
        attach_kernels(self.model, accelerator)

    def with_elements_of(self, base: AbstractBackbone) -> AbstractBackbone:
        if not (isinstance(base, MACEBackbone) and self.elements < base.elements):
            return self
        grown = base.copied()
        own = self.model, self.layout(), self.element_order
        if not write_known_elements(grown.model, grown.layout(), grown.element_order, *own):
            return self
        grown._references = grown.model.state_dict()[_REFERENCES].detach().clone()
        return grown

    def in_float64(self) -> "MACEBackbone":
        return MACEBackbone(str(self._path), self.device, "float64", self.modality)

    @property
    def native_bytes(self) -> int:
        return self._path.stat().st_size

    @property
    def reference_slots(self) -> Mapping[int, int]:
        return {z: slot for slot, z in enumerate(self._table.zs)}

    @property
    def reference_tensor(self) -> str:
        return _REFERENCES

    @property
    def reference_energies(self) -> Mapping[int, float]:
        rows = torch.atleast_2d(self._references.double())
        row = rows[self._head if len(rows) > 1 else 0]
        return {z: float(row[slot]) for z, slot in self.reference_slots.items()}

    @property
    def element_order(self) -> tuple[int, ...]:
        return tuple(int(z) for z in self._table.zs)

    @torch.no_grad()
    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        check_detached(self.model, "MACE")
        model = open_model(self._path, self.identity.source)
        for name, parameter in self.model.named_parameters():
            model.get_parameter(name).copy_(parameter)
        references = model.get_buffer(_REFERENCES)
        references.copy_(self._shifted(references, shifts))
        with replacing(path) as file:
            torch.save(model, file)

    def upstream_calculator(self, path: Path) -> Calculator:
        model = open_model(path, str(path))
        dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
        device = str(self.device)
        with default_dtype(DTYPES[dtype]):
            calculator: Calculator = MACECalculator(
                models=[model], device=device, default_dtype=dtype, head=self._heads[self._head]
            )
        return calculator

    def upstream_volume(self, atoms: Atoms) -> float:
        if atoms.pbc.all():
            return super().upstream_volume(atoms)
        return replaced_volume(atoms, self.cutoff)

    def deployment_notes(self, path: Path) -> str:
        head = f", head={self.modality!r}" if self.modality else ""
        option = f" --head {self.modality}" if self.modality else ""
        device, dtype = self.device.type, str(self.dtype).removeprefix("torch.")
        lines = (
            "ASE:     from mace.calculators import MACECalculator",
            f"         calc = MACECalculator('{path}', device='{device}', default_dtype='{dtype}'{head})",
            "         It divides the stress of slabs and wires by a wrong volume: set atoms.pbc = True, with a vacuum",
            f"         that is wider than {self.cutoff:g} Angstrom, or use the calculator of equisparse.",
            f"check:   mace_eval_configs --configs frames.extxyz --model {path} --output out.extxyz{option}",
            f"LAMMPS:  mace_create_lammps_model {path}{option}        (writes {path}-lammps.pt)",
            "         pair_style mace no_domain_decomposition",
            f"         pair_coeff * * {path}-lammps.pt <element of type 1> <element of type 2> ...",
            f"ML-IAP:  mace_create_lammps_model {path}{option} --format=mliap        (needs cuEquivariance)",
            f"         pair_style mliap unified {path}-mliap_lammps.pt 0",
            "faster:  MACECalculator(..., enable_cueq=True)        (needs cuEquivariance)",
        )
        return "\n".join(lines)

    def _shifted(self, references: Tensor, shifts: Mapping[int, float]) -> Tensor:
        """Reference energies, shape (heads, elements) or (elements,), float64, those of the chosen head shifted."""
        slots = self.reference_slots
        moved: Tensor = torch.atleast_2d(references.to(torch.float64)).clone()
        for z, value in shifts.items():
            moved[self._head if len(moved) > 1 else 0, slots[z]] += value
        return moved.reshape(references.shape)
