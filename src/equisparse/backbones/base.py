"""Backbone: the thin adapter between an upstream package and this one."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from torch import nn
from torch.nn.utils import parametrize

from equisparse.backbones.identity import BaseId, fingerprint
from equisparse.backbones.prediction import EnergyTerm, Prediction
from equisparse.blocks import GATE, Layout
from equisparse.errors import BackboneError, StateError


class Predictor(Protocol):
    """Model that predicts frames: a backbone, or one with a spin layer on top."""

    identity: BaseId
    elements: frozenset[int]
    dtype: torch.dtype
    device: torch.device
    sign_ambiguous: bool
    """Whether the sign of all moments of a frame is arbitrary; see `equisparse.inference.errors.nearest_sign`."""

    def graph(self, atoms: Atoms) -> Any:
        """Graph of one frame, to be collated many times."""

    def collate(self, graphs: Sequence[Any]) -> Any:
        """Batch of several graphs, on the CPU."""

    def predict(self, batch: Any, *, training: bool = False) -> Prediction:
        """Predictions for a batch, which cannot be used again."""


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
    dtype : torch.dtype
    device : torch.device
    modality : str or None
        The chosen task of a multi-task model.
    source : str or None
        Name or file that `equisparse.load_backbone` was given; None for a backbone that was made in another way.
    loaded : str
        `fingerprint` of the model's parameters just after loading, in `dtype`.
    """

    name: ClassVar[str]
    prefixes: ClassVar[tuple[str, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Beginnings of model names and endings of files, in lower case, of a backbone that an entry point offers."""
    runs_code: ClassVar[bool] = True
    """Whether a file of a model can run code when it is opened, as a pickle does; a warning says so."""
    sign_ambiguous: bool = False
    source: str | None = None
    native_suffix: str
    """Ending of the upstream's checkpoint files."""
    accelerators: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Accelerator that can be used in training -> kinds of devices that it runs on; see `attach_kernels`."""

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
        """File of a model, found or downloaded by the upstream; it is not opened.

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
        """Load a model through the upstream's own loader.

        Parameters
        ----------
        source : str
            Name or file.
        device, dtype : str
            As in `equisparse.backbones.registry.load_backbone`.
        modality : str, optional
            Task of a multi-task model.

        Raises
        ------
        BackboneError
            If there is no such model, or the upstream cannot load it.
        """

    @abstractmethod
    def layout(self) -> Layout:
        """Layout of all tensors of path weights."""

    @abstractmethod
    def graph(self, atoms: Atoms) -> Any:
        """Neighbour graph of one frame, built by the upstream, to be collated many times."""

    @abstractmethod
    def collate(self, graphs: Sequence[Any]) -> Any:
        """Batch of several graphs, on the CPU; whatever happens to it leaves the graphs as they are."""

    @abstractmethod
    def predict(self, batch: Any, *, training: bool = False) -> Prediction:
        """Energies, forces and stresses of a batch.

        Parameters
        ----------
        batch
            From `collate`; it cannot be used again.
        training : bool
            Whether the predictions will be differentiated with respect to the weights.
        """

    @property
    def final_scalars(self) -> int:
        """Number of invariant channels per atom in the last layer.

        Raises
        ------
        BackboneError
            If this backbone does not expose them.
        """
        raise BackboneError(
            f"The backbone {self.name} does not expose its final features.",
            given=f"--spin with {self.identity.source}",
            expected="a backbone that supports a spin layer: sevennet, mace or nequip",
            next_step="choose another base, or omit --spin",
        )

    def predict_with(self, batch: Any, term: EnergyTerm, *, training: bool = False) -> Prediction:
        """Predict with an energy term added to the model's energy, at the cost of one derivative.

        Parameters
        ----------
        batch, training
            As in `predict`.
        term : EnergyTerm
            Function of the final features.

        Raises
        ------
        BackboneError
            If this backbone does not expose its final features.
        """
        raise BackboneError(f"The backbone {self.name} has no final features; {self.final_scalars} are needed.")

    def accelerate(self, frames: Sequence[Atoms]) -> bool:
        """Replace the model's inner computations by faster ones that give the same numbers.

        Parameters
        ----------
        frames : sequence of Atoms
            A few small frames, on which a self-check compares both forms in float64.

        Returns
        -------
        bool
            Whether the model was replaced; not where there is no faster form, or the self-check fails.
        """
        return False

    def attach_kernels(self, accelerator: str) -> None:
        """Let the convolutions use an upstream's kernels, in place; parameters, names and files stay as they are.

        It does not check anything; `equisparse.backbones.accelerators.use_accelerator` does.

        Parameters
        ----------
        accelerator : str
            A key of `accelerators`.

        Raises
        ------
        BackboneError
            If this backbone has no accelerators.
        """
        raise BackboneError(
            f"The backbone {self.name} has no accelerators.", given=accelerator, next_step="omit --accelerator"
        )

    def in_float64(self) -> "AbstractBackbone":
        """Load the base once more, as upstream has it, in float64, for self-checks.

        Raises
        ------
        BackboneError
            If this backbone cannot.
        """
        raise BackboneError(
            f"A base of the backbone {self.name} cannot be loaded again in float64.", given=self.identity.source
        )

    def copied(self) -> Self:
        """Copy with a model of its own, which can be accelerated and trained while this one stays as it is."""
        other = copy.copy(self)
        other.model = copy.deepcopy(self.model)
        return other

    def with_elements_of(self, base: "AbstractBackbone") -> "AbstractBackbone":
        """Model with all elements of its base, if its trainer left some out; the weights of these are the base's.

        The model itself if no element is missing, or if it differs from the base in more than elements.
        """
        del base
        return self

    def check_untouched(self) -> None:
        """Check that the parameters of the model are, bit for bit, those that were loaded.

        Raises
        ------
        StateError
            If they are not.
        """
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
        """Size of the base's own checkpoint file, bytes."""

    @property
    @abstractmethod
    def reference_slots(self) -> Mapping[int, int]:
        """Atomic number -> index of the reference energy that it uses; elements may share one."""

    @property
    def reference_tensor(self) -> str:
        """Name of the parameter or buffer that holds the reference energies.

        Raises
        ------
        BackboneError
            If this backbone does not expose it.
        """
        raise BackboneError(
            f"The backbone {self.name} does not expose its reference energies.",
            given=self.identity.source,
            expected="a backbone with `reference_tensor` and `reference_energies`",
        )

    @property
    def reference_energies(self) -> Mapping[int, float]:
        """Atomic number -> reference energy of the file, eV, for the chosen modality.

        Raises
        ------
        BackboneError
            If this backbone does not expose them.
        """
        rows = self.model.state_dict()[self.reference_tensor].double().reshape(-1)
        return {z: float(rows[slot]) for z, slot in self.reference_slots.items()}

    @property
    def element_order(self) -> tuple[int, ...] | None:
        """Atomic numbers in the order of the element axis of tensors that have one; None if unknown."""
        return None

    @abstractmethod
    def save_native(self, path: Path, shifts: Mapping[int, float]) -> None:
        """Write the present weights as a checkpoint of the upstream, with shifted reference energies.

        Parameters
        ----------
        path : Path
            Target; replaced in one step, never left half-written.
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

    def upstream_volume(self, atoms: Atoms) -> float:
        """Volume by which the upstream's own ASE calculator divides the virial of a structure, Angstrom^3.

        It is the volume of the cell, unless the upstream is known to use another one.
        """
        return float(atoms.cell.volume)

    @abstractmethod
    def deployment_notes(self, path: Path) -> str:
        """Lines of text that say how to use a native checkpoint elsewhere (ASE, LAMMPS ...)."""


def check_detached(model: nn.Module, upstream: str) -> None:
    """Check that no method is attached to `model`: its checkpoint would not be one of the upstream.

    Raises
    ------
    StateError
        If a method is attached.
    """
    if any(parametrize.is_parametrized(module) or hasattr(module, GATE) for module in model.modules()):
        raise StateError(
            f"A method is attached to the model: its checkpoint would not be a {upstream} file.",
            next_step="detach the method first",
        )
