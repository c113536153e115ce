"""What a spin layer is made with: how input spins are read, how wide it is, and which terms it has."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from equisparse.errors import AdapterError, InputError

INPUTS = ("given", "order")
"""How input spins are read; see `SpinOptions`."""
SHARE = 0.10
"""Largest size of a spin layer that is chosen by default, as a fraction of the backbone's parameters."""

_WIDTH_STEP, _WIDEST = 8, 1024
_MOST_SCALARS, _LARGEST_CUTOFF, _LARGEST_SCALE = 2**16, 30.0, 20.0


@dataclass(frozen=True)
class SpinOptions:
    """Options of a `SpinLayer`.

    Parameters
    ----------
    scalars : int
        Invariant channels of the backbone's last layer.
    cutoff : float
        Largest distance of two atoms that exchange, Angstrom.
    channels : int
        Width of all hidden layers.
    input : {"given", "order"}
        ``given``: magnitudes and directions of the input spins count (muB), as in constrained calculations. ``order``:
        only their directions do, a collinear spin's sign for example; every spin gets the length that `scales` has for
        its element, and elements that are not in it have none.
    scales : mapping of int to float
        Atomic number -> muB: the root mean square moment of each element that carries spins in the training data.
    spin_orbit : bool
        With the terms that tie spins to the lattice: single-ion anisotropy, anisotropic exchange and
        Dzyaloshinskii-Moriya exchange.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    scalars: int
    cutoff: float
    channels: int = 128
    input: str = "given"
    scales: Mapping[int, float] = field(default_factory=dict, hash=False)
    spin_orbit: bool = False

    def __post_init__(self) -> None:
        _require("input", self.input, self.input in INPUTS, " or ".join(INPUTS))
        _require("channels", self.channels, 1 <= self.channels <= _WIDEST, f"1 to {_WIDEST}")
        _require("scalars", self.scalars, 1 <= self.scalars <= _MOST_SCALARS, f"1 to {_MOST_SCALARS}")
        _require("cutoff", self.cutoff, 0.5 <= self.cutoff <= _LARGEST_CUTOFF, f"0.5 to {_LARGEST_CUTOFF:g} Angstrom")
        for z, scale in self.scales.items():
            _require("scale", scale, 1 <= z <= 118 and 0 < scale <= _LARGEST_SCALE, f"up to {_LARGEST_SCALE:g} muB")
        if self.input == "order":
            _require("scales", dict(self.scales), bool(self.scales), "the length of a spin for each magnetic element")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON header."""
        return asdict(self) | {"scales": {str(z): scale for z, scale in sorted(self.scales.items())}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SpinOptions":
        """Options of the plain values that `to_dict` gave; nothing in them is believed.

        Raises
        ------
        AdapterError
            If they are no such values.
        """
        types = {"scalars": int, "cutoff": float, "channels": int, "input": str, "scales": dict, "spin_orbit": bool}
        if values.keys() != types.keys() or any(type(values[name]) is not kind for name, kind in types.items()):
            raise AdapterError(
                "The spin layer of the adapter has options that are none.", given=f"{dict(values)!r:.200}"
            )
        try:
            scales = {int(z): float(scale) for z, scale in values["scales"].items()}
            return cls(**{**values, "scales": scales})
        except (TypeError, ValueError) as error:
            raise AdapterError("The spin layer of the adapter has options out of range.", cause=str(error)) from error


def fitting_channels(scalars: int, parameters: int, *, spin_orbit: bool) -> int:
    """The widest multiple of 8 with which a spin layer has at most a tenth of the backbone's parameters, at least 8.

    Parameters
    ----------
    scalars : int
        Invariant channels of the backbone's last layer.
    parameters : int
        Of the backbone.
    spin_orbit : bool
        Whether the terms of spin-orbit coupling are on.
    """
    from equisparse.magnetism.layer import SpinLayer  # it needs the options itself

    width = _WIDTH_STEP
    while width + _WIDTH_STEP <= _WIDEST:
        wider = SpinOptions(scalars, 5.0, width + _WIDTH_STEP, spin_orbit=spin_orbit)
        if SpinLayer(wider).n_parameters > SHARE * parameters:
            break
        width += _WIDTH_STEP
    return width


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    """Raise InputError unless an option `holds`."""
    if not holds:
        raise InputError(
            f"The option {name} of a spin layer is out of range.", given=f"{value!r:.80}", expected=expected
        )
