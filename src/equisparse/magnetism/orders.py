"""Magnetic orders of a structure: all collinear ones in a supercell, ranked by energy; and spins relaxed in place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray
from scipy.optimize import minimize

from equisparse.backbones.prediction import FinalFeatures
from equisparse.data.frames import Floats
from equisparse.errors import InputError
from equisparse.magnetism.model import SpinModel, spins_of
from equisparse.magnetism.symmetry import symmetry_permutations

MOST_ATOMS = 16
"""Most magnetic atoms of which all orders are tried: 65,536 sign patterns."""

_ATOMS_AT_ONCE = 8192
_LARGEST_COMPONENT = 8.0
"""Bound of each component of a spin whose length is free, muB."""
_SLOPE = 1e-5
"""Largest derivative at the end of a relaxation, eV/muB."""


@dataclass(frozen=True)
class Order:
    """One collinear order.

    Parameters
    ----------
    atoms : Atoms
        The supercell with the input spins as initial magnetic moments, numbers along z, muB.
    energy : float
        Above the lowest order, eV per atom.
    moments : array, shape (n_atoms,), muB
        Predicted, along z.
    signs : str
        Of the magnetic atoms in the order of their numbers, such as ``"++--"``.
    count : int
        Sign patterns that symmetry, or turning all spins round, makes of this one.
    """

    atoms: Atoms
    energy: float
    moments: Floats
    signs: str
    count: int


@dataclass(frozen=True)
class RelaxedSpins:
    """Spins at a minimum of the energy, the atoms held.

    Parameters
    ----------
    spins : array, shape (n_atoms, 3), muB
    moments : array, shape (n_atoms, 3), muB
        Predicted for these spins.
    gained : float
        Energy lost from the start to the end, eV; not negative.
    converged : bool
        Whether the derivatives have vanished, and no component of a free spin ran into the bound of 8 muB.
    """

    spins: Floats
    moments: Floats
    gained: float
    converged: bool


def scan_orders(
    model: SpinModel,
    atoms: Atoms,
    supercell: Sequence[int] = (1, 1, 1),
    *,
    lengths: Mapping[int, float] | None = None,
) -> list[Order]:
    """All collinear orders of a supercell that symmetry does not make of one another, the lowest first.

    The atoms stay where they are: an order that would move them is judged where the structure is.

    Parameters
    ----------
    model : SpinModel
    atoms : Atoms
    supercell : three int
    lengths : mapping of int to float, optional
        Atomic number -> length of a spin, muB; by default those of the training data. Other elements have no spin.

    Raises
    ------
    InputError
        If no atom carries a spin, or more than `MOST_ATOMS` do.
    """
    cell = atoms.repeat(tuple(supercell))
    scales = dict(lengths or model.layer.options.scales)
    magnetic = np.flatnonzero(np.isin(cell.numbers, list(scales)))
    _check_size(cell, magnetic, scales)
    moves = symmetry_permutations(cell, rotations=not model.layer.options.spin_orbit)
    signs, counts = distinct_orders(moves[:, magnetic], magnetic)
    spins = np.zeros((len(signs), len(cell)))
    spins[:, magnetic] = signs * np.array([scales[int(z)] for z in cell.numbers[magnetic]])
    energies, moments = energies_of(model, model.features(cell), np.stack([0 * spins, 0 * spins, spins], axis=2))
    ranked = []
    for number in np.argsort(energies, kind="stable"):
        ordered = cell.copy()
        ordered.set_initial_magnetic_moments(None)
        ordered.set_initial_magnetic_moments(spins[number])
        above = float(energies[number] - energies.min()) / len(cell)
        text = "".join("+" if sign > 0 else "-" for sign in signs[number])
        ranked.append(Order(ordered, above, moments[number, :, 2], text, int(counts[number])))
    return ranked


def distinct_orders(
    moves: NDArray[np.int64], magnetic: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One sign pattern of each class of equivalent ones, and how many each class has.

    Parameters
    ----------
    moves : array, shape (n_permutations, n_magnetic)
        Where symmetry takes the magnetic atoms, as numbers of atoms.
    magnetic : array, shape (n_magnetic,)
        Numbers of the magnetic atoms, rising.

    Returns
    -------
    signs : array, shape (n_orders, n_magnetic)
        1 and -1; the first sign is always 1.
    counts : array, shape (n_orders,)
    """
    moves = np.unique(np.searchsorted(magnetic, moves), axis=0)
    powers = 2 ** np.arange(len(magnetic), dtype=np.int64)
    whole = int(powers.sum())
    seen = np.zeros(whole + 1, dtype=bool)
    signs, counts = [], []
    for code in range(whole, -1, -1):  # from all up
        if seen[code]:
            continue
        up = (code // powers) % 2
        images = np.unique(up[moves] @ powers)
        images = np.unique(np.concatenate([images, whole - images]))
        seen[images] = True
        signs.append((2 * up - 1) * (1 if up[0] else -1))
        counts.append(len(images))
    return np.stack(signs), np.array(counts)


def energies_of(model: SpinModel, features: FinalFeatures, spins: Floats) -> tuple[Floats, Floats]:
    """Magnetic energies (eV) and moments (muB) of one frame with many sets of spins; nothing of the backbone is run.

    Parameters
    ----------
    model : SpinModel
    features : FinalFeatures
        Of the one frame, from `SpinModel.features`.
    spins : array, shape (n_sets, n_atoms, 3), muB

    Returns
    -------
    energies : array, shape (n_sets,)
    moments : array, shape (n_sets, n_atoms, 3)
    """
    at_once = max(1, _ATOMS_AT_ONCE // spins.shape[1])
    energies, moments = [], []
    with torch.no_grad():
        for first in range(0, len(spins), at_once):
            part = torch.from_numpy(spins[first : first + at_once]).to(model.device, model.dtype)
            energy, moment = model.layer(_copies(features, len(part)), part.flatten(0, 1))
            energies.append(energy.double().cpu())
            moments.append(moment.view_as(part).double().cpu())
    return torch.cat(energies).numpy(), torch.cat(moments).numpy()


def relax_spins(model: SpinModel, atoms: Atoms, *, fixed_lengths: bool | None = None, steps: int = 500) -> RelaxedSpins:
    """Minimise the energy over the spins of a structure, from its initial magnetic moments; the atoms are held.

    Atoms without a spin get none. A collinear start is a stationary point of directions by symmetry: start from vectors
    that are a little off to find non-collinear states.

    Parameters
    ----------
    model : SpinModel
    atoms : Atoms
    fixed_lengths : bool, optional
        Whether directions alone are relaxed. By default they are where the layer was trained on directions alone, and
        then it has to be so.
    steps : int
        At most so many iterations of L-BFGS-B (scipy).

    Raises
    ------
    InputError
        If there are no spins, or lengths are to be relaxed that the layer knows nothing of.
    """
    only_directions = model.layer.options.input == "order"
    fixed = only_directions if fixed_lengths is None else fixed_lengths
    start = spins_of(atoms)
    if not start.any():
        raise InputError("There are no spins to relax.", next_step="set initial magnetic moments")
    if only_directions and not fixed:
        raise InputError(
            "The lengths of spins cannot be relaxed with this model.",
            given="a spin layer that was trained on directions alone",
            next_step="relax directions (fixed_lengths=True), and read the moments off the prediction",
        )
    there: NDArray[np.bool_] = np.asarray(start.any(axis=1))
    objective = _Objective(model, model.features(atoms), start, there, fixed=fixed)
    bound = None if fixed else (-_LARGEST_COMPONENT, _LARGEST_COMPONENT)
    found = minimize(
        objective,
        start[there].ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[bound or (None, None)] * start[there].size,
        options={"maxiter": steps, "gtol": _SLOPE, "ftol": 0.0},
    )
    spins = objective.spins(found.x)
    (before, after), (_, moments) = energies_of(model, objective.features, np.stack([start, spins]))
    inside = fixed or bool(np.abs(spins).max() < _LARGEST_COMPONENT - 1e-6)
    slope = float(np.abs(objective(found.x)[1]).max())
    return RelaxedSpins(spins, moments, max(0.0, float(before - after)), inside and slope < 10 * _SLOPE)


class _Objective:
    """Energy and its derivative by the free spins, flat; with fixed lengths the directions alone count."""

    def __init__(
        self, model: SpinModel, features: FinalFeatures, start: Floats, there: NDArray[np.bool_], *, fixed: bool
    ) -> None:
        self.features, self._model, self._there = features, model, there
        self._lengths = np.linalg.norm(start[there], axis=1, keepdims=True) if fixed else None

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        free = torch.from_numpy(flat.reshape(-1, 3).copy()).requires_grad_()
        every = torch.zeros(len(self._there), 3, dtype=torch.float64)
        every = every.index_put((torch.from_numpy(self._there),), self._scaled(free))
        energy, _ = self._model.layer(self.features, every.to(self._model.device, self._model.dtype))
        (slope,) = torch.autograd.grad(energy.sum(), free)
        return float(energy.detach()), slope.numpy().ravel()

    def spins(self, flat: Floats) -> Floats:
        """Spins of all atoms, shape (n_atoms, 3), muB."""
        every = np.zeros((len(self._there), 3))
        every[self._there] = self._scaled(torch.from_numpy(flat.reshape(-1, 3))).numpy()
        return every

    def _scaled(self, free: torch.Tensor) -> torch.Tensor:
        """Free vectors, of the fixed lengths if there are any."""
        if self._lengths is None:
            return free
        scaled: torch.Tensor = F.normalize(free, dim=1) * torch.from_numpy(self._lengths)
        return scaled


def _copies(features: FinalFeatures, count: int) -> FinalFeatures:
    """The same frame `count` times as one batch."""
    n_atoms = len(features.numbers)
    offsets = torch.arange(count, device=features.edges.device).repeat_interleave(features.edges.shape[1]) * n_atoms
    return FinalFeatures(
        scalars=features.scalars.repeat(count, 1),
        vectors=features.vectors.repeat(count, 1),
        edges=features.edges.repeat(1, count) + offsets,
        frames=torch.arange(count, device=features.frames.device).repeat_interleave(n_atoms),
        numbers=features.numbers.repeat(count),
        n_frames=count,
    )


def _check_size(cell: Atoms, magnetic: NDArray[np.int64], scales: Mapping[int, float]) -> None:
    """Raise InputError unless a supercell has some magnetic atoms, and not too many."""
    elements = ", ".join(chemical_symbols[z] for z in scales) or "none"
    if not magnetic.size:
        raise InputError(
            "No atom of the structure carries a spin.",
            given=str(cell.symbols.get_chemical_formula()),
            expected=f"elements that carry spins in the training data: {elements}",
        )
    if magnetic.size > MOST_ATOMS:
        raise InputError(
            "The supercell has too many magnetic orders.",
            given=f"{magnetic.size} magnetic atoms ({elements})",
            expected=f"at most {MOST_ATOMS}",
            next_step="take a smaller --supercell or the primitive cell",
        )
