"""What a fine-tune with spins needs besides: the spin layer, and the labels that it can learn from."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from equisparse.backbones.base import AbstractBackbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.split import FrameSplits
from equisparse.errors import DataError
from equisparse.magnetism.model import SpinModel, new_layer, spins_of
from equisparse.magnetism.options import SpinOptions
from equisparse.quantities import MAGNETIC_FORCES, MOMENTS

_NOISE = 0.1
"""Length of a moment, muB, below which its direction means nothing."""
_MAGNETIC = 0.25
"""Root mean square moment, muB, from which on an element carries spins by itself and not only what others induce."""


def spin_setup(
    config: FinetuneConfig,
    splits: FrameSplits,
    backbone: AbstractBackbone,
    notice: Callable[[str, str], None],
) -> tuple[SpinModel | None, FrameSplits]:
    """Untrained spin layer on a backbone, and the splits with the labels it learns from; nothing new without `spin`.

    `notice` is told about the layer: a topic and a sentence.

    Raises
    ------
    BackboneError
        If the backbone does not give its final features away.
    DataError
        If no training frame has spins.
    """
    if not config.spin:
        return None, splits
    if not any(spins_of(frame.atoms).any() for frame in splits.train):
        raise DataError(
            "No training frame has spins.",
            expected="input spins as initial_magmoms, REF_spin, REF_magmoms, magmoms ...",
            next_step="name them with --spins-key, or leave --spin out",
        )
    forces = any(MAGNETIC_FORCES in frame.labels for frame in splits.train)
    chosen = config.spin_input if config.spin_input != "auto" else "given" if forces else "order"
    layer = new_layer(
        backbone,
        cutoff=min(config.spin_cutoff or backbone.cutoff, backbone.cutoff),
        channels=config.spin_channels,
        input=chosen,
        scales=spin_lengths(splits.train),
        spin_orbit=config.spin_orbit,
        seed=config.seed,
    )
    options, everywhere = layer.options, config.moments_on == "all"
    model = SpinModel(backbone, layer, magnetic_forces=forces and chosen == "given")
    lengths = ", ".join(f"{chemical_symbols[z]} {scale:.2f} muB" for z, scale in options.scales.items())
    read = "as given" if chosen == "given" else "by their directions"
    notice(
        "spins",
        f"layer of {layer.n_parameters:,} parameters, width {options.channels}, cutoff {options.cutoff:g} "
        f"Angstrom, learning rate {config.spin_lr:g}; spins {read}, "
        f"{lengths} on average",
    )
    parts = (labelled_for(options, part, everywhere=everywhere) for part in (splits.train, splits.valid, splits.test))
    return model, FrameSplits(*parts)


def spin_lengths(frames: Sequence[LabelledFrame]) -> dict[int, float]:
    """Root mean square moment of each element that carries spins, muB, of labels or else of input spins.

    Raises
    ------
    DataError
        If there is no such element.
    """
    numbers = np.concatenate([frame.numbers for frame in frames])
    squares = np.concatenate([np.square(_moments(frame)).sum(axis=1) for frame in frames])
    mean = {int(z): float(np.sqrt(squares[numbers == z].mean())) for z in np.unique(numbers)}
    found = {z: length for z, length in mean.items() if length >= _MAGNETIC}
    if not found:
        raise DataError(
            "No element carries spins.",
            given=f"root mean square moments up to {max(mean.values()):.3g} muB",
            expected=f"at least {_MAGNETIC} muB for one element",
            next_step="check the unit of the moments, use --spin-input given, or leave --spin out",
        )
    return found


def labelled_for(
    options: SpinOptions, frames: Sequence[LabelledFrame], *, everywhere: bool = True
) -> list[LabelledFrame]:
    """Frames with the input spins and the magnetic labels that a layer can learn from.

    Directions of moments that have all but vanished are noise. Where directions are inputs and come from the result of
    a calculation, such spins point along the net moment of their frame: ferromagnetic, as a calculation would start.

    Moments that repeat the input spins teach nothing where their lengths are inputs. Magnetic forces are labels where
    the lengths of spins are inputs, and on atoms with a spin: codes write zeros for the others.

    Parameters
    ----------
    options : SpinOptions
    frames : sequence of LabelledFrame
    everywhere : bool
        Whether moments of atoms without an input spin are labels.
    """
    given = options.input == "given"
    repeat = given and all(frame.moments is None or _repeats(frame) for frame in frames)
    found = []
    for frame in frames:
        if not given and _repeats(frame):
            frame = replace(frame, atoms=_with_order(frame, options))
        spins = spins_of(frame.atoms)
        there = spins.any(axis=1) if given else np.isin(frame.numbers, list(options.scales)) & spins.any(axis=1)
        moments = None if repeat else _kept(frame.moments, there | everywhere)
        forces = _kept(frame.labels.get(MAGNETIC_FORCES), there) if given else None
        found.append(frame.with_labels({MOMENTS: moments, MAGNETIC_FORCES: forces}))
    return found


def _moments(frame: LabelledFrame) -> Floats:
    """Moments of a frame, shape (n_atoms, 3), or its input spins where it has none."""
    return spins_of(frame.atoms) if frame.moments is None else frame.moments


def _with_order(frame: LabelledFrame, options: SpinOptions) -> Atoms:
    """Copy in which all atoms of elements with spins have a direction."""
    spins = spins_of(frame.atoms)
    net = spins.sum(axis=0)
    along = net / np.linalg.norm(net) if np.linalg.norm(net) > _NOISE else np.array([0.0, 0.0, 1.0])
    lost = np.isin(frame.numbers, list(options.scales)) & (np.linalg.norm(spins, axis=1) < _NOISE)
    copy: Atoms = frame.atoms.copy()
    copy.set_initial_magnetic_moments(None)
    copy.set_initial_magnetic_moments(np.where(lost[:, None], along, spins))
    return copy


def _repeats(frame: LabelledFrame) -> bool:
    """Whether the moments are the input spins."""
    return frame.moments is not None and np.allclose(frame.moments, spins_of(frame.atoms), atol=1e-6)


def _kept(label: Floats | None, atoms: Any) -> Floats | None:
    """A label with NaN on all other atoms."""
    return None if label is None else np.where(atoms[:, None], label, np.nan)
