"""Magnetic orders of a structure: a scan of all collinear ones in a supercell, and relaxation of spins."""

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
from equisparse.wording import counted

MOST_ATOMS = 16
"""Largest number of magnetic atoms of a scan: 65,536 sign patterns."""

_ATOMS_AT_ONCE = 8192
_LARGEST_COMPONENT = 8.0
"""Bound of each component of a spin whose length is free, muB."""
_SLOPE = 1e-5
"""Largest derivative of the energy at the end of a relaxation, eV/muB."""


@dataclass(frozen=True)
class Order:
    """One collinear magnetic order.

    Parameters
    ----------
    atoms : Atoms
        The supercell with the input spins as initial magnetic moments: numbers along z, muB.
    energy : float
        Energy above that of the lowest order, eV per atom.
    moments : array, shape (n_atoms,), muB
        Predicted moments along z.
    signs : str
        Signs of the spins of the magnetic atoms by rising index, such as ``"++--"``.
    count : int
        Number of sign patterns that symmetry, or the reversal of all spins, makes equivalent to this one.
    """

    atoms: Atoms
    energy: float
    moments: Floats
    signs: str
    count: int


@dataclass(frozen=True)
class RelaxedSpins:
    """Spins at a minimum of the energy, with fixed atoms.

    Parameters
    ----------
    spins : array, shape (n_atoms, 3), muB
    moments : array, shape (n_atoms, 3), muB
        Predicted for these spins.
    gained : float
        Decrease of the energy by the relaxation, eV; not negative.
    converged : bool
        Whether the derivatives are zero within 1e-4 eV/muB and no component of a spin is at the bound of 8 muB.
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
    """All collinear orders of a supercell that are not equivalent by symmetry, the lowest energy first.

    Atoms are not relaxed: all energies are those of the given positions.

    Parameters
    ----------
    model : SpinModel
    atoms : Atoms
    supercell : three int
        Repetitions along the three lattice vectors.
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
    permutations = symmetry_permutations(cell, rotations=not model.layer.options.spin_orbit)
    signs, counts = distinct_orders(permutations[:, magnetic], magnetic)
    spins = np.zeros((len(signs), len(cell)))
    spins[:, magnetic] = signs * np.array([scales[int(z)] for z in cell.numbers[magnetic]])
    energies, moments = energies_of(model, model.features(cell), np.stack([0 * spins, 0 * spins, spins], axis=2))
    ranked = []
    for index in np.argsort(energies, kind="stable"):
        ordered = cell.copy()
        ordered.set_initial_magnetic_moments(None)
        ordered.set_initial_magnetic_moments(spins[index])
        above = float(energies[index] - energies.min()) / len(cell)
        text = "".join("+" if sign > 0 else "-" for sign in signs[index])
        ranked.append(Order(ordered, above, moments[index, :, 2], text, int(counts[index])))
    return ranked


def distinct_orders(
    permutations: NDArray[np.int64], magnetic: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One sign pattern of each class of equivalent patterns, and the size of each class.

    Parameters
    ----------
    permutations : array, shape (n_permutations, n_magnetic)
        Indices of the atoms to whose positions symmetry moves the magnetic atoms.
    magnetic : array, shape (n_magnetic,)
        Indices of the magnetic atoms, rising.

    Returns
    -------
    signs : array, shape (n_orders, n_magnetic)
        1 and -1; the first sign is always 1.
    counts : array, shape (n_orders,)
        Number of patterns in each class.
    """
    moves = np.unique(np.searchsorted(magnetic, permutations), axis=0)
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
    """Magnetic energies and moments of one frame for many sets of spins, without running the backbone.

    Parameters
    ----------
    model : SpinModel
    features : FinalFeatures
        Features of the frame, from `SpinModel.features`.
    spins : array, shape (n_sets, n_atoms, 3), muB

    Returns
    -------
    energies : array, shape (n_sets,), eV
    moments : array, shape (n_sets, n_atoms, 3), muB
    """
    at_once = max(1, _ATOMS_AT_ONCE // spins.shape[1])
    energies, moments = [], []
    with torch.no_grad():
        for first in range(0, len(spins), at_once):
            chunk = torch.from_numpy(spins[first : first + at_once]).to(model.device, model.dtype)
            energy, moment = model.layer(_copies(features, len(chunk)), chunk.flatten(0, 1))
            energies.append(energy.double().cpu())
            moments.append(moment.view_as(chunk).double().cpu())
    return torch.cat(energies).numpy(), torch.cat(moments).numpy()


def relax_spins(model: SpinModel, atoms: Atoms, *, fixed_lengths: bool | None = None, steps: int = 500) -> RelaxedSpins:
    """Minimise the energy of a structure over its spins, starting from its initial magnetic moments.

    Atoms are fixed, and atoms without a spin get none. Collinear spins are a stationary point of the directions by
    symmetry: to find non-collinear states, start from spins that are not quite collinear.

    Parameters
    ----------
    model : SpinModel
    atoms : Atoms
    fixed_lengths : bool, optional
        Whether only directions are relaxed; by default, and necessarily, so if the layer was trained on directions.
    steps : int
        Largest number of iterations of L-BFGS-B (scipy).

    Raises
    ------
    InputError
        If there are no spins, or lengths shall be relaxed and the layer was trained on directions.
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
            next_step="relax directions (fixed_lengths=True) and read the moments from the prediction",
        )
    has_spin: NDArray[np.bool_] = np.asarray(start.any(axis=1))
    objective = _Objective(model, model.features(atoms), start, has_spin, fixed=fixed)
    bound = None if fixed else (-_LARGEST_COMPONENT, _LARGEST_COMPONENT)
    minimum = minimize(
        objective,
        start[has_spin].ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[bound or (None, None)] * start[has_spin].size,
        options={"maxiter": steps, "gtol": _SLOPE, "ftol": 0.0},
    )
    spins = objective.spins(minimum.x)
    (before, after), (_, moments) = energies_of(model, objective.features, np.stack([start, spins]))
    inside = fixed or bool(np.abs(spins).max() < _LARGEST_COMPONENT - 1e-6)
    slope = float(np.abs(objective(minimum.x)[1]).max())
    return RelaxedSpins(spins, moments, max(0.0, float(before - after)), inside and slope < 10 * _SLOPE)


class _Objective:
    """Energy and its derivative by the relaxed spins, as flat arrays; lengths are ignored where they are fixed."""

    def __init__(
        self, model: SpinModel, features: FinalFeatures, start: Floats, has_spin: NDArray[np.bool_], *, fixed: bool
    ) -> None:
        self.features, self._model, self._has_spin = features, model, has_spin
        self._lengths = np.linalg.norm(start[has_spin], axis=1, keepdims=True) if fixed else None

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        free = torch.from_numpy(flat.reshape(-1, 3).copy()).requires_grad_()
        spins = torch.zeros(len(self._has_spin), 3, dtype=torch.float64)
        spins = spins.index_put((torch.from_numpy(self._has_spin),), self._scaled(free))
        energy, _ = self._model.layer(self.features, spins.to(self._model.device, self._model.dtype))
        (gradient,) = torch.autograd.grad(energy.sum(), free)
        return float(energy.detach()), gradient.numpy().ravel()

    def spins(self, flat: Floats) -> Floats:
        """Spins of all atoms, shape (n_atoms, 3), muB."""
        spins = np.zeros((len(self._has_spin), 3))
        spins[self._has_spin] = self._scaled(torch.from_numpy(flat.reshape(-1, 3))).numpy()
        return spins

    def _scaled(self, free: torch.Tensor) -> torch.Tensor:
        """Vectors, with the fixed lengths if lengths are fixed."""
        if self._lengths is None:
            return free
        scaled: torch.Tensor = F.normalize(free, dim=1) * torch.from_numpy(self._lengths)
        return scaled


def _copies(features: FinalFeatures, count: int) -> FinalFeatures:
    """Features of a batch that contains the same frame `count` times."""
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
    """Raise InputError if a supercell has no magnetic atoms, or too many."""
    elements = ", ".join(chemical_symbols[z] for z in scales) or "none"
    if not magnetic.size:
        raise InputError(
            "No atom of the structure carries a spin.",
            given=str(cell.symbols.get_chemical_formula()),
            expected=f"elements that carry spins in the training data: {elements}",
            next_step="give a structure with one of these elements",
        )
    if magnetic.size > MOST_ATOMS:
        raise InputError(
            "The supercell has too many magnetic orders.",
            given=f"{counted(magnetic.size, 'magnetic atom')} ({elements})",
            expected=f"at most {MOST_ATOMS}",
            next_step="use a smaller --supercell or the primitive cell",
        )
