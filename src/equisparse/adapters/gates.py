"""Gates on modules: create, restore, place and remove them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from torch import Generator, Tensor, nn
from torch.utils.hooks import RemovableHandle

from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import GATE, Layout
from equisparse.errors import AdapterError, SelectionError, StateError
from equisparse.formats.base import AbstractGateFormat, Channels, Irreps
from equisparse.methods.base import AbstractGate, AbstractGateMethod
from equisparse.wording import counted


def build_gates(
    model: nn.Module, method: AbstractGateMethod, layout: Layout, generator: Generator
) -> dict[str, AbstractGate]:
    """Create gates by tensor name for the modules of `layout` that have irreps; the model is not changed.

    Raises
    ------
    SelectionError
        If there is no such module.
    """
    gates: dict[str, AbstractGate] = {}
    gated_modules: set[nn.Module] = set()
    for name in layout.tensors:
        module = parameter_owner(model, name)[0]
        irreps = _irreps(module)
        if irreps and module not in gated_modules and (gate := method.build(*irreps, generator)):
            gated_modules.add(module)
            gates[name] = gate.to(model.get_parameter(name))
    if not gates:
        raise SelectionError(
            f"No selected module can have a gate of the method {method.name}.",
            given=f"{counted(len(layout.tensors), 'selected tensor')}, such as {layout.tensors[0]}",
            expected="weights of modules with irreps as input and output, and scalars among the inputs",
            next_step="select tensors of another role, such as `--targets linear`",
        )
    return gates


def restored_gates(
    model: nn.Module, stored_format: AbstractGateFormat, stored: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, nn.Module]:
    """Restore gates by tensor name from their stored parts.

    Raises
    ------
    AdapterError
        If a stored gate does not fit its module.
    """
    return {name: _restored(model, stored_format, name, parts) for name, parts in stored.items()}


def place_gates(model: nn.Module, gates: Mapping[str, nn.Module]) -> list[RemovableHandle]:
    """Place each gate on the module that owns its tensor; return the handles for `remove_gates`.

    Raises
    ------
    StateError
        If a module has a gate already.
    """
    if any(hasattr(parameter_owner(model, name)[0], GATE) for name in gates):
        raise StateError("This model has gates already.", next_step="load the base model again")
    handles = []
    for name, gate in gates.items():
        module = parameter_owner(model, name)[0]
        module.add_module(GATE, gate)
        handles.append(module.register_forward_hook(_through_gate))
    return handles


def remove_gates(model: nn.Module, names: Iterable[str], handles: Iterable[RemovableHandle]) -> None:
    """Remove gates and their hooks."""
    for handle in handles:
        handle.remove()
    for name in names:
        delattr(parameter_owner(model, name)[0], GATE)


@contextmanager
def gated(model: nn.Module, gates: Mapping[str, nn.Module]) -> Iterator[None]:
    """Place gates on `model` within the block; remove them afterwards."""
    handles = place_gates(model, gates)
    try:
        yield
    finally:
        remove_gates(model, gates, handles)


def _through_gate(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """Forward hook; it looks the gate up in the module, so that a copy of the model uses its own gate."""
    changed: Tensor = module.get_submodule(GATE)(inputs[0], output)
    return changed


def _restored(model: nn.Module, stored_format: AbstractGateFormat, name: str, parts: Mapping[str, Tensor]) -> nn.Module:
    """Restore the gate of the module that owns one tensor."""
    irreps = _irreps(parameter_owner(model, name)[0])
    try:
        if irreps is None:
            raise ValueError("the module has no irreps")
        gate = stored_format.restore(parts, *irreps)
    except ValueError as error:
        shapes = ", ".join(f"{part} {tuple(value.shape)}" for part, value in parts.items())
        raise AdapterError(
            "A stored gate does not fit its module.",
            given=f"{name}: {shapes}",
            cause=f"{error}: a damaged file, or another version of the upstream package",
        ) from error
    return gate.to(model.get_parameter(name)).requires_grad_(False)


def _irreps(module: nn.Module) -> tuple[Irreps, Irreps] | None:
    """Irreps of input and output of a module with these attributes, such as e3nn's Linear; None without them."""
    inputs, outputs = getattr(module, "irreps_in", None), getattr(module, "irreps_out", None)
    if any(side is None or isinstance(side, Mapping) for side in (inputs, outputs)):
        return None
    return _channels(cast(Any, inputs)), _channels(cast(Any, outputs))


def _channels(irreps: Iterable[Any]) -> Irreps:
    """Channels of an ``e3nn.o3.Irreps``."""
    return tuple(Channels(multiplicity, irrep.l, irrep.p) for multiplicity, irrep in irreps)
