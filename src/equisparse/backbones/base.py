"""What a backbone is: one thin adapter between an upstream package and this one."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from equisparse.backbones.prediction import EnergyTerm, Prediction
from equisparse.blocks import GATE, Layout
from equisparse.errors import BackboneError, StateError

DTYPES = {"float32": torch.float32, "float64": torch.float64}
"""Precisions by name."""


@dataclass(frozen=True)
class BaseId:
    """Which base model an adapter belongs to.

    Parameters
    ----------
    backbone : str
        Name in `equisparse.backbones.registry`.
    source : str
        Model name, or file name without its folder, as the user gave it.
    sha256 : str
        Of the parameters, in the precision they were stored in; see `fingerprint`.
    version : str
        Of the upstream package.
    """

    backbone: str
    source: str
    sha256: str
    version: str


class Predictor(Protocol):
    """What predicts frames: a backbone, or one with something on top."""

    identity: BaseId
    dtype: torch.dtype
    device: torch.device
    sign_ambiguous: bool
    """Whether the sign of all moments of a frame is arbitrary; see `equisparse.inference.errors.nearest_sign`."""

    def graph(self, atoms: Atoms) -> Any:
        """One frame, ready to be collated many times."""

    def collate(self, graphs: Sequence[Any]) -> Any:
        """One batch, on the CPU."""

    def predict(self, batch: Any, *, training: bool = False) -> Prediction:
        """Predictions of a fresh batch, which is used up."""


class AbstractBackbone(ABC):
    """A loaded base model.

    Attributes
    ----------
    model : Module
        The upstream's own model, in `dtype` on `device`.
    identity : BaseId
    elements : frozenset of int
        Atomic numbers that the model knows.
    cutoff : float
        Largest distance of neighbours, Angstrom.
    dtype, device
        Of the model.
    modality : str or None
        The chosen task of a multi-task model.
    source : str or None
        Name or file that `equisparse.load_backbone` was given; None for a backbone that was made in another way.
    loaded : str
        `fingerprint` of the model's parameters just after loading, in `dtype`.
    """

    name: ClassVar[str]
    sign_ambiguous: bool = False
    source: str | None = None
    native_suffix: str
    """Ending of the upstream's checkpoint files."""

    model: nn.Module
    identity: BaseId
    elements: frozenset[int]
    cutoff: float
    dtype: torch.dtype
    device: torch.device
    modality: str | None
    loaded: str

    @classmethod
    @abstractmethod
    def locate(cls, source: str) -> Path:
        """The file of a model, found or downloaded by the upstream; nothing of it is opened.

        Raises
        ------
        BackboneError
            If there is no such model.
        """

    @classmethod
    @abstractmethod
    def load(
        cls, source: str, *, device: str = "cpu", dtype: str = "float32", modality: str | None = None
    ) -> "AbstractBackbone":
        """Load a model by name or file, through the upstream's own loader.

        Raises
        ------
        BackboneError
            If there is no such model, or the upstream cannot load it.
        """

    @abstractmethod
    def layout(self) -> Layout:
        """All tensors of path weights, tiled by blocks."""

    @abstractmethod
    def graph(self, atoms: Atoms) -> Any:
        """Neighbour graph of one frame, built by the upstream, to be kept and collated many times."""

    @abstractmethod
    def collate(self, graphs: Sequence[Any]) -> Any:
        """One batch, on the CPU; the graphs are not changed by what happens to it."""

    @abstractmethod
    def predict(self, batch: Any, *, training: bool = False) -> Prediction:
        """Energies, forces and stresses of a fresh batch.

        Parameters
        ----------
        batch
            From `collate`; used up by the call.
        training : bool
            Whether gradients with respect to the weights will be asked for.
        """

    @property
    def final_scalars(self) -> int:
        """Number of invariant channels that the last layer has for each atom.

        Raises
        ------
        BackboneError
            If this backbone does not give them away.
        """
        raise BackboneError(
            f"The backbone {self.name} does not give its final features away.",
            given=f"--spin with {self.identity.source}",
            expected="a backbone that a spin layer can sit on: sevennet, mace or nequip",
            next_step="take another base, or leave --spin out",
        )

    def predict_with(self, batch: Any, term: EnergyTerm, *, training: bool = False) -> Prediction:
        """As `predict`, of the model's energy plus a term in its final features; one derivative for both.

        Raises
        ------
        BackboneError
            If this backbone does not give its final features away.
        """
        raise BackboneError(f"The backbone {self.name} has no final features; {self.final_scalars} are needed.")

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        """Replace the model's inner computations by faster ones that give the same numbers.

        Parameters
        ----------
        frames : sequence of Atoms
            A few small ones, on which a self-check compares both forms in float64.

        Returns
        -------
        bool
            Whether it was done. It is not where there is no faster form, or any doubt that it is equal.
        """
        return False

    def check_untouched(self) -> None:
        """Raise StateError unless the parameters of the model are, bit for bit, those that were loaded."""
        if fingerprint(dict(self.model.named_parameters())) != self.loaded:
            raise StateError(
                "The base in memory is not as it was loaded.",
                given=f"{self.identity.source} with changed weights or gates",
                expected="the untouched base",
                cause="an adapter is applied to it or merged into it, or a method is attached or was trained",
                next_step="load the base again, or use an AdapterBank to have several adapters on one base",
            )

    @property
    @abstractmethod
    def native_bytes(self) -> int:
        """Size of the base's own checkpoint file."""

    @property
    @abstractmethod
    def reference_slots(self) -> Mapping[int, int]:
        """Atomic number -> number of the reference energy it uses; elements may share one."""

    @property
    def element_order(self) -> tuple[int, ...] | None:
        """Atomic numbers in the order in which tensors with an element axis have them; None if that is not known."""
        return None

    @abstractmethod
    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        """Write the present weights as a checkpoint of the upstream, with shifted reference energies.

        Parameters
        ----------
        path : Path
            Target; replaced at once, never left half-written.
        shifts : mapping of int to float
            Atomic number -> eV, added to the model's reference energy of that element.

        Raises
        ------
        StateError
            If a method is still attached.
        """

    @abstractmethod
    def upstream_calculator(self, path: Path) -> Calculator:
        """The upstream's own ASE calculator of a native checkpoint."""

    @abstractmethod
    def deployment_notes(self, path: Path) -> str:
        """How to run a native checkpoint elsewhere (LAMMPS ...), as lines of text."""


def fingerprint(parameters: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, shapes, types and bytes of parameters, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        tensor = parameters[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def resolve_device(device: str) -> torch.device:
    """Torch device of a name; ``"auto"`` is CUDA where there is one, each process of a node its own.

    Raises
    ------
    BackboneError
        If the device is not there.
    """
    if device == "auto":
        local = int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))
        return torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise BackboneError(
            "This device has no meaning.", given=device, expected="auto, cpu, cuda or cuda:N"
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise BackboneError("There is no CUDA device here.", given=device, next_step="use `--device cpu` or `auto`")
    return resolved


@contextmanager
def told(message: str, *, given: str, expected: str = "", next_step: str = "") -> Iterator[None]:
    """Whatever an upstream raises within the block becomes a BackboneError with these words; ours pass through."""
    try:
        yield
    except BackboneError:
        raise
    except Exception as error:  # loaders raise whatever pickle, requests, the file system or their own code raise
        first_line = next(iter(str(error).splitlines()), "no message")
        cause = f"{type(error).__name__}: {first_line}"
        raise BackboneError(message, given=given, expected=expected, cause=cause, next_step=next_step) from error


def check_detached(model: nn.Module, upstream: str) -> None:
    """Raise StateError if a method is attached to `model`, whose native file would then not be the upstream's."""
    if any(parametrize.is_parametrized(module) or hasattr(module, GATE) for module in model.modules()):
        raise StateError(f"A method is attached: the native file would not be {upstream}'s.", next_step="detach first")


def checked_modality(modalities: Collection[str], modality: str | None, source: str) -> str | None:
    """The chosen task of a multi-task model; None for a model of one task, which has no names for it.

    Raises
    ------
    BackboneError
        If a choice is needed and not given, or given and not needed; the message lists those there are.
    """
    if not modalities:
        if modality is not None:
            raise BackboneError(f"{source} has no modalities.", given=modality, next_step="leave --modality out")
        return None
    if modality not in modalities:
        raise BackboneError(
            f"{source} has several modalities and one has to be chosen.",
            given=modality or "none",
            expected=" or ".join(modalities),
            next_step="add --modality NAME: the level of theory closest to that of your data",
        )
    return modality


def stress_matrix(rows: Tensor, order: Sequence[int]) -> Tensor:
    """Matrices, shape (n, 3, 3), of six-component stresses, shape (n, 6).

    Parameters
    ----------
    rows : Tensor
        Any unit.
    order : sequence of six int
        Column that holds xx, yy, zz, yz, xz, xy.
    """
    xx, yy, zz, yz, xz, xy = order
    return rows[:, [xx, xy, xz, xy, yy, yz, xz, yz, zz]].reshape(-1, 3, 3)


def check_elements(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> None:
    """Raise BackboneError if a frame has an element that the base lacks."""
    present: NDArray[np.int64] = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
    missing = sorted(set(present.tolist()) - backbone.elements)
    if missing:
        from ase.data import chemical_symbols

        raise BackboneError(
            "The base model does not know all elements of the data.",
            given=", ".join(chemical_symbols[z] for z in missing),
            expected=f"elements that {backbone.identity.source} was trained on ({len(backbone.elements)} of them)",
            next_step="choose a base that knows them; a fine-tune cannot add an element",
        )
