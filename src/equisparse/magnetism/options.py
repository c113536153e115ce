"""Options of a spin layer: the meaning of input spins, the width, the cutoff, and the terms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from equisparse.errors import AdapterError, InputError

INPUTS = ("given", "order")
"""Meanings of input spins; see `SpinOptions`."""
WIDEST = 1024
"""Largest width of the hidden layers."""

_MOST_SCALARS, _LARGEST_CUTOFF, _LARGEST_SCALE = 2**16, 30.0, 20.0


@dataclass(frozen=True)
class SpinOptions:
    """Options of a `SpinLayer`.

    Parameters
    ----------
    scalars : int
        Number of invariant channels of the backbone's last layer.
    cutoff : float
        Largest distance of two atoms with an exchange interaction, Angstrom.
    channels : int
        Width of all hidden layers.
    input : {"given", "order"}
        ``given``: the layer uses magnitudes (muB) and directions of the input spins, as in constrained calculations.
        ``order``: it uses only their directions, such as the sign of a collinear spin; every spin gets the length that
        `scales` has for its element, and atoms of other elements have no spin.
    scales : mapping of int to float
        Atomic number -> root mean square moment, muB, of each element that carries spins in the training data.
    spin_orbit : bool
        Whether the layer has the terms that couple spins to the lattice: single-ion anisotropy, anisotropic exchange
        and Dzyaloshinskii-Moriya exchange.

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
        _require("channels", self.channels, 1 <= self.channels <= WIDEST, f"1 to {WIDEST}")
        _require("scalars", self.scalars, 1 <= self.scalars <= _MOST_SCALARS, f"1 to {_MOST_SCALARS}")
        _require("cutoff", self.cutoff, 0.5 <= self.cutoff <= _LARGEST_CUTOFF, f"0.5 to {_LARGEST_CUTOFF:g} Angstrom")
        for z, scale in self.scales.items():
            _require("scale", scale, 1 <= z <= 118 and 0 < scale <= _LARGEST_SCALE, f"up to {_LARGEST_SCALE:g} muB")
        if self.input == "order":
            _require("scales", dict(self.scales), bool(self.scales), "the length of a spin for each magnetic element")

    def to_dict(self) -> dict[str, object]:
        """Plain values for a JSON header; `from_dict` reads them back."""
        return asdict(self) | {"scales": {str(z): scale for z, scale in sorted(self.scales.items())}}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "SpinOptions":
        """Options from the values of `to_dict`; the values are untrusted input, and every one is validated.

        Raises
        ------
        AdapterError
            If a value is missing, unknown, of another type, or out of range.
        """
        types = {"scalars": int, "cutoff": float, "channels": int, "input": str, "scales": dict, "spin_orbit": bool}
        if values.keys() != types.keys() or any(type(values[name]) is not kind for name, kind in types.items()):
            raise AdapterError(
                "The spin layer of the adapter has invalid options.",
                given=f"{dict(values)!r:.200}",
                expected=", ".join(f"{name} ({kind.__name__})" for name, kind in types.items()),
                cause="a damaged file, or one of a newer version of equisparse",
            )
        try:
            options = cast(Mapping[str, Any], values)
            scales = {int(z): float(scale) for z, scale in options["scales"].items()}
            return cls(**{**options, "scales": scales})
        except (TypeError, ValueError) as error:
            raise AdapterError("The spin layer of the adapter has options out of range.", cause=str(error)) from error


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    """Raise InputError unless `holds`."""
    if not holds:
        raise InputError(
            f"The option {name} of a spin layer is out of range.", given=f"{value!r:.80}", expected=expected
        )
