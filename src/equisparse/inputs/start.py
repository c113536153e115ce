"""Adapter from which a training starts."""

from dataclasses import replace

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.errors import StateError
from equisparse.inputs.adapters import loaded_adapter


def starting_adapter(config: FinetuneConfig) -> Adapter | None:
    """Read the adapter that a configuration names as the start; None if it names none.

    Raises
    ------
    AdapterError
        If the file is damaged, or no adapter.
    StateError
        If the adapter changes outputs instead of weights.
    """
    if config.start is None:
        return None
    adapter = loaded_adapter(config.start)
    if not adapter.mergeable:
        raise StateError(
            "Training cannot start from this adapter.",
            given=f"{config.start}, of the method {adapter.label}",
            expected="an adapter that changes weights",
            cause="the method changes outputs of layers, which no change of weights can replace",
            next_step="train anew with `equisparse finetune --changed`",
        )
    return adapter


def with_spins_of(config: FinetuneConfig, start: Adapter | None) -> FinetuneConfig:
    """Configuration of a training that goes on with the spin layer of an adapter, if the adapter has one."""
    return config if start is None or start.spins is None else replace(config, spin=True)


def available_layout(backbone: AbstractBackbone, start: Adapter | None) -> Layout:
    """Tensors from which targets are selected: those of the base, or of the adapter from which training starts."""
    return backbone.layout() if start is None else start.layout
