"""Setup of a fine-tune with spins: the spin layer, and the labels that it can learn from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from equisparse.adapters.adapter import SpinPart
from equisparse.backbones.base import AbstractBackbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.split import FrameSplits
from equisparse.errors import DataError, InputError
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel, new_layer, spins_of
from equisparse.magnetism.options import SpinOptions
from equisparse.quantities import MAGNETIC_FORCES, MOMENTS

_NOISE = 0.1
"""Length of a moment, muB, below which its direction is not used."""
_MAGNETIC = 0.25
"""Smallest root mean square moment, muB, of a magnetic element; smaller moments are induced by neighbours."""


def spin_setup(
    config: FinetuneConfig,
    splits: FrameSplits,
    backbone: AbstractBackbone,
    notice: Callable[[str, str], None],
    start: SpinPart | None = None,
) -> tuple[SpinModel | None, FrameSplits]:
    """Make an untrained spin layer for a backbone, and select the labels that it learns from.

    Parameters
    ----------
    config : FinetuneConfig
    splits : Splits of LabelledFrame
    backbone : AbstractBackbone
    notice : callable
        Receives a topic and a sentence about the layer.
    start : SpinPart, optional
        Stored spin layer whose options the layer gets; by default they come from `config` and the frames.

    Returns
    -------
    model : SpinModel or None
        The backbone with the layer; None without ``config.spin``.
    splits : Splits of LabelledFrame
        Frames with their magnetic labels; unchanged without ``config.spin``.

    Raises
    ------
    BackboneError
        If the backbone does not expose its final features.
    DataError
        If no training frame has spins.
    """
    if not config.spin:
        return None, splits
    if not any(spins_of(frame.atoms).any() for frame in splits.train):
        raise DataError(
            "No training frame has spins.",
            expected="input spins as initial_magmoms, REF_spin, REF_magmoms, magmoms ...",
            next_step="name them with --spins-key, or omit --spin",
        )
    forces = any(MAGNETIC_FORCES in frame.labels for frame in splits.train)
    layer = _untrained(config, backbone, spin_lengths(splits.train), start, forces=forces)
    options, everywhere = layer.options, config.moments_on == "all"
    model = SpinModel(backbone, layer, magnetic_forces=forces and options.input == "given")
    read = "as given" if options.input == "given" else "by their directions"
    lengths = ", ".join(f"{chemical_symbols[z]} {scale:.2f} muB" for z, scale in options.scales.items())
    notice(
        "spins",
        f"layer of {layer.n_parameters:,} parameters, width {options.channels}, cutoff {options.cutoff:g} "
        f"Angstrom, learning rate {config.spin_lr:g}; spins {read}; "
        f"root mean square: {lengths}",
    )
    train, valid, test = (
        labelled_for(options, frames, everywhere=everywhere) for frames in (splits.train, splits.valid, splits.test)
    )
    return model, FrameSplits(train, valid, test)


def _untrained(
    config: FinetuneConfig,
    backbone: AbstractBackbone,
    lengths: Mapping[int, float],
    start: SpinPart | None,
    *,
    forces: bool,
) -> SpinLayer:
    """Untrained spin layer with the options of a stored one, or else with those of a configuration."""
    if start is not None:
        options = SpinOptions.from_dict(start.options)
        _check_start(config, options, lengths)
        return SpinLayer(options, seed=config.seed)
    return new_layer(
        backbone,
        cutoff=min(config.spin_cutoff or backbone.cutoff, backbone.cutoff),
        channels=config.spin_channels,
        input=config.spin_input if config.spin_input != "auto" else "given" if forces else "order",
        scales=dict(lengths),
        spin_orbit=config.spin_orbit,
        seed=config.seed,
    )


def _check_start(config: FinetuneConfig, options: SpinOptions, lengths: Mapping[int, float]) -> None:
    """Check that the options and the magnetic elements of a fine-tune are those of the spin layer it starts from.

    Raises
    ------
    InputError
        If an option differs, or the frames have a magnetic element that the layer does not know.
    """
    wanted = {
        "--spin-input": (None if config.spin_input == "auto" else config.spin_input, options.input),
        "--spin-channels": (config.spin_channels, options.channels),
        "--spin-cutoff": (config.spin_cutoff, options.cutoff),
        "--spin-orbit": (config.spin_orbit or None, options.spin_orbit),
    }
    different = [f"{name} {given}" for name, (given, own) in wanted.items() if given is not None and given != own]
    unknown = [chemical_symbols[z] for z in lengths if options.input == "order" and z not in options.scales]
    if different or unknown:
        raise InputError(
            "The spin layer of the adapter does not fit this fine-tune.",
            given=", ".join([*different, *(f"moments of {symbol}" for symbol in unknown)]),
            expected="the options and magnetic elements that the layer was trained with",
            next_step="leave the options out, or train anew with `equisparse finetune --spin`",
        )


def spin_lengths(frames: Sequence[LabelledFrame]) -> dict[int, float]:
    """Root mean square moment, muB, of each magnetic element, by atomic number.

    Moments are labels or, in frames without them, input spins.

    Raises
    ------
    DataError
        If no element is magnetic.
    """
    numbers = np.concatenate([frame.numbers for frame in frames])
    squares = np.concatenate([np.square(_moments(frame)).sum(axis=1) for frame in frames])
    mean = {int(z): float(np.sqrt(squares[numbers == z].mean())) for z in np.unique(numbers)}
    lengths = {z: length for z, length in mean.items() if length >= _MAGNETIC}
    if not lengths:
        raise DataError(
            "No element is magnetic: all moments are too small.",
            given=f"root mean square moments up to {max(mean.values()):.3g} muB",
            expected=f"at least {_MAGNETIC} muB for one element",
            cause="moments in another unit, or a material that is not magnetic",
            next_step="check the unit of the moments, use --spin-input given, or omit --spin",
        )
    return lengths


def labelled_for(
    options: SpinOptions, frames: Sequence[LabelledFrame], *, everywhere: bool = True
) -> list[LabelledFrame]:
    """Frames with the input spins and the magnetic labels that a spin layer can learn from.

    If only the directions of spins are inputs and were taken from the result of a calculation, the direction of a
    nearly vanished moment is noise. Such spins are set along the net moment of their frame, like a ferromagnetic start.

    If the lengths of spins are inputs, moments that are equal to the input spins are not used as labels. Magnetic
    forces are labels only in this case, and only on atoms with a spin, because codes write zeros for other atoms.

    Parameters
    ----------
    options : SpinOptions
    frames : sequence of LabelledFrame
    everywhere : bool
        Whether moments of atoms without an input spin are labels.
    """
    given = options.input == "given"
    redundant = given and all(frame.moments is None or _equals_spins(frame) for frame in frames)
    labelled = []
    for frame in frames:
        if not given and _equals_spins(frame):
            frame = replace(frame, atoms=_with_order(frame, options))
        has_spin = np.asarray(spins_of(frame.atoms).any(axis=1))
        if not given:
            has_spin &= np.isin(frame.numbers, list(options.scales))
        moments = None if redundant else _masked(frame.moments, has_spin | everywhere)
        forces = _masked(frame.labels.get(MAGNETIC_FORCES), has_spin) if given else None
        labelled.append(frame.with_labels({MOMENTS: moments, MAGNETIC_FORCES: forces}))
    return labelled


def _moments(frame: LabelledFrame) -> Floats:
    """Moments of a frame, shape (n_atoms, 3), muB, or its input spins if it has none."""
    return spins_of(frame.atoms) if frame.moments is None else frame.moments


def _with_order(frame: LabelledFrame, options: SpinOptions) -> Atoms:
    """Copy of the structure in which the spin of every atom of a magnetic element has a direction."""
    spins = spins_of(frame.atoms)
    net = spins.sum(axis=0)
    along = net / np.linalg.norm(net) if np.linalg.norm(net) > _NOISE else np.array([0.0, 0.0, 1.0])
    lost = np.isin(frame.numbers, list(options.scales)) & (np.linalg.norm(spins, axis=1) < _NOISE)
    copy: Atoms = frame.atoms.copy()
    copy.set_initial_magnetic_moments(None)
    copy.set_initial_magnetic_moments(np.where(lost[:, None], along, spins))
    return copy


def _equals_spins(frame: LabelledFrame) -> bool:
    """Tell whether the moments are equal to the input spins."""
    return frame.moments is not None and np.allclose(frame.moments, spins_of(frame.atoms), atol=1e-6)


def _masked(label: Floats | None, atoms: NDArray[np.bool_]) -> Floats | None:
    """Copy of a label with NaN on all atoms outside of a mask."""
    return None if label is None else np.where(atoms[:, None], label, np.nan)
