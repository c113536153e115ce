"""NequIP and Allegro, through their own packages: loader, graphs, model, calculator and file formats are upstream's."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import nequip
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from nequip.data import AtomicDataDict, from_ase
from nequip.integrations.ase import NequIPCalculator
from nequip.integrations.utils import basic_transforms
from nequip.model.saved_models.load_utils import _get_model_file_path
from nequip.utils.dtype import torch_default_dtype
from torch import nn

from equisparse.backbones.acceleration import accelerate_checked
from equisparse.backbones.base import AbstractBackbone, check_detached
from equisparse.backbones.device import DTYPES, resolve_device
from equisparse.backbones.e3nn.layout import model_layout
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.nequip.accelerated import accelerate_model
from equisparse.backbones.nequip.features import invariant_channels, term_added
from equisparse.backbones.nequip.files import Checkpoint, ModelFile, Package, is_package
from equisparse.backbones.nequip.global_state import nequip_state
from equisparse.backbones.nequip.kernels import attach_kernels
from equisparse.backbones.nequip.layout import is_a, model_blocks
from equisparse.backbones.prediction import EnergyTerm, Prediction
from equisparse.backbones.upstream import translate_errors
from equisparse.blocks import Layout
from equisparse.errors import BackboneError
from equisparse.quantities import ENERGY, FORCES, STRESS

_SITE = "nequip.net:"
"""Prefix of the names of published models."""


class NequIPBackbone(AbstractBackbone):
    """A NequIP or Allegro model: a checkpoint, a package, or a name of the model site such as ``nequip.net:G/M:V``."""

    name = "nequip"
    accelerators: ClassVar[Mapping[str, tuple[str, ...]]] = {"oeq": ("cuda",)}

    def __init__(self, source: str, device: torch.device, dtype: str) -> None:
        self._file, model = _open(source)
        module = _reference_module(model, source)
        references = {name: value for name, value in model.state_dict().items() if name.startswith(f"{module}.")}
        digest = fingerprint(references | dict(model.named_parameters()))
        short = source if source.startswith(_SITE) else Path(source).name
        self.identity = BaseId(self.name, short, digest, nequip.__version__)
        self.native_suffix, self._shifts = self._file.suffix, f"{module}.shifts"
        self.dtype, self.device, self.modality = DTYPES[dtype], device, None
        if model.model_dtype != self.dtype:
            model = self._file.rebuilt(model, dtype)
        self.model = model.to(device).eval()
        self.loaded = fingerprint(dict(self.model.named_parameters()))
        metadata: dict[str, str] = model.metadata  # type: ignore[assignment]
        names = metadata["type_names"].split()
        self._types = {atomic_numbers[name]: index for index, name in enumerate(names) if name in atomic_numbers}
        self._numbers = torch.tensor([atomic_numbers.get(name, 0) for name in names], device=device)
        self._symbols = {name: name for name in names if name in atomic_numbers}
        self.elements, self.cutoff = frozenset(self._types), float(metadata["r_max"])
        self._transforms = basic_transforms(metadata, self.cutoff, names, self._symbols)

    def __getstate__(self) -> dict[str, object]:
        """State for `pickle` and `copy`; a packaged model, whose classes cannot be imported, by its values alone."""
        if not is_package(self._file.path):
            return vars(self).copy()
        check_detached(self.model, "NequIP")
        return vars(self) | {"model": self.model.state_dict()}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore a backbone; a packaged model is read again from its file."""
        vars(self).update(state)
        if is_package(self._file.path):
            with nequip_state():
                self.model = self._file.load().to(self.device).eval()
            self.model.load_state_dict(state["model"])  # type: ignore[arg-type]  # from `__getstate__`

    @classmethod
    def locate(cls, source: str) -> Path:
        with _loading(source), _get_model_file_path(source) as path:
            return Path(path)

    @classmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "NequIPBackbone":
        if modality is not None:
            raise BackboneError("NequIP models have no modalities.", given=modality, next_step="omit --modality")
        with nequip_state():
            return cls(source, resolve_device(device), dtype)

    def layout(self) -> Layout:
        return model_layout(self.model, model_blocks(self.model))

    def graph(self, atoms: Atoms) -> Any:
        bare = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        with torch_default_dtype(torch.float64):
            data = from_ase(bare)
            for transform in self._transforms:
                data = transform(data)
        return data

    def collate(self, graphs: Sequence[Any]) -> Any:
        return AtomicDataDict.batched_from_list(list(graphs))

    def predict(self, batch: Any, *, training: bool = False) -> Prediction:
        self.model.train(training)
        with torch.enable_grad():
            output = self.model({name: value.to(self.device, non_blocking=True) for name, value in batch.items()})
        keys = (AtomicDataDict.TOTAL_ENERGY_KEY, AtomicDataDict.FORCE_KEY, AtomicDataDict.STRESS_KEY)
        energy, forces, stress = (output[k].to(self.dtype) if training else output[k].detach() for k in keys)
        return {ENERGY: energy.reshape(-1), FORCES: forces, STRESS: stress.nan_to_num()}  # NaN without a volume

    @property
    def final_scalars(self) -> int:
        return len(invariant_channels(self.model))

    def predict_with(self, batch: Any, term: EnergyTerm, *, training: bool = False) -> Prediction:
        types = batch[AtomicDataDict.ATOM_TYPE_KEY].to(self.device)
        with term_added(self.model, self._numbers[types], term):
            return self.predict(batch, training=training)

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        if is_package(self._file.path):  # it has classes of its own, and cannot be built in float64
            return False
        return accelerate_checked(self, accelerate_model, frames)

    def attach_kernels(self, accelerator: str) -> None:
        attach_kernels(self.model)

    def in_float64(self) -> "NequIPBackbone":
        if is_package(self._file.path):
            raise BackboneError(
                "A packaged model cannot be built in float64, which the self-check of an accelerator needs.",
                given=self.identity.source,
                next_step="use the checkpoint of the model, or omit --accelerator",
            )
        with nequip_state():
            return NequIPBackbone(str(self._file.path), self.device, "float64")

    @property
    def native_bytes(self) -> int:
        return self._file.path.stat().st_size

    @property
    def reference_slots(self) -> Mapping[int, int]:
        shared = self.model.state_dict()[self._shifts].numel() == 1
        return {z: 0 if shared else index for z, index in self._types.items()}

    @property
    def reference_tensor(self) -> str:
        return self._shifts

    @property
    def element_order(self) -> tuple[int, ...]:
        return tuple(sorted(self._types, key=lambda z: self._types[z]))

    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        check_detached(self.model, "NequIP")
        moved, slots = self.model.state_dict()[self._shifts].clone(), self.reference_slots
        for slot, value in {slots[z]: value for z, value in shifts.items()}.items():
            moved[slot] += value
        values = {name: parameter.detach() for name, parameter in self.model.named_parameters()}
        with nequip_state():
            self._file.save(path, values | {self._shifts: moved})

    def upstream_calculator(self, path: Path) -> Calculator:
        with nequip_state():
            calculator: Calculator = _Calculator._from_saved_model(
                path, device=self.device, chemical_species_to_atom_type_map=self._symbols
            )
        return calculator

    def deployment_notes(self, path: Path) -> str:
        package = "allegro" if any(is_a(module, "Allegro_Module") for module in self.model.modules()) else "nequip"
        device = self.device.type
        compiled = f"nequip-compile {path} model.nequip.pt2 --mode aotinductor --device {device}"
        lines = (
            f"ASE:     {compiled} --target ase",
            "         from nequip.integrations.ase import NequIPCalculator",
            f"         calc = NequIPCalculator.from_compiled_model('model.nequip.pt2', device='{device}')",
            f"LAMMPS:  {compiled} --target pair_{package}",
            f"         pair_style {package}",
            "         pair_coeff * * model.nequip.pt2 <element of type 1> <element of type 2> ...",
        )
        return "\n".join(lines)


class _Calculator(NequIPCalculator):  # type: ignore[misc]
    """Upstream's calculator, in a process whose default precision is not double."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        with torch_default_dtype(torch.float64):
            super().calculate(*arguments, **options)


def _open(source: str) -> tuple[ModelFile, nn.Module]:
    """File of a model, and the model."""
    with _loading(source), _get_model_file_path(source) as path:
        file: ModelFile = Package(path) if is_package(path) else Checkpoint(path)
        return file, file.load()


def _loading(source: str) -> AbstractContextManager[None]:
    """Translate NequIP's errors while it loads a model."""
    return translate_errors(
        "NequIP cannot load this model.",
        given=source,
        expected="a .ckpt of nequip-train, a .nequip.zip of nequip-package, or nequip.net:GROUP/MODEL:VERSION",
        next_step="without network access, copy the file of the model here and give its path",
    )


def _reference_module(model: nn.Module, source: str) -> str:
    """Name of the module that holds the reference energies.

    Raises
    ------
    BackboneError
        If this package cannot adapt such a model.
    """
    modules: dict[str, Any] = dict(model.named_modules())
    with_shifts = [name for name in modules if is_a(modules[name], "PerTypeScaleShift") and modules[name].has_shifts]
    if len(with_shifts) != 1:
        raise BackboneError(
            "The model has no energy shift per type: its reference energies cannot be refitted.",
            given=source,
            expected="a model trained with per_type_energy_shifts",
            next_step="choose another base",
        )
    if any(getattr(module, "do_categorical_graph_field_embed", False) for module in model.modules()):
        raise BackboneError(
            "The model needs more than the structure: it embeds a category of the frame.",
            given=source,
            expected="a model whose inputs are positions, cell and elements",
            next_step="choose another base",
        )
    if not any(getattr(module, "do_derivatives", False) for module in model.modules()):
        raise BackboneError("The model predicts no forces.", given=source, expected="a model built with do_derivatives")
    return with_shifts[0]
