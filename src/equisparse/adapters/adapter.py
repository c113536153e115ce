"""Result of a fine-tune: plain tensors that describe the change of one base model."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from equisparse.adapters.attach import Attachment, merged_weights, write, written
from equisparse.adapters.gates import gated, place_gates, restored_gates
from equisparse.blocks import Layout
from equisparse.errors import AdapterMismatchError, StateError
from equisparse.formats.base import AbstractFormat, AbstractGateFormat, Stored, holds_values
from equisparse.wording import counted

NOT_MERGEABLE = "the method changes outputs of layers instead of weights, which no upstream checkpoint can contain"
"""Reason why some adapters cannot be merged."""

SPINS_STAY = (
    "no upstream checkpoint can contain the spin layer: magnetic energies, moments and magnetic forces stay in the "
    "adapter, and a merged model gives every magnetic order the same energy"
)
"""Reason why a spin layer cannot be merged."""


@dataclass(frozen=True)
class SpinPart:
    """Stored spin layer of an adapter; `equisparse.magnetism` restores the layer from it.

    Parameters
    ----------
    options : mapping
        Options of the layer, plain values.
    tensors : mapping of str to Tensor
        Parameters of the layer by name.
    """

    options: Mapping[str, object]
    tensors: Mapping[str, Tensor]

    @property
    def n_values(self) -> int:
        """Number of stored values."""
        return sum(tensor.numel() for tensor in self.tensors.values())


@dataclass(frozen=True)
class TrainedBy:
    """Method that trained an adapter, for information only: applying the adapter does not depend on it.

    Parameters
    ----------
    method : str
        Name of the method.
    options : mapping
        Options of the method, plain values.
    """

    method: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Adapter:
    """Change of one base model: stored tensors, and the format that defines how they are applied.

    Parameters
    ----------
    format : AbstractFormat
        How the change is stored.
    layout : Layout
        Selected tensors, and the number of all parameters of the base.
    stored : mapping of str to mapping of str to Tensor
        Tensor name -> part name -> values.
    shifts : mapping of int to float
        Atomic number -> eV, added to the base's reference energy of that element.
    base : mapping
        Fields of `equisparse.backbones.base.BaseId`.
    dtype : str
        Precision of the training.
    elements : tuple of int
        Atomic numbers in the training data; empty if they are not known.
    modality : str or None
        Task of a multi-task base; None for other bases.
    metrics : mapping
        Errors and counts of the training run, plain values.
    spins : SpinPart or None
        Spin layer that was trained together with the change.
    trained_by : TrainedBy or None
        Method that trained the change; None for a sum of adapters, and for one
        that was extracted from a checkpoint.
    """

    format: AbstractFormat
    layout: Layout
    stored: Mapping[str, Mapping[str, Tensor]]
    shifts: Mapping[int, float]
    base: Mapping[str, str]
    dtype: str
    elements: tuple[int, ...]
    modality: str | None = None
    metrics: Mapping[str, object] = field(default_factory=dict)
    spins: SpinPart | None = None
    trained_by: TrainedBy | None = None

    def __getstate__(self) -> dict[str, object]:
        """State for `pickle`, with indices as arrays: torch cannot read its own pickles of unsigned integers."""
        stored = {
            name: {key: part.numpy() if part.dtype == torch.uint16 else part for key, part in parts.items()}
            for name, parts in self.stored.items()
        }
        return vars(self) | {"stored": stored}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore an adapter from its pickled state."""
        vars(self).update(state)
        stored = {
            name: {key: torch.as_tensor(part) for key, part in parts.items()} for name, parts in self.stored.items()
        }
        vars(self).update(stored=stored)

    @property
    def label(self) -> str:
        """Name of the method that trained the change; name of the format for a sum of adapters."""
        return self.format.name if self.trained_by is None else self.trained_by.method

    @property
    def stored_values(self) -> int:
        """Number of stored values; indices, reference energies and a spin layer are not counted."""
        return sum(part.numel() for parts in self.stored.values() for part in parts.values() if holds_values(part))

    @property
    def mergeable(self) -> bool:
        """True if the adapted model is the base with other weights."""
        return self.format.mergeable

    def check_mergeable(self) -> None:
        """Raise StateError unless the adapted model is the base with other weights."""
        if not self.mergeable:
            raise StateError(
                "This adapter cannot be merged into a checkpoint.",
                given=f"an adapter of the method {self.label}",
                expected="a method that changes weights",
                cause=NOT_MERGEABLE,
                next_step="use the adapter file on its base: `equisparse.calculator` or `equisparse evaluate`",
            )

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Compute the changed weights by tensor name from the untouched base `model`; empty if outputs change.

        Raises
        ------
        AdapterMismatchError
            If the model lacks a tensor of the layout, or has it in another shape.
        """
        return merged_weights(model, self.format, self.layout, self.stored)

    def merge_into(self, model: nn.Module) -> None:
        """Overwrite the weights of the untouched base `model` with the changed weights.

        Raises
        ------
        StateError
            If the method changes outputs instead of weights.
        """
        self.check_mergeable()
        write(model, self.weights(model))

    def apply_to(self, model: nn.Module) -> None:
        """Change the untouched base `model` permanently: its weights, or by gates its outputs."""
        write(model, self.weights(model))
        place_gates(model, self.gates(model))

    def check_spin_free(self, doing: str) -> None:
        """Raise StateError if the adapter has a spin layer, which the operation `doing` would ignore."""
        if self.spins is not None:
            raise StateError(
                "This adapter has a spin layer.",
                given=f"{doing} an adapter with {counted(self.spins.n_values, 'value')} of a spin layer",
                expected="an adapter of a run without --spin",
                cause="without its spin layer the model would differ from the trained one",
                next_step="use `equisparse.calculator`, `equisparse evaluate` or `equisparse orders`",
            )

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Apply the adapter to the base `model` within the block; afterwards the base is restored bit for bit."""
        with written(model, self.weights(model)), gated(model, self.gates(model)):
            yield

    def gates(self, model: nn.Module) -> dict[str, nn.Module]:
        """Create the gates for the base `model`, by tensor name; empty if weights change."""
        if not isinstance(self.format, AbstractGateFormat):
            return {}
        return restored_gates(model, self.format, self.stored)

    def check_base(self, identity: Mapping[str, str]) -> None:
        """Raise AdapterMismatchError unless `identity` is that of the adapter's base."""
        if identity["sha256"] != self.base["sha256"]:
            raise AdapterMismatchError(
                "The adapter belongs to another base model.",
                given=f"{identity['source']} (sha256 {identity['sha256'][:12]}...)",
                expected=f"{self.base['source']} (sha256 {self.base['sha256'][:12]}...)",
                cause="another checkpoint or version, or a base that was itself fine-tuned or merged",
                next_step="use the base of the adapter",
            )

    def check_fits(self, base: Mapping[str, str], modality: str | None, dtype: str) -> None:
        """Raise AdapterMismatchError unless this adapter was trained on this base, modality and precision."""
        self.check_base(base)
        for field_name, own, expected in (("modality", self.modality, modality), ("dtype", self.dtype, dtype)):
            if own != expected:
                raise AdapterMismatchError(
                    f"The adapter was trained with another {field_name}.",
                    given=f"an adapter with {field_name} {own}",
                    expected=f"{field_name} {expected}, like the loaded base or the other adapters",
                    next_step=f"load the base with {field_name}={own!r}, or use adapters of one {field_name}",
                )


@dataclass(frozen=True)
class ChangeCount:
    """Number of weights that an adapter changes, counted on the base model.

    Parameters
    ----------
    count : int
        Weights whose bits differ from the base.
    of_model, of_selected : float
        `count` divided by the number of all parameters of the base, and of those of the selected tensors.
    """

    count: int
    of_model: float
    of_selected: float


def count_changes(adapter: Adapter, model: nn.Module) -> ChangeCount:
    """Count the weights that an adapter changes, on the untouched base `model`."""
    base = dict(model.named_parameters())
    changed = sum(int((weight != base[name]).sum()) for name, weight in adapter.weights(model).items())
    return ChangeCount(changed, changed / adapter.layout.total_parameters, changed / adapter.layout.numel)


def value_rounding(adapter: Adapter, model: nn.Module, trained: Mapping[str, Tensor]) -> float:
    """Difference of the stored change from the trained one, over the size of the trained one; both are norms.

    Parameters
    ----------
    adapter : Adapter
        The stored change.
    model : Module
        The untouched base.
    trained : mapping of str to Tensor
        From `Attachment.trained_weights`, before it was detached.
    """
    stored = adapter.weights(model)
    difference = change = 0.0
    for name, weight in trained.items():
        base = model.get_parameter(name).detach().double()
        difference += float((stored.get(name, base).double() - weight).square().sum())
        change += float((weight - base).square().sum())
    return math.sqrt(difference / change) if change else 0.0


def nonempty(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """Select the tensors whose parts are not empty."""
    return {name: parts for name, parts in stored.items() if any(part.numel() for part in parts.values())}


def adapter_of(
    attachment: Attachment,
    *,
    base: Mapping[str, str],
    dtype: torch.dtype,
    shifts: Mapping[int, float],
    elements: tuple[int, ...],
    modality: str | None = None,
) -> Adapter:
    """Create an adapter from the present state of an attachment, which stays attached.

    Parameters
    ----------
    attachment : Attachment
    base : mapping
        Fields of `equisparse.backbones.base.BaseId`.
    dtype, shifts, elements, modality
        As in `Adapter`; `dtype` is a torch dtype.
    """
    return Adapter(
        format=attachment.method.format,
        layout=attachment.layout,
        stored=nonempty(attachment.stored()),
        shifts=dict(shifts),
        base=dict(base),
        dtype=str(dtype).removeprefix("torch."),
        elements=elements,
        modality=modality,
        trained_by=TrainedBy(attachment.method.name, attachment.method.options()),
    )
