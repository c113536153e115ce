"""Attach a method to any module that has a layout; take it off again; merge."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from equisparse.blocks import Layout
from equisparse.errors import AdapterMismatchError, StateError
from equisparse.methods.base import AbstractDelta, AbstractMethod, Controller, Stored


@dataclass
class Attachment:
    """A method attached to a model: the base is frozen, the deltas train.

    Made by `attach`; ended by `detach`.
    """

    model: nn.Module
    method: AbstractMethod
    layout: Layout
    deltas: dict[str, AbstractDelta]
    _trainable_before: dict[str, bool] = field(repr=False)

    def stored(self) -> dict[str, Stored]:
        """Per tensor name, the few plain tensors that describe its change."""
        return {name: delta.stored() for name, delta in self.deltas.items()}

    def weights(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Base weight and present weight of every tensor, the latter with its graph."""
        for name, delta in self.deltas.items():
            owner, leaf = owner_of(self.model, name)
            base: Tensor = owner.parametrizations[leaf].original  # type: ignore[index,union-attr]
            yield base, delta(base)

    @torch.no_grad()
    def changed_count(self) -> int:
        """Number of weights that are not the base's now."""
        return sum(int((present != base).sum()) for base, present in self.weights())

    def controller(self) -> Controller:
        """What the method does between training steps."""
        return self.method.controller(self.deltas, self.layout)

    def detach(self) -> dict[str, Stored]:
        """Take the method off: the base is back bit for bit, with its classes, order of names and `requires_grad`.

        Returns
        -------
        dict
            What `stored` gave just before.
        """
        stored = self.stored()
        for name in self.deltas:
            owner, leaf = owner_of(self.model, name)
            parametrize.remove_parametrizations(owner, leaf, leave_parametrized=False)
        _restore_order(self.model, self._trainable_before, touched=self.deltas)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self._trainable_before[name])
        self.deltas = {}
        return stored


def attach(model: nn.Module, method: AbstractMethod, layout: Layout, *, seed: int = 0) -> Attachment:
    """Freeze `model` and let `method` change the tensors of `layout` through torch parametrizations.

    Parameters
    ----------
    model : Module
        Base model, changed in place until `Attachment.detach`.
    method : AbstractMethod
        How weights may change.
    layout : Layout
        Which tensors; every name must be a parameter of `model`.
    seed : int
        Seed of the deltas' start; the global generator is not touched.

    Raises
    ------
    StateError
        If something is attached to the model already.
    """
    if is_attached(model):
        raise StateError("A method is attached to this model already.", next_step="call `detach()` first")
    method = method.resolve(layout)
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    deltas: dict[str, AbstractDelta] = {}
    for name in layout.tensors:
        owner, leaf = owner_of(model, name)
        weight = owner.get_parameter(leaf)
        deltas[name] = method.build(weight.detach(), layout.of(name), generator).to(weight.device)
        parametrize.register_parametrization(owner, leaf, deltas[name])
        owner.parametrizations[leaf].original.requires_grad_(False)  # type: ignore[index,union-attr]
    return Attachment(model, method, layout, deltas, before)


def merged_weights(
    model: nn.Module, method: AbstractMethod, layout: Layout, stored: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Changed weights by tensor name, from an untouched base `model` and stored tensors.

    Raises
    ------
    AdapterMismatchError
        If the model lacks a tensor of the layout, or has it in another shape.
    """
    weights = dict(model.named_parameters())
    for name, shape in layout.tensor_shapes.items():
        if name not in weights or tuple(weights[name].shape) != shape:
            raise AdapterMismatchError(
                "The adapter does not fit this model.",
                given=f"{name} of shape {tuple(weights[name].shape)}" if name in weights else f"a model without {name}",
                expected=f"{name} of shape {shape}",
                cause="an adapter of another base model",
            )
    return {name: method.apply(weights[name].detach(), parts, layout.of(name)) for name, parts in stored.items()}


@contextmanager
def written(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the block `model` has the given weights; afterwards its own, bit for bit."""
    kept = {name: model.get_parameter(name).detach().clone() for name in weights}
    write(model, weights)
    try:
        yield
    finally:
        write(model, kept)


def write(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into the parameters of `model`, in place."""
    with torch.no_grad():
        for name, weight in weights.items():
            model.get_parameter(name).copy_(weight)


def _restore_order(model: nn.Module, names: Iterable[str], touched: Iterable[str]) -> None:
    """Register the parameters of modules with touched ones in the order of `names`; parametrizing put those last."""
    owners = {name.rpartition(".")[0] for name in touched}
    for name in names:
        if name.rpartition(".")[0] in owners:
            owner, leaf = owner_of(model, name)
            parameter = owner.get_parameter(leaf)
            delattr(owner, leaf)
            owner.register_parameter(leaf, parameter)


def is_attached(model: nn.Module) -> bool:
    """Whether any tensor of `model` is parametrized."""
    return any(parametrize.is_parametrized(module) for module in model.modules())


def owner_of(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Module that holds a parameter, and the parameter's name in it."""
    path, _, leaf = name.rpartition(".")
    return model.get_submodule(path), leaf
