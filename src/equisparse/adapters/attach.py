"""Attach a method to any module that has a layout, detach it, and write changed weights."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from equisparse.adapters.gates import build_gates, place_gates, remove_gates
from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import GATE, Layout
from equisparse.errors import AdapterMismatchError, StateError
from equisparse.formats.base import AbstractFormat, AbstractWeightFormat, Stored
from equisparse.methods.base import (
    AbstractChange,
    AbstractDelta,
    AbstractGateMethod,
    AbstractMethod,
    AbstractWeightMethod,
    Controller,
)


@dataclass
class Attachment:
    """A method attached to a model: the base is frozen, and the deltas or gates are trained.

    `attach` creates it; `detach` restores the base.
    """

    model: nn.Module
    method: AbstractMethod
    layout: Layout
    deltas: dict[str, AbstractChange]
    _trainable_before: dict[str, bool] = field(repr=False)
    _hooks: list[RemovableHandle] = field(default_factory=list, repr=False)

    def stored(self) -> dict[str, Stored]:
        """Stored parts of the change of every tensor, by tensor name, in the method's format."""
        return {name: delta.stored() for name, delta in self.deltas.items()}

    def weights(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over base weight and present weight of every tensor with a delta; the latter has a gradient graph."""
        for name, delta in self._weight_deltas().items():
            owner, leaf = parameter_owner(self.model, name)
            base: Tensor = owner.parametrizations[leaf].original  # type: ignore[index,union-attr]
            yield base, delta(base)

    @torch.no_grad()
    def begin_at(self, weights: Mapping[str, Tensor]) -> None:
        """Let training start from changed weights, by tensor name; those of other tensors stay unchanged.

        Raises
        ------
        StateError
            If the method cannot start from a change.
        """
        for name, weight in weights.items():
            owner, leaf = parameter_owner(self.model, name)
            base: Tensor = owner.parametrizations[leaf].original  # type: ignore[index,union-attr]
            self._weight_deltas()[name].begin_at(weight - base)

    @torch.no_grad()
    def changed_count(self) -> int:
        """Count the weights that differ from the base now."""
        return sum(int((present != base).sum()) for base, present in self.weights())

    def controller(self) -> Controller:
        """Create the controller that training has to call between steps."""
        return self.method.controller(self.deltas, self.layout)

    def detach(self) -> None:
        """Detach the method and restore the base bit for bit, with classes, order of names and `requires_grad`.

        Call `stored` or `equisparse.adapters.adapter.adapter_of` before; the trained change is lost otherwise.
        """
        weight_deltas = self._weight_deltas()
        for name in weight_deltas:
            owner, leaf = parameter_owner(self.model, name)
            parametrize.remove_parametrizations(owner, leaf, leave_parametrized=False)
        _restore_order(self.model, self._trainable_before, weight_deltas)
        remove_gates(self.model, self.deltas.keys() - weight_deltas.keys(), self._hooks)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self._trainable_before[name])
        self.deltas = {}

    def trained_weights(self) -> dict[str, Tensor]:
        """Copies of the changed weights in evaluation mode, by tensor name; none if outputs change."""
        weights = {}
        for name, delta in self._weight_deltas().items():
            owner, leaf = parameter_owner(self.model, name)
            was_training = delta.training
            delta.eval()
            weights[name] = getattr(owner, leaf).detach().clone()
            delta.train(was_training)
        return weights

    def _weight_deltas(self) -> dict[str, AbstractDelta]:
        """Deltas that change weights."""
        return {name: delta for name, delta in self.deltas.items() if isinstance(delta, AbstractDelta)}


def attach(model: nn.Module, method: AbstractMethod, layout: Layout, *, seed: int = 0) -> Attachment:
    """Freeze a model and attach a method to the tensors of a layout, or to the modules that own them.

    Weights are changed by torch parametrizations, outputs by forward hooks.

    Parameters
    ----------
    model : Module
        Base model; it is modified until `Attachment.detach`.
    method : AbstractMethod
        Method that determines the changes.
    layout : Layout
        Selected tensors; every name must be a parameter of `model`. The attachment has those that get a change.
    seed : int
        Seed of the start values; the global generator is not used.

    Raises
    ------
    StateError
        If a method is attached to the model already.
    SelectionError
        If the method changes outputs, and no module of the layout has irreps as input and output.
    """
    if is_attached(model):
        raise StateError("A method is attached to this model already.", next_step="call `detach()` first")
    method = method.resolve(layout)
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    generator = torch.Generator().manual_seed(seed)
    if isinstance(method, AbstractGateMethod):
        gates = build_gates(model, method, layout, generator)
        model.requires_grad_(False)
        return Attachment(model, method, layout.restrict(gates), dict(gates), before, place_gates(model, gates))
    model.requires_grad_(False)
    deltas = _place_deltas(model, cast(AbstractWeightMethod, method), layout, generator)
    return Attachment(model, method, layout, dict(deltas), before)


def _place_deltas(
    model: nn.Module, method: AbstractWeightMethod, layout: Layout, generator: torch.Generator
) -> dict[str, AbstractDelta]:
    """Create a delta for every tensor of `layout` and register it."""
    deltas: dict[str, AbstractDelta] = {}
    for name in layout.tensors:
        owner, leaf = parameter_owner(model, name)
        weight = owner.get_parameter(leaf)
        deltas[name] = method.build(weight.detach(), layout.of(name), generator).to(weight.device)
        parametrize.register_parametrization(owner, leaf, deltas[name])
        owner.parametrizations[leaf].original.requires_grad_(False)  # type: ignore[index,union-attr]
    return deltas


def merged_weights(
    model: nn.Module, stored_format: AbstractFormat, layout: Layout, stored: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Compute changed weights by tensor name from an untouched base `model`; empty if the format changes outputs.

    Raises
    ------
    AdapterMismatchError
        If the model lacks a tensor of the layout, or has it in another shape.
    """
    if not isinstance(stored_format, AbstractWeightFormat):
        return {}
    weights = dict(model.named_parameters())
    for name, shape in layout.tensor_shapes.items():
        if name not in weights or tuple(weights[name].shape) != shape:
            raise AdapterMismatchError(
                "The adapter does not fit this model.",
                given=f"{name} of shape {tuple(weights[name].shape)}" if name in weights else f"a model without {name}",
                expected=f"{name} of shape {shape}",
                cause="an adapter of another base model",
            )
    changed: dict[str, Tensor] = {}
    for name, parts in stored.items():
        changed[name] = stored_format.apply(weights[name].detach(), parts, layout.of(name))
    return changed


@contextmanager
def written(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Give `model` other weights within the block; afterwards restore its own, bit for bit."""
    original = {name: model.get_parameter(name).detach().clone() for name in weights}
    write(model, weights)
    try:
        yield
    finally:
        write(model, original)


def write(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into the parameters of `model`."""
    with torch.no_grad():
        for name, weight in weights.items():
            model.get_parameter(name).copy_(weight)


def _restore_order(model: nn.Module, names: Iterable[str], parametrized: Iterable[str]) -> None:
    """Restore the order `names` of parameters, in modules where torch has moved the parametrized ones to the end."""
    owners = {name.rpartition(".")[0] for name in parametrized}
    for name in names:
        if name.rpartition(".")[0] in owners:
            owner, leaf = parameter_owner(model, name)
            parameter = owner.get_parameter(leaf)
            delattr(owner, leaf)
            owner.register_parameter(leaf, parameter)


def is_attached(model: nn.Module) -> bool:
    """Return whether any tensor of `model` is parametrized, or any module has a gate."""
    return any(parametrize.is_parametrized(module) or hasattr(module, GATE) for module in model.modules())
