"""Architecture of a Nequix model, as the first line of its file describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e3nn.o3 import Irrep, Irreps

from equisparse.errors import BackboneError


@dataclass(frozen=True)
class Architecture:
    """What a network is built from; the names are those of nequix.

    Parameters
    ----------
    atomic_numbers : tuple of int
        Elements, ascending: the order of the one-hot inputs.
    hidden_irreps : Irreps
        Features between the layers.
    lmax : int
        Largest degree of the spherical harmonics.
    cutoff : float
        Angstrom.
    n_layers, radial_basis_size, radial_mlp_size, radial_mlp_layers : int
        Numbers of interaction layers, Bessel functions, hidden channels and hidden layers of the radial networks.
    radial_polynomial_p : float
        Exponent of the smooth cutoff.
    layer_norm : bool
        Whether the features of each layer are normalised.
    avg_n_neighbors : float
        Messages are divided by its square root.
    scale, shift : float
        Factor of the network's output and constant that is added to it, eV.
    """

    atomic_numbers: tuple[int, ...]
    hidden_irreps: Irreps
    lmax: int
    cutoff: float
    n_layers: int
    radial_basis_size: int
    radial_mlp_size: int
    radial_mlp_layers: int
    radial_polynomial_p: float
    layer_norm: bool
    avg_n_neighbors: float
    scale: float
    shift: float


def architecture_of(config: Mapping[str, Any]) -> Architecture:
    """Architecture of a configuration.

    Raises
    ------
    BackboneError
        If the model has parts that this package does not know.
    KeyError, TypeError, ValueError
        If the configuration is not one of a Nequix model.
    """
    hidden = Irreps(config["hidden_irreps"])
    if config["index_weights"]:
        raise _unsupported("weights per element in the self-connections (index_weights)")
    if Irrep("0o") in hidden or regrouped(hidden) != hidden:
        raise _unsupported(f"hidden_irreps {hidden}, with odd scalars or not in the order of e3nn")
    return Architecture(
        atomic_numbers=tuple(sorted(int(z) for z in config["atomic_numbers"])),
        hidden_irreps=hidden,
        lmax=int(config["lmax"]),
        cutoff=float(config["cutoff"]),
        n_layers=int(config["n_layers"]),
        radial_basis_size=int(config["radial_basis_size"]),
        radial_mlp_size=int(config["radial_mlp_size"]),
        radial_mlp_layers=int(config["radial_mlp_layers"]),
        radial_polynomial_p=float(config["radial_polynomial_p"]),
        layer_norm=bool(config["layer_norm"]),
        avg_n_neighbors=float(config["avg_n_neighbors"]),
        scale=float(config["scale"]),
        shift=float(config["shift"]),
    )


def regrouped(irreps: Irreps) -> Irreps:
    """Irreps sorted as e3nn_jax sorts them (0e 0o 1o 1e 2e ...), with equal ones joined."""
    return Irreps(sorted(irreps, key=lambda part: rank(part.ir))).simplify()


def rank(irrep: Irrep) -> tuple[int, int]:
    """Key by which e3nn_jax sorts irreps; versions of e3nn for torch sort those of equal degree otherwise."""
    return irrep.l, -irrep.p * (-1) ** irrep.l


def _unsupported(what: str) -> BackboneError:
    """Error for a kind of model that nequix can build, and none that is published uses."""
    return BackboneError(
        "This kind of Nequix model is not supported.",
        given=what,
        expected="a model such as nequix-mp-1 or nequix-oam-1",
        next_step="choose another base",
    )
