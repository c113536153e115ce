"""Several adapters on one base in memory; a switch writes only the entries that differ."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.gates import place_gates, remove_gates
from equisparse.adapters.parameters import parameter_owner
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.identity import fingerprint
from equisparse.blocks import GATE
from equisparse.errors import InputError, StateError

_INTEGERS = {4: torch.int32, 8: torch.int64}
_UNKNOWN = -1
"""Version number that no parameter has."""
_DENSE = 0.5
"""Fraction of changed entries above which a tensor is written as a whole."""


@dataclass(frozen=True)
class _Entries:
    """Changed values of one tensor at `index` of the flattened tensor; all its values if `index` is None."""

    index: Tensor | None
    changed: Tensor
    base: Tensor

    def of(self, flat: Tensor) -> Tensor:
        """Present values of these entries."""
        return flat if self.index is None else flat[self.index]


@dataclass(frozen=True)
class _Prepared:
    """Adapter with its changed entries and gates."""

    adapter: Adapter
    entries: Mapping[str, _Entries]
    gates: Mapping[str, nn.Module]


@dataclass
class _Watched:
    """Parameter of the model, with its version when the bank last wrote or checked it."""

    owner: nn.Module
    leaf: str
    parameter: nn.Parameter
    flat: Tensor
    version: int


class AdapterBank:
    """Adapters by name on one base model; at most one of them is in use.

    A switch writes only the changed entries of the old and the new adapter; the base is restored bit for bit. Tensors
    with more than half of their entries changed are written as a whole. The gates of a method that changes outputs are
    placed and removed.

    Parameters
    ----------
    backbone : AbstractBackbone
        Untouched base; from now on only the bank may change its model.

    Raises
    ------
    StateError
        If a method is attached to the model, or its weights have changed.
    """

    def __init__(self, backbone: AbstractBackbone) -> None:
        backbone.check_untouched()
        self.backbone = backbone
        self._watch_model()
        self._digest = self._fingerprint({})
        self._prepared: dict[str, _Prepared] = {}
        self._name: str | None = None
        self._handles: list[RemovableHandle] = []

    def __getstate__(self) -> dict[str, object]:
        """State for `pickle` and `copy`, without the views of the parameters, which a copy has to make anew."""
        return {name: value for name, value in vars(self).items() if name not in ("_watched", "_modules")}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore the state of a copy; the model has the adapter in use, as the original had."""
        vars(self).update(state)
        self._watch_model()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the adapters, in the order in which they were added."""
        return tuple(self._prepared)

    @property
    def in_use(self) -> str | None:
        """Name of the adapter in use; None if the model is the base."""
        return self._name

    @property
    def shifts(self) -> Mapping[int, float]:
        """Reference-energy shifts of the adapter in use, atomic number -> eV; empty for the base."""
        return {} if self._name is None else self._prepared[self._name].adapter.shifts

    def __getitem__(self, name: str) -> Adapter:
        """Adapter of a name; InputError if there is none."""
        return self._known(name).adapter

    def __len__(self) -> int:
        return len(self._prepared)

    def add(self, name: str, adapter: Adapter) -> None:
        """Add an adapter; the adapter in use stays in use.

        Raises
        ------
        InputError
            If there is an adapter of that name.
        AdapterMismatchError
            If the adapter belongs to another base, modality or precision, or does not fit the model.
        StateError
            If something else has changed the model, or the adapter has a spin layer.
        """
        adapter.check_spin_free("adding to a bank")
        if name in self._prepared:
            raise InputError("The bank has an adapter of this name.", given=name, next_step="choose another name")
        precision = str(self.backbone.dtype).removeprefix("torch.")
        adapter.check_fits(vars(self.backbone.identity), self.backbone.modality, precision)
        with self.using(None):
            weights = adapter.weights(self.backbone.model)
            entries = {key: _entries(self._watched[key].flat, weight) for key, weight in weights.items()}
            gates = adapter.gates(self.backbone.model)
        self._prepared[name] = _Prepared(adapter, {key: changed for key, changed in entries.items() if changed}, gates)

    def remove(self, name: str) -> None:
        """Remove an adapter; if it is in use, the model is the base afterwards.

        Raises
        ------
        InputError
            If there is no such adapter.
        StateError
            If something else has changed the model.
        """
        self._known(name)
        if name == self._name:
            self.use(None)
        del self._prepared[name]

    def use(self, name: str | None) -> None:
        """Switch the model to an adapter, or with None to the base.

        Raises
        ------
        InputError
            If there is no such adapter.
        StateError
            If something else has changed the model, which then stays as it is.
        """
        target = None if name is None else self._known(name)
        self._check_untouched()
        if name == self._name:
            return
        before = None if self._name is None else self._prepared[self._name]
        self._name = None
        try:
            if before is not None:
                self._take_off(before)
            if target is not None:
                self._put_on(target)
        except BaseException:  # including KeyboardInterrupt
            self._restore_base(before, target)
            raise
        self._name = name

    @contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """Use an adapter within the block; afterwards switch back to the one before."""
        before = self._name
        self.use(name)
        try:
            yield
        finally:
            self.use(before)

    def _watch_model(self) -> None:
        """Keep views of all parameters, and all modules of the model."""
        model = self.backbone.model
        self._watched = {name: _watch(model, name) for name, _ in model.named_parameters()}
        self._modules = list(model.modules())

    def _known(self, name: str) -> _Prepared:
        """Prepared adapter of a name; InputError if there is none."""
        if name not in self._prepared:
            near = difflib.get_close_matches(name, self._prepared, n=1)
            raise InputError(
                "The bank has no adapter of this name.",
                given=repr(name),
                expected=", ".join(self._prepared) or "nothing: it is empty",
                next_step=f"did you mean {near[0]!r}?" if near else "add it with `add(name, adapter)`",
            )
        return self._prepared[name]

    def _put_on(self, prepared: _Prepared) -> None:
        """Write the changed entries of an adapter and place its gates on the base."""
        self._handles = place_gates(self.backbone.model, prepared.gates)
        self._write({key: (part.index, part.changed) for key, part in prepared.entries.items()})

    def _take_off(self, prepared: _Prepared) -> None:
        """Write the base's entries and remove the gates of the adapter in use."""
        self._write({key: (part.index, part.base) for key, part in prepared.entries.items()})
        remove_gates(self.backbone.model, prepared.gates, self._handles)
        self._handles = []

    def _restore_base(self, *prepared: _Prepared | None) -> None:
        """Restore the base after an interrupted switch, and let the next switch check the whole model."""
        for adapter in filter(None, prepared):
            self._write({key: (part.index, part.base) for key, part in adapter.entries.items()})
        for watched in self._watched.values():
            watched.version = _UNKNOWN

    @torch.no_grad()
    def _write(self, values: Mapping[str, tuple[Tensor | None, Tensor]]) -> None:
        """Write entries of tensors."""
        for key, (index, value) in values.items():
            watched = self._watched[key]
            if index is None:
                watched.flat.copy_(value)
            else:
                watched.flat.index_copy_(0, index, value)
            watched.version = watched.parameter._version

    def _check_untouched(self) -> None:
        """Raise StateError if something else has changed the model; compare values only if a version differs."""
        if any(w.owner._parameters.get(w.leaf) is not w.parameter for w in self._watched.values()):
            raise _changed("a method is attached to it, or its parameters were replaced", "detach the method first")
        if any(w.flat.data_ptr() != w.parameter.data_ptr() for w in self._watched.values()):
            raise _changed("it was moved to another device or precision", "create a new bank")
        written = [w for w in self._watched.values() if w.version != w.parameter._version]
        if not self._gates_are_ours() or (written and not self._weights_are_ours()):
            raise _changed("an adapter was merged into it, or it was trained or gated", "load the base again")
        for watched in written:
            watched.version = watched.parameter._version

    def _gates_are_ours(self) -> bool:
        """Return whether the gates of the model are those of the adapter in use."""
        ours = {} if self._name is None else self._prepared[self._name].gates
        present = [module._modules[GATE] for module in self._modules if GATE in module._modules]
        return set(map(id, present)) == set(map(id, ours.values()))

    def _weights_are_ours(self) -> bool:
        """Return whether the weights are, bit for bit, those of the base with the adapter in use."""
        entries = {} if self._name is None else self._prepared[self._name].entries
        has_entries = all(_same_bits(part.of(self._watched[name].flat), part.changed) for name, part in entries.items())
        return has_entries and self._fingerprint(entries) == self._digest

    def _fingerprint(self, undone: Mapping[str, _Entries]) -> str:
        """Fingerprint of the parameters after the entries of an adapter are replaced by those of the base."""
        values = {name: watched.flat for name, watched in self._watched.items()}
        for name, part in undone.items():
            values[name] = part.base if part.index is None else values[name].index_copy(0, part.index, part.base)
        return fingerprint(values)


def _watch(model: nn.Module, name: str) -> _Watched:
    """Parameter of a model by name, with its present version."""
    owner, leaf = parameter_owner(model, name)
    parameter = owner.get_parameter(leaf)
    return _Watched(owner, leaf, parameter, parameter.detach().view(-1), parameter._version)


def _entries(base: Tensor, changed: Tensor) -> _Entries | None:
    """Entries of a flattened tensor whose bits differ; None if none do."""
    changed = changed.detach().reshape(-1)
    index = (_bits(base) != _bits(changed)).nonzero().reshape(-1)
    if not len(index):
        return None
    if len(index) > _DENSE * len(base):
        return _Entries(None, changed.clone(), base.clone())
    return _Entries(index, changed[index], base[index])


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors of equal type and shape have the same bits."""
    return torch.equal(_bits(one), _bits(other))


def _bits(values: Tensor) -> Tensor:
    """View the bits as integers, so that -0 differs from 0."""
    return values.view(_INTEGERS[values.element_size()])


def _changed(cause: str, next_step: str) -> StateError:
    """Error of a model that something else has changed."""
    return StateError(
        "The model is no longer the base of this bank.",
        given="a model that something else has changed",
        expected="the base, or the base with the adapter in use",
        cause=cause,
        next_step=next_step,
    )
