"""Final features of a SevenNet model, and an energy term that depends on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sevenn._keys as keys
import torch
from sevenn.nn.equivariant_gate import EquivariantGate
from torch import Tensor, nn

from equisparse.backbones.e3nn.layout import invariant_columns
from equisparse.backbones.prediction import EnergyTerm, FinalFeatures


def invariant_channels(model: nn.Module) -> list[int]:
    """Columns of the last layer's features that neither rotations nor inversion change."""
    return invariant_columns(_last_gate(model).gate.irreps_out)


@contextmanager
def term_added(model: Any, term: EnergyTerm) -> Iterator[None]:
    """Add `term` to the energies of `model` within the block, and its derivatives to forces and stress.

    Hooks record the output of the last layer and add the term just before the model differentiates its energy, so that
    the derivative of the sum costs one backward pass.
    """
    added = _Added(model, term)
    with (
        _last_gate(model).register_forward_hook(added.catch),
        model.force_output.register_forward_pre_hook(added.add),
        model.force_output.register_forward_hook(added.symmetrize),
    ):
        yield


class _Added:
    """Hooks of one term for one pass of the model."""

    def __init__(self, model: nn.Module, term: EnergyTerm) -> None:
        self._channels, self._term = invariant_channels(model), term
        self._scalars: Tensor
        self._asymmetric: Tensor | None = None
        self._gradients: list[Tensor] = []

    def catch(self, _: nn.Module, __: Any, data: Any) -> None:
        """Record the features of the last layer."""
        self._scalars = data[keys.NODE_FEATURE][:, self._channels]

    def add(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Add the term to the energies."""
        (data,) = inputs
        energy, vectors = data[keys.PRED_TOTAL_ENERGY], data[keys.EDGE_VEC]
        features = FinalFeatures(
            scalars=self._scalars,
            vectors=vectors,
            edges=data[keys.EDGE_IDX],
            frames=data[keys.BATCH],
            numbers=data[keys.ATOMIC_NUMBERS],
            n_frames=len(data[keys.NUM_ATOMS]),
        )
        added = self._term(features)
        data[keys.PRED_TOTAL_ENERGY] = energy + added.energy.reshape(energy.shape)
        self._asymmetric = added.asymmetric_virial
        if self._asymmetric is not None:
            vectors.register_hook(self._gradients.append)

    def symmetrize(self, _: nn.Module, __: Any, data: Any) -> None:
        """Symmetrise the stress where the virial is not symmetric: upstream reads only xy, yz and zx of the virial."""
        if self._asymmetric is None or not self._gradients:
            return
        frames, (gradients,) = data[keys.BATCH][data[keys.EDGE_IDX][1]], self._gradients
        torque = torch.linalg.cross(data[keys.EDGE_VEC], gradients)  # yz - zy, zx - xz, xy - yx of the virial
        per_frame = torque.new_zeros(len(self._asymmetric), 3).index_add(0, frames, torque)
        half = torch.where(self._asymmetric.unsqueeze(1), per_frame, 0.0) / (2 * data[keys.CELL_VOLUME].unsqueeze(1))
        data[keys.PRED_STRESS] = data[keys.PRED_STRESS] + torch.cat([torch.zeros_like(half), half[:, [2, 0, 1]]], 1)


def _last_gate(model: nn.Module) -> Any:
    """Module whose output are the features of the last layer."""
    return [module for module in model.children() if isinstance(module, EquivariantGate)][-1]
