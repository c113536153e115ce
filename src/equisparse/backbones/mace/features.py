"""Final features of a MACE model, and an energy term that depends on them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from equisparse.backbones.e3nn.layout import invariant_columns
from equisparse.backbones.prediction import EnergyTerm, FinalFeatures


def invariant_channels(model: Any) -> list[int]:
    """Columns of the last layer's features that neither rotations nor inversion change."""
    return invariant_columns(model.products[-1].linear.irreps_out)


@contextmanager
def term_added(model: Any, batch: Mapping[str, Tensor], term: EnergyTerm) -> Iterator[None]:
    """Add `term` to the energies of `model` for `batch` within the block, and its derivatives to forces and stress.

    Hooks record the output of the last layer and add the term to the energy of the first atom of each frame, after the
    scaling if there is one: upstream sums energies of atoms and differentiates the sum.
    """
    added = _Added(model, batch, term)
    last = model.scale_shift if hasattr(model, "scale_shift") else model.readouts[-1]
    with (
        model.spherical_harmonics.register_forward_pre_hook(added.catch_vectors),
        model.products[-1].register_forward_hook(added.catch_features),
        last.register_forward_hook(added.add),
    ):
        yield


class _Added:
    """Hooks of one term for one pass of the model."""

    def __init__(self, model: Any, batch: Mapping[str, Tensor], term: EnergyTerm) -> None:
        self._channels, self._batch, self._term = invariant_channels(model), batch, term
        self._numbers = model.atomic_numbers
        self._vectors: Tensor
        self._scalars: Tensor

    def catch_vectors(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Record the vectors along the edges, by which the model differentiates."""
        (self._vectors,) = inputs

    def catch_features(self, _: nn.Module, __: Any, features: Tensor) -> None:
        """Record the features of the last layer."""
        self._scalars = features[:, self._channels]

    def add(self, _: nn.Module, __: Any, energies: Tensor) -> Tensor:
        """Energies of atoms plus the term, shape (n_atoms,), or (n_atoms, n_heads) for all heads."""
        starts = self._batch["ptr"][:-1]
        features = FinalFeatures(
            scalars=self._scalars,
            vectors=self._vectors,
            edges=self._batch["edge_index"],
            frames=self._batch["batch"],
            numbers=self._numbers[self._batch["node_attrs"].argmax(1)],
            n_frames=len(starts),
        )
        per_frame = self._term(features).energy.to(energies.dtype)
        per_atom = energies.new_zeros(len(energies)).index_add(0, starts, per_frame)
        return energies + per_atom.reshape(-1, *[1] * (energies.ndim - 1))
