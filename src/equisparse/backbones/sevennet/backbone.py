"""SevenNet, through its own package: loader, graphs, model, calculator and checkpoint format are upstream's."""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import sevenn
import sevenn._keys as keys
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.checkpoint import SevenNetCheckpoint
from sevenn.nn.node_embedding import OnehotEmbedding
from sevenn.nn.scale import Rescale, get_resolved_shift_scale
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import dtype_correct
from torch import Tensor, nn
from torch_geometric.data import Batch

from equisparse.backbones.acceleration import accelerate_checked
from equisparse.backbones.base import AbstractBackbone, check_detached
from equisparse.backbones.device import DTYPES, resolve_device
from equisparse.backbones.e3nn.layout import model_layout
from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.modality import checked_modality
from equisparse.backbones.open_cells import in_safe_order
from equisparse.backbones.prediction import EnergyTerm, Prediction
from equisparse.backbones.sevennet.accelerated import accelerate_model
from equisparse.backbones.sevennet.features import invariant_channels, term_added
from equisparse.backbones.sevennet.files import locate, open_checkpoint, quiet_upstream
from equisparse.backbones.sevennet.kernels import attach_kernels
from equisparse.backbones.sevennet.layout import model_blocks
from equisparse.blocks import Layout
from equisparse.files import replacing
from equisparse.quantities import ENERGY, FORCES, STRESS

_REFERENCES = "rescale_atomic_energy.shift"
_MATRIX = [0, 3, 5, 3, 1, 4, 5, 4, 2]
"""Components of SevenNet's stress (xx, yy, zz, xy, yz, zx) in the order of a flattened 3x3 matrix."""


class SevenNetBackbone(AbstractBackbone):
    """A SevenNet model: a name such as ``7net-0``, ``7net-l3i5`` or ``7net-mf-0``, or any ``.pth`` file."""

    name = "sevennet"
    native_suffix = ".pth"
    accelerators: ClassVar[Mapping[str, tuple[str, ...]]] = {"oeq": ("cuda",), "flash": ("cuda",), "cueq": ("cuda",)}

    def __init__(
        self, checkpoint: SevenNetCheckpoint, source: str, device: torch.device, dtype: str, modality: str | None
    ) -> None:
        self._checkpoint = checkpoint
        model = checkpoint.build_model()
        model.set_is_batch_data(True)
        self.identity = BaseId(
            self.name, Path(source).name, fingerprint(dict(model.named_parameters())), sevenn.__version__
        )
        self._stored = frozenset(model.state_dict())  # a copy of the model has further constants in its state
        self.dtype, self.device = DTYPES[dtype], device
        self.model = model.to(device=device, dtype=self.dtype).eval()
        if self.dtype is not torch.float32:
            _cast_one_hot(self.model, self.dtype)
        self.loaded = fingerprint(dict(self.model.named_parameters()))
        self.cutoff = float(model.cutoff)
        self.elements = frozenset(int(z) for z in model.type_map)
        self.modality = checked_modality(model.modal_map or (), modality, source)

    @classmethod
    def locate(cls, source: str) -> Path:
        return locate(source)

    @classmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "SevenNetBackbone":
        with quiet_upstream():
            checkpoint = open_checkpoint(source)
            return cls(checkpoint, source, resolve_device(device), dtype, modality)

    def layout(self) -> Layout:
        return model_layout(self.model, model_blocks(self.model))

    def graph(self, atoms: Atoms) -> AtomGraphData:
        values = unlabeled_atoms_to_graph(in_safe_order(atoms), self.cutoff)
        values.pop(keys.INFO)
        graph = AtomGraphData(**{key: dtype_correct(value, self.dtype) for key, value in values.items()})
        if self.modality is not None:
            graph[keys.DATA_MODALITY] = self.modality
        return graph

    def collate(self, graphs: Sequence[AtomGraphData]) -> Any:
        return Batch.from_data_list(list(graphs))

    def predict(self, batch: Any, *, training: bool = False) -> Prediction:
        self.model.train(training)
        with torch.enable_grad():
            output = self.model(batch.to(self.device, non_blocking=True))
        energy, forces, stress = (output[k] for k in (keys.PRED_TOTAL_ENERGY, keys.PRED_FORCE, keys.PRED_STRESS))
        if not training:
            energy, forces, stress = energy.detach(), forces.detach(), stress.detach()
        return {ENERGY: energy.reshape(-1), FORCES: forces, STRESS: _ase_stress(stress)}

    @property
    def final_scalars(self) -> int:
        return len(invariant_channels(self.model))

    def predict_with(self, batch: Any, term: EnergyTerm, *, training: bool = False) -> Prediction:
        with term_added(self.model, term):
            return self.predict(batch, training=training)

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        return accelerate_checked(self, accelerate_model, frames)

    def attach_kernels(self, accelerator: str) -> None:
        with quiet_upstream():
            attach_kernels(self.model, accelerator)

    def in_float64(self) -> "SevenNetBackbone":
        return SevenNetBackbone(self._checkpoint, self.identity.source, self.device, "float64", self.modality)

    @property
    def native_bytes(self) -> int:
        return Path(self._checkpoint.checkpoint_path).stat().st_size

    @property
    def reference_slots(self) -> Mapping[int, int]:
        if isinstance(self.model.rescale_atomic_energy, Rescale):
            return dict.fromkeys(self.elements, 0)
        return {int(z): int(slot) for z, slot in self.model.type_map.items()}  # type: ignore[union-attr,operator]

    @property
    def reference_tensor(self) -> str:
        return _REFERENCES

    @property
    def reference_energies(self) -> Mapping[int, float]:
        rows = self._references_of_modality(self.model.get_parameter(_REFERENCES).detach().double())
        return {z: float(rows[slot]) for z, slot in self.reference_slots.items()}

    @property
    def element_order(self) -> tuple[int, ...]:
        return tuple(sorted(self.elements, key=lambda z: int(self.model.type_map[z])))  # type: ignore[index]

    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        check_detached(self.model, "SevenNet")
        contents = self._checkpoint.get_checkpoint_dict()
        native = next(value.dtype for value in contents["model_state_dict"].values() if value.is_floating_point())
        state = self.model.state_dict()
        state = {name: value.detach().cpu().clone() for name, value in state.items() if name in self._stored}
        state[_REFERENCES] = self._shifted(state[_REFERENCES], shifts)
        contents["model_state_dict"] = {
            name: value.to(native) if value.is_floating_point() else value for name, value in state.items()
        }
        contents["config"] |= {"version": sevenn.__version__, **self._resolved_references(contents["model_state_dict"])}
        with replacing(path) as file:
            torch.save(contents, file)

    def upstream_calculator(self, path: Path) -> Calculator:
        with quiet_upstream():
            calculator: Calculator = SevenNetCalculator(str(path), device=self.device, modal=self.modality)
        return calculator

    def deployment_notes(self, path: Path) -> str:
        modal = f" -m {self.modality}" if self.modality else ""
        lines = (
            "ASE:     from sevenn.calculator import SevenNetCalculator",
            f"         calc = SevenNetCalculator('{path}'{f', modal={self.modality!r}' if self.modality else ''})",
            f"check:   sevenn inference {path} frames.extxyz{modal}",
            f"LAMMPS:  sevenn get_model {path}{modal}        (writes deployed_serial.pt)",
            "         pair_style e3gnn",
            "         pair_coeff * * deployed_serial.pt <element of type 1> <element of type 2> ...",
            "faster:  SevenNetCalculator(..., enable_cueq=True) or enable_flash=True (needs cuEquivariance, FlashTP)",
        )
        return "\n".join(lines)

    def _shifted(self, shift: Tensor, shifts: Mapping[int, float]) -> Tensor:
        """Reference energies plus `shifts`, summed in float64; those of the chosen modality if each has its own."""
        moved, slots = shift.to(torch.float64), self.reference_slots
        rows = self._references_of_modality(moved)
        for slot, value in {slots[z]: value for z, value in shifts.items()}.items():
            rows[slot] += value
        return moved.to(shift.dtype)

    def _references_of_modality(self, shift: Tensor) -> Tensor:
        """View of the reference energies of the chosen modality, where each has its own; of all, otherwise."""
        if getattr(self.model.rescale_atomic_energy, "use_modal_wise_shift", False):
            return shift[self.model.modal_map[self.modality]]  # type: ignore[index]
        return shift

    def _resolved_references(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The `shift` and `scale` entries of SevenNet's configuration that belong to a state."""
        rescale, prefix = copy.deepcopy(self.model.get_submodule("rescale_atomic_energy")), "rescale_atomic_energy."
        rescale.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        shift, scale = get_resolved_shift_scale(
            rescale, self.model.type_map, self.model.modal_map if self.modality else None
        )
        return {keys.SHIFT: shift, keys.SCALE: scale}


def _ase_stress(stress: Tensor) -> Tensor:
    """Stress matrices, shape (n, 3, 3), with the sign of ASE, which is opposite to SevenNet's (n, 6)."""
    return -stress[:, _MATRIX].reshape(-1, 3, 3)


def _cast_one_hot(model: nn.Module, dtype: torch.dtype) -> None:
    """Make the one-hot embeddings, which upstream fixes to float32, return `dtype`."""
    for module in model.modules():
        if isinstance(module, OnehotEmbedding):
            module.register_forward_hook(partial(_cast_embedding, dtype))


def _cast_embedding(dtype: torch.dtype, module: OnehotEmbedding, _arguments: Any, data: Any) -> Any:
    """Hook after an embedding; a function of this module, so that models can be pickled."""
    for key in filter(None, (module.key_output, module.key_additional_output)):
        data[key] = data[key].to(dtype)
    return data
