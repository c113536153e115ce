"""SevenNet, through its own package: loader, graphs, model, calculator and checkpoint format are upstream's."""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sevenn
import sevenn._keys as keys
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from e3nn.o3 import FullyConnectedTensorProduct, Linear
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.checkpoint import SevenNetCheckpoint
from sevenn.nn.convolution import IrrepsConvolution
from sevenn.nn.node_embedding import OnehotEmbedding
from sevenn.nn.scale import Rescale, get_resolved_shift_scale
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import (
    dtype_correct,
    get_available_pretrained_models,
    load_checkpoint,
    pretrained_name_to_path,
)
from torch import Tensor, nn
from torch_geometric.data import Batch

from equisparse.backbones.base import (
    DTYPES,
    AbstractBackbone,
    BaseId,
    check_detached,
    checked_modality,
    fingerprint,
    resolve_device,
    stress_matrix,
    told,
)
from equisparse.backbones.e3nn.layout import linear_blocks, model_layout, product_blocks, radial_blocks
from equisparse.backbones.prediction import EnergyTerm, Prediction
from equisparse.backbones.sevennet.features import invariant_channels, term_added
from equisparse.backbones.sevennet.speed import speed_up
from equisparse.backbones.speed import agree
from equisparse.blocks import Block, Layout
from equisparse.files import replacing
from equisparse.quantities import ENERGY, FORCES, STRESS

_log = logging.getLogger(__name__)

_STRESS_ORDER = (0, 1, 2, 4, 5, 3)
"""SevenNet orders stress xx, yy, zz, xy, yz, zx and gives it the opposite sign of ASE."""


class SevenNetBackbone(AbstractBackbone):
    """A SevenNet model: ``7net-0``, ``7net-0_22May2024``, ``7net-l3i5``, ``7net-mf-0``, or any ``.pth`` of the user."""

    name = "sevennet"
    native_suffix = ".pth"

    def __init__(
        self, checkpoint: SevenNetCheckpoint, source: str, device: torch.device, dtype: str, modality: str | None
    ) -> None:
        self._checkpoint = checkpoint
        model = checkpoint.build_model()
        model.set_is_batch_data(True)
        self.identity = BaseId(
            self.name, Path(source).name, fingerprint(dict(model.named_parameters())), sevenn.__version__
        )
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
        if Path(source).is_file():
            return Path(source)
        with _told(source):
            return Path(pretrained_name_to_path(source))

    @classmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "SevenNetBackbone":
        with _quiet_upstream():
            checkpoint = _load_checkpoint(source)
            return cls(checkpoint, source, resolve_device(device), dtype, modality)

    def layout(self) -> Layout:
        modules = self.model.named_modules()
        return model_layout(self.model, (block for name, module in modules for block in _blocks_of(name, module)))

    def graph(self, atoms: Atoms) -> AtomGraphData:
        values = unlabeled_atoms_to_graph(atoms, self.cutoff)
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
            output = self.model(batch.to(self.device))
        energy, forces, stress = (output[k] for k in (keys.PRED_TOTAL_ENERGY, keys.PRED_FORCE, keys.PRED_STRESS))
        if not training:
            energy, forces, stress = energy.detach(), forces.detach(), stress.detach()
        return {ENERGY: energy.reshape(-1), FORCES: forces, STRESS: -stress_matrix(stress, _STRESS_ORDER)}

    @property
    def final_scalars(self) -> int:
        return len(invariant_channels(self.model))

    def predict_with(self, batch: Any, term: EnergyTerm, *, training: bool = False) -> Prediction:
        with term_added(self.model, term):
            return self.predict(batch, training=training)

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        try:
            plain, fast = (
                SevenNetBackbone(self._checkpoint, self.identity.source, self.device, "float64", self.modality)
                for _ in range(2)
            )
            speed_up(fast.model)
            if not agree(plain, fast, frames):
                _log.warning("The faster form of the model does not agree with the model; it is not used.")
                return False
        except Exception:  # noqa: BLE001  any doubt is a reason to use the model as it is
            _log.exception("The model could not be brought into its faster form, and is used as it is.")
            return False
        speed_up(self.model)
        return True

    @property
    def native_bytes(self) -> int:
        return Path(self._checkpoint.checkpoint_path).stat().st_size

    @property
    def reference_slots(self) -> Mapping[int, int]:
        if isinstance(self.model.rescale_atomic_energy, Rescale):
            return dict.fromkeys(self.elements, 0)
        return {int(z): int(slot) for z, slot in self.model.type_map.items()}  # type: ignore[union-attr,operator]

    @property
    def element_order(self) -> tuple[int, ...]:
        return tuple(sorted(self.elements, key=lambda z: int(self.model.type_map[z])))  # type: ignore[index]

    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        check_detached(self.model, "SevenNet")
        contents = self._checkpoint.get_checkpoint_dict()
        native = next(value.dtype for value in contents["model_state_dict"].values() if value.is_floating_point())
        state = {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}
        state["rescale_atomic_energy.shift"] = self._shifted(state["rescale_atomic_energy.shift"], shifts)
        contents["model_state_dict"] = {
            name: value.to(native) if value.is_floating_point() else value for name, value in state.items()
        }
        contents["config"] |= {"version": sevenn.__version__, **self._resolved_references(contents["model_state_dict"])}
        with replacing(path) as file:
            torch.save(contents, file)

    def upstream_calculator(self, path: Path) -> Calculator:
        with _quiet_upstream():
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
        """Reference energies plus `shifts`, summed in float64; of the chosen modality where they differ."""
        moved, slots = shift.to(torch.float64), self.reference_slots
        rows = moved
        if getattr(self.model.rescale_atomic_energy, "use_modal_wise_shift", False):
            rows = moved[self.model.modal_map[self.modality]]  # type: ignore[index]
        for slot, value in {slots[z]: value for z, value in shifts.items()}.items():
            rows[slot] += value
        return moved.to(shift.dtype)

    def _resolved_references(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The `shift` and `scale` entries of SevenNet's configuration that belong to a state."""
        model = self._checkpoint.build_model()
        model.load_state_dict(state)
        shift, scale = get_resolved_shift_scale(
            model.rescale_atomic_energy, model.type_map, model.modal_map if self.modality else None
        )
        return {keys.SHIFT: shift, keys.SCALE: scale}


def _blocks_of(name: str, module: nn.Module) -> Iterator[Block]:
    """Blocks of the weights that one module owns itself."""
    role, layer = _role(name), _layer(name)
    if isinstance(module, Linear):
        yield from linear_blocks(f"{name}.weight", module, role, layer)
    elif isinstance(module, FullyConnectedTensorProduct):
        yield from product_blocks(f"{name}.weight", module, role, layer)
    elif isinstance(module, IrrepsConvolution):
        yield from radial_blocks(f"{name}.weight_nn", module.weight_nn, module.convolution, layer)


def _role(name: str) -> str:
    """Role of a module by SevenNet's naming."""
    if name.startswith("onehot_to_feature"):
        return "embedding"
    if "self_connection" in name:
        return "self_connection"
    return "readout" if name.startswith(("reduce_", "readout")) else "linear"


def _layer(name: str) -> int:
    """Interaction layer of a module by SevenNet's naming; -1 before the first, -2 after the last."""
    if number := re.match(r"(\d+)_", name):
        return int(number[1])
    return -1 if _role(name) == "embedding" else -2


def _load_checkpoint(source: str) -> SevenNetCheckpoint:
    """Checkpoint by name or file."""
    with _told(source):
        checkpoint = load_checkpoint(source)
        checkpoint.config  # noqa: B018  reads the file
    return checkpoint


def _told(source: str) -> AbstractContextManager[None]:
    """Upstream's failures with a model told in words."""
    return told(
        "SevenNet cannot load this model.",
        given=source,
        expected="a file written by SevenNet, or one of " + ", ".join(get_available_pretrained_models()),
        next_step="where there is no network, put the checkpoint file here yourself and give its path",
    )


def _cast_one_hot(model: nn.Module, dtype: torch.dtype) -> None:
    """Let the one-hot embeddings, which upstream fixes to float32, give `dtype`."""

    def cast(module: OnehotEmbedding, _arguments: Any, data: Any) -> Any:
        for key in filter(None, (module.key_output, module.key_additional_output)):
            data[key] = data[key].to(dtype)
        return data

    for module in model.modules():
        if isinstance(module, OnehotEmbedding):
            module.register_forward_hook(cast)


@contextmanager
def _quiet_upstream() -> Iterator[None]:
    """Silence what upstream says about accelerators and old checkpoints: nothing a user of this package can act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No tensor product accelerator")
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield
