"""The final features of a MACE model, and a term in them that is added to its energy."""

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
    """Within the block the energies of `model`, run on `batch`, hold `term`, and so do forces and stress.

    The features are caught where the last layer gives them. The term is added to the energy of the first atom of each
    frame, behind the scaling where there is one: upstream sums energies of atoms and takes derivatives of the sum.
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
    """The hooks of one term for one pass of the model."""

    def __init__(self, model: Any, batch: Mapping[str, Tensor], term: EnergyTerm) -> None:
        self._channels, self._batch, self._term = invariant_channels(model), batch, term
        self._numbers = model.atomic_numbers
        self._vectors: Tensor
        self._scalars: Tensor

    def catch_vectors(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Keep the vectors along the edges, by which the model differentiates."""
        (self._vectors,) = inputs

    def catch_features(self, _: nn.Module, __: Any, features: Tensor) -> None:
        """Keep the features of the last layer."""
        self._scalars = features[:, self._channels]

    def add(self, _: nn.Module, __: Any, energies: Tensor) -> Tensor:
        """Energies of atoms, shape (n_atoms,) or of all heads (n_atoms, n_heads), with those of the term."""
        starts = self._batch["ptr"][:-1]
        features = FinalFeatures(
            scalars=self._scalars,
            vectors=self._vectors,
            edges=self._batch["edge_index"],
            frames=self._batch["batch"],
            numbers=self._numbers[self._batch["node_attrs"].argmax(1)],
            n_frames=len(starts),
        )
        of_frames = self._term(features).energy.to(energies.dtype)
        of_atoms = energies.new_zeros(len(energies)).index_add(0, starts, of_frames)
        return energies + of_atoms.reshape(-1, *[1] * (energies.ndim - 1))
