"""Errors over many batches, kept as sums so that processes can add them up."""

import math

import torch
from torch import Tensor

from equisparse.backbones.prediction import Prediction
from equisparse.training.dataset import Targets
from equisparse.units import GPA_PER_EV_PER_ANG3

METRICS = (
    "energy_mae_mev_per_atom",
    "energy_rmse_mev_per_atom",
    "force_mae_mev_per_ang",
    "force_rmse_mev_per_ang",
    "stress_mae_gpa",
    "moment_mae_mub",
    "magnetic_force_mae_ev_per_mub",
)
"""Names of the errors in every table and file."""


class ErrorSums:
    """Sums of absolute and squared errors and their counts.

    Attributes
    ----------
    sums : Tensor, shape (5, 3), float64
        Rows: energy per atom (eV), force components (eV/Angstrom), stress components (eV/Angstrom^3), lengths of the
        errors of moments (muB), components of magnetic forces (eV/muB). Columns: sum of absolute errors, sum of squared
        errors, count.

    Parameters
    ----------
    flips : bool
        Whether moments with all signs turned round within a frame are as good; see `best_flip`.
    """

    def __init__(self, *, flips: bool = False) -> None:
        self.sums, self._flips = torch.zeros((5, 3), dtype=torch.float64), flips

    def update(self, prediction: Prediction, targets: Targets) -> None:
        """Add one batch; labels that are NaN do not count."""
        n_atoms = targets.n_atoms
        rows = (
            (prediction.energy.detach() - targets.energy) / n_atoms,
            prediction.forces.detach() - targets.forces,
            prediction.stress.detach() - targets.stress,
            _moment_errors(prediction, targets, flips=self._flips),
            _magnetic_force_errors(prediction, targets),
        )
        self.sums += torch.stack([_row(difference) for difference in rows])

    def metrics(self) -> dict[str, float | None]:
        """Errors by the names in `METRICS`; None where there was no label."""
        energy, force, stress, moment, magnetic_force = (self._mean(row) for row in range(5))
        return {
            "energy_mae_mev_per_atom": _scaled(energy[0], 1e3),
            "energy_rmse_mev_per_atom": _scaled(energy[1], 1e3),
            "force_mae_mev_per_ang": _scaled(force[0], 1e3),
            "force_rmse_mev_per_ang": _scaled(force[1], 1e3),
            "stress_mae_gpa": _scaled(stress[0], GPA_PER_EV_PER_ANG3),
            "moment_mae_mub": moment[0],
            "magnetic_force_mae_ev_per_mub": magnetic_force[0],
        }

    def _mean(self, row: int) -> tuple[float | None, float | None]:
        """Mean absolute and root mean square error of one quantity."""
        absolute, squared, count = self.sums[row].tolist()
        return (absolute / count, math.sqrt(squared / count)) if count else (None, None)


def best_flip(moments: Tensor, target: Tensor, n_atoms: Tensor) -> Tensor:
    """Moments with the signs of whole frames turned round where that is nearer to the target, shape (n_atoms, 3).

    Time reversal turns all moments round and keeps the energy: which of the two a calculation ended in is chance where
    only the relative order of the spins was given to it.
    """
    along = torch.nan_to_num(moments.detach() * target).sum(1)
    frames = torch.arange(len(n_atoms), device=n_atoms.device).repeat_interleave(n_atoms)
    total = along.new_zeros(len(n_atoms)).index_add(0, frames, along)
    signs = torch.where(total < 0, -1.0, 1.0).to(moments.dtype)
    return signs[frames].unsqueeze(1) * moments


def _moment_errors(prediction: Prediction, targets: Targets, *, flips: bool) -> Tensor:
    """Lengths of the differences of moments, shape (n_atoms,), muB; none without predictions or labels."""
    if prediction.moments is None or targets.moments is None:
        return prediction.energy[:0]
    moments = prediction.moments.detach()
    nearest = best_flip(moments, targets.moments, targets.n_atoms) if flips else moments
    lengths: Tensor = torch.linalg.vector_norm(nearest - targets.moments, dim=1)
    return lengths


def _magnetic_force_errors(prediction: Prediction, targets: Targets) -> Tensor:
    """Differences of magnetic forces, eV/muB; none without predictions or labels."""
    if prediction.magnetic_forces is None or targets.magnetic_forces is None:
        return prediction.energy[:0]
    return prediction.magnetic_forces.detach() - targets.magnetic_forces


def _row(difference: Tensor) -> Tensor:
    """Absolute sum, squared sum and count of the finite entries."""
    values = difference[torch.isfinite(difference)].to(device="cpu", dtype=torch.float64)
    return torch.stack(
        [values.abs().sum(), values.square().sum(), torch.tensor(float(values.numel()), dtype=torch.float64)]
    )


def _scaled(value: float | None, factor: float) -> float | None:
    """`value` in another unit."""
    return None if value is None else value * factor
