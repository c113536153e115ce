"""Final features of a NequIP model, and an energy term that depends on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nequip.data import AtomicDataDict as Key
from torch import Tensor, nn

from equisparse.backbones.e3nn.layout import invariant_columns
from equisparse.backbones.nequip.layout import is_a
from equisparse.backbones.prediction import EnergyTerm, FinalFeatures
from equisparse.errors import BackboneError


def invariant_channels(model: nn.Module) -> list[int]:
    """Columns of the last layer's features that neither rotations nor inversion change.

    Raises
    ------
    BackboneError
        If the model has no features of atoms, such as Allegro.
    """
    return invariant_columns(_last_layer(model).irreps_out[Key.NODE_FEATURES_KEY])


@contextmanager
def term_added(model: nn.Module, numbers: Tensor, term: EnergyTerm) -> Iterator[None]:
    """Add `term` to the energies of `model` within the block, and its derivatives to forces and stress.

    Parameters
    ----------
    model : Module
    numbers : Tensor, shape (n_atoms,), int64
        Atomic numbers of the batch that the model runs on.
    term : EnergyTerm
    """
    channels, scalars = invariant_channels(model), []

    def catch(_: nn.Module, __: Any, data: Any) -> None:
        """Record the features of the last layer."""
        scalars.append(data[Key.NODE_FEATURES_KEY][:, channels])

    def add(_: nn.Module, __: Any, data: Any) -> None:
        """Add the term to the energies."""
        energy = data[Key.TOTAL_ENERGY_KEY]
        features = FinalFeatures(
            scalars=scalars[-1],
            vectors=data[Key.EDGE_VECTORS_KEY].to(scalars[-1].dtype),
            edges=data[Key.EDGE_INDEX_KEY],
            frames=data[Key.BATCH_KEY],
            numbers=numbers,
            n_frames=len(energy),
        )
        data[Key.TOTAL_ENERGY_KEY] = energy + term(features).energy.reshape(energy.shape)

    derivative: Any = next(module for module in model.modules() if is_a(module, "ForceStressOutput"))
    with _last_layer(model).register_forward_hook(catch), derivative.func.register_forward_hook(add):
        yield


def _last_layer(model: nn.Module) -> Any:
    """Module whose output are the features of the last layer."""
    layers = [module for module in model.modules() if is_a(module, "ConvNetLayer")]
    if not layers:
        raise BackboneError(
            "The model has no features per atom, which a spin layer needs.",
            given="an Allegro model, which has features per pair of atoms",
            expected="a SevenNet, MACE or NequIP model",
            next_step="choose another base, or omit --spin",
        )
    return layers[-1]
