"""Backbone with a spin layer on top; it has the interface of a backbone: graphs, batches, predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.prediction import AddedEnergy, FinalFeatures, Prediction
from equisparse.errors import DataError, InputError
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.options import SpinOptions
from equisparse.magnetism.width import fitting_channels
from equisparse.quantities import MAGNETIC_FORCES, MOMENTS


@dataclass(frozen=True)
class SpinGraph:
    """Graph of a frame, or batch of frames, with input spins.

    Parameters
    ----------
    graph : object
        Graph or batch of the backbone.
    spins : Tensor, shape (n_atoms, 3), muB
    """

    graph: Any
    spins: Tensor


class SpinModel:
    """Model of energy, forces, stress, moments and magnetic forces of frames with input spins.

    The input spins of a frame are its initial magnetic moments (``atoms.set_initial_magnetic_moments``): vectors, or
    numbers, which are spins along z. For frames without spins all predictions are the backbone's, bit for bit.

    Parameters
    ----------
    backbone : AbstractBackbone
        Every call uses its present weights and whatever is attached to them.
    layer : SpinLayer
        The layer; it is moved to the backbone's precision and device.
    magnetic_forces : bool
        Whether predictions contain magnetic forces.

    Raises
    ------
    BackboneError
        If the backbone does not expose its final features.
    InputError
        If the layer has another number of input channels than the backbone has final features.
    """

    def __init__(self, backbone: AbstractBackbone, layer: SpinLayer, *, magnetic_forces: bool = True) -> None:
        if layer.options.scalars != backbone.final_scalars:
            raise InputError(
                "The spin layer does not fit this base.",
                given=f"a layer for {layer.options.scalars} invariant channels",
                expected=f"a layer for {backbone.final_scalars}, the number that {backbone.identity.source} has",
                cause="an adapter of another base",
            )
        self.backbone, self.magnetic_forces = backbone, magnetic_forces
        self.identity, self.elements = backbone.identity, backbone.elements
        self.dtype, self.device = backbone.dtype, backbone.device
        self.sign_ambiguous = layer.options.input == "order"
        self.layer = layer.to(device=self.device, dtype=self.dtype)

    def restore(self, options: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
        """Give the layer the values of a stored one with the same options; see `SpinLayer.restored`."""
        self.layer.load_state_dict(SpinLayer.restored(options, tensors).state_dict())

    def graph(self, atoms: Atoms) -> SpinGraph:
        """Neighbour graph and input spins of one frame, to be collated many times."""
        return SpinGraph(self.backbone.graph(atoms), torch.from_numpy(spins_of(atoms)).to(self.dtype))

    def collate(self, graphs: Sequence[SpinGraph]) -> SpinGraph:
        """Batch of several graphs, on the CPU."""
        batch = self.backbone.collate([graph.graph for graph in graphs])
        return SpinGraph(batch, torch.cat([graph.spins for graph in graphs]))

    def predict(self, batch: SpinGraph, *, training: bool = False) -> Prediction:
        """Predictions for a batch, which cannot be used again; parameters as of `AbstractBackbone.predict`."""
        spins = batch.spins.to(self.device, non_blocking=True).clone().requires_grad_(self.magnetic_forces)
        moments: list[Tensor] = []
        magnetic: list[Tensor] = []

        def term(features: FinalFeatures) -> AddedEnergy:
            energy, moment = self.layer(features, spins)
            moments.append(moment)
            if self.magnetic_forces:
                (gradient,) = torch.autograd.grad(energy.sum(), spins, create_graph=training, retain_graph=True)
                magnetic.append(-gradient)
            return AddedEnergy(energy, self._asymmetric_virial(features, spins))

        prediction = self.backbone.predict_with(batch.graph, term, training=training)
        if not training:
            moments, magnetic = [moment.detach() for moment in moments], [force.detach() for force in magnetic]
        return prediction | {MOMENTS: moments[0]} | ({MAGNETIC_FORCES: magnetic[0]} if magnetic else {})

    def features(self, atoms: Atoms) -> FinalFeatures:
        """Final features of one frame, detached: all that the layer needs for energies and moments of any spins."""
        recorded: list[FinalFeatures] = []

        def term(features: FinalFeatures) -> AddedEnergy:
            recorded.append(features)
            return AddedEnergy(features.vectors.new_zeros(features.n_frames))

        self.backbone.predict_with(self.backbone.collate([self.backbone.graph(atoms)]), term)
        (features,) = recorded
        return replace(features, scalars=features.scalars.detach(), vectors=features.vectors.detach())

    def _asymmetric_virial(self, features: FinalFeatures, spins: Tensor) -> Tensor | None:
        """Frames whose spins are coupled to the lattice, shape (n_frames,); None without spin-orbit terms."""
        if not self.layer.options.spin_orbit:
            return None
        has_spin = (spins.detach() != 0).any(1).to(torch.int64)
        n_spins = torch.zeros(features.n_frames, dtype=torch.int64, device=has_spin.device)
        return n_spins.index_add(0, features.frames, has_spin) > 0


def new_layer(
    backbone: AbstractBackbone,
    *,
    cutoff: float,
    channels: int | None = None,
    input: str = "given",  # noqa: A002  the option's name
    scales: dict[int, float] | None = None,
    spin_orbit: bool = False,
    seed: int = 0,
) -> SpinLayer:
    """Untrained spin layer for a backbone.

    Parameters
    ----------
    backbone : AbstractBackbone
    cutoff, input, scales, spin_orbit
        As in `SpinOptions`.
    channels : int, optional
        Width; by default the largest with which the layer has at most a tenth of the backbone's parameters.
    seed : int
        Seed of the initial weights.
    """
    size = sum(parameter.numel() for parameter in backbone.model.parameters())
    width = channels or fitting_channels(backbone.final_scalars, size, spin_orbit=spin_orbit)
    options = SpinOptions(backbone.final_scalars, cutoff, width, input, scales or {}, spin_orbit)
    return SpinLayer(options, seed=seed)


def spins_of(atoms: Atoms) -> NDArray[np.float64]:
    """Input spins of a frame, shape (n_atoms, 3), muB: numbers are spins along z; zeros if there are none.

    Raises
    ------
    DataError
        If they have another shape, or are not finite.
    """
    stored = np.asarray(atoms.get_initial_magnetic_moments(), dtype=np.float64)
    spins = np.zeros((len(atoms), 3))
    if stored.shape == (len(atoms),):
        spins[:, 2] = stored
    elif stored.shape == (len(atoms), 3):
        spins[:] = stored
    else:
        raise DataError(
            "The initial magnetic moments have the wrong shape.",
            given=f"{stored.shape}",
            expected=f"({len(atoms)},) or ({len(atoms)}, 3)",
            next_step="set one number or one vector per atom with atoms.set_initial_magnetic_moments",
        )
    if not np.isfinite(spins).all():
        raise DataError(
            "An initial magnetic moment is NaN or infinite.", next_step="set it to 0 for atoms without a moment"
        )
    return spins
