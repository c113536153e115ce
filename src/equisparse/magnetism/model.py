"""A backbone with a spin layer on top, used as a backbone is: graphs, batches, predictions."""

from collections.abc import Sequence
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
from equisparse.magnetism.options import SpinOptions, fitting_channels
from equisparse.quantities import MAGNETIC_FORCES, MOMENTS


@dataclass(frozen=True)
class Spun:
    """What a backbone has of one frame or of a batch, and the input spins, shape (n_atoms, 3), muB."""

    of_backbone: Any
    spins: Tensor


class SpinModel:
    """Energy, forces, stress, moments and magnetic forces of frames with input spins.

    The input spins of a frame are its initial magnetic moments (``atoms.set_initial_magnetic_moments``): vectors, or
    numbers, which are taken along z. Without spins in any atom all predictions are the backbone's, bit for bit.

    Parameters
    ----------
    backbone : AbstractBackbone
        Its present weights and whatever is attached to them are used at every call.
    layer : SpinLayer
        Brought to the backbone's precision and device.
    magnetic_forces : bool
        Whether predictions hold magnetic forces.

    Raises
    ------
    BackboneError
        If the backbone does not give its final features away.
    InputError
        If the layer was made for other features.
    """

    def __init__(self, backbone: AbstractBackbone, layer: SpinLayer, *, magnetic_forces: bool = True) -> None:
        if layer.options.scalars != backbone.final_scalars:
            raise InputError(
                "The spin layer does not fit this base.",
                given=f"a layer for {layer.options.scalars} invariant channels",
                expected=f"{backbone.final_scalars}, which {backbone.identity.source} has",
            )
        self.backbone, self.magnetic_forces = backbone, magnetic_forces
        self.identity, self.dtype, self.device = backbone.identity, backbone.dtype, backbone.device
        self.sign_ambiguous = layer.options.input == "order"
        self.layer = layer.to(device=self.device, dtype=self.dtype)

    def graph(self, atoms: Atoms) -> Spun:
        """Neighbour graph and input spins of one frame, to be collated many times."""
        return Spun(self.backbone.graph(atoms), torch.from_numpy(spins_of(atoms)).to(self.dtype))

    def collate(self, graphs: Sequence[Spun]) -> Spun:
        """One batch, on the CPU."""
        batch = self.backbone.collate([graph.of_backbone for graph in graphs])
        return Spun(batch, torch.cat([graph.spins for graph in graphs]))

    def predict(self, batch: Spun, *, training: bool = False) -> Prediction:
        """Predictions of a fresh batch, which is used up; arguments as of a backbone."""
        spins = batch.spins.to(self.device).clone().requires_grad_(self.magnetic_forces)
        moments: list[Tensor] = []
        magnetic: list[Tensor] = []

        def term(features: FinalFeatures) -> AddedEnergy:
            energy, moment = self.layer(features, spins)
            moments.append(moment)
            if self.magnetic_forces:
                (slope,) = torch.autograd.grad(energy.sum(), spins, create_graph=training, retain_graph=True)
                magnetic.append(-slope)
            return AddedEnergy(energy, self._turning(features, spins))

        found = self.backbone.predict_with(batch.of_backbone, term, training=training)
        if not training:
            moments, magnetic = [part.detach() for part in moments], [part.detach() for part in magnetic]
        return found | {MOMENTS: moments[0]} | ({MAGNETIC_FORCES: magnetic[0]} if magnetic else {})

    def features(self, atoms: Atoms) -> FinalFeatures:
        """Final features of one frame without derivatives: enough for energies and moments of any spins."""
        caught: list[FinalFeatures] = []

        def term(features: FinalFeatures) -> AddedEnergy:
            caught.append(features)
            return AddedEnergy(features.vectors.new_zeros(features.n_frames))

        self.backbone.predict_with(self.backbone.collate([self.backbone.graph(atoms)]), term)
        found = caught[0]
        return replace(found, scalars=found.scalars.detach(), vectors=found.vectors.detach())

    def _turning(self, features: FinalFeatures, spins: Tensor) -> Tensor | None:
        """Frames in which spins hold on to the lattice; None if spin-orbit terms are off."""
        if not self.layer.options.spin_orbit:
            return None
        there = (spins.detach() != 0).any(1).to(torch.int64)
        return (
            torch.zeros(features.n_frames, dtype=torch.int64, device=there.device).index_add(0, features.frames, there)
            > 0
        )


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
    """Untrained spin layer for a backbone; options as in `SpinOptions`, the width by default of a tenth of its size."""
    size = sum(parameter.numel() for parameter in backbone.model.parameters())
    width = channels or fitting_channels(backbone.final_scalars, size, spin_orbit=spin_orbit)
    options = SpinOptions(backbone.final_scalars, cutoff, width, input, scales or {}, spin_orbit)
    return SpinLayer(options, seed=seed)


def spins_of(atoms: Atoms) -> NDArray[np.float64]:
    """Input spins of a frame, shape (n_atoms, 3), muB; numbers are taken along z, and none are zeros.

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
        )
    if not np.isfinite(spins).all():
        raise DataError("An initial magnetic moment is NaN or infinite.", next_step="set it to 0 where there is none")
    return spins
