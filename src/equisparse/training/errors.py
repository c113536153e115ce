"""Errors over many batches, kept as sums so that processes can add them up."""

import math

import torch
from torch import Tensor

from equisparse.backbones.base import Prediction
from equisparse.training.dataset import Targets
from equisparse.units import GPA_PER_EV_PER_ANG3

METRICS = (
    "energy_mae_mev_per_atom",
    "energy_rmse_mev_per_atom",
    "force_mae_mev_per_ang",
    "force_rmse_mev_per_ang",
    "stress_mae_gpa",
)
"""Names of the errors in every table and file."""


class ErrorSums:
    """Sums of absolute and squared errors and their counts.

    Attributes
    ----------
    sums : Tensor, shape (3, 3), float64
        Rows: energy per atom (eV), force components (eV/Angstrom), stress components (eV/Angstrom^3). Columns: sum of
        absolute errors, sum of squared errors, count.
    """

    def __init__(self) -> None:
        self.sums = torch.zeros((3, 3), dtype=torch.float64)

    def update(self, prediction: Prediction, targets: Targets) -> None:
        """Add one batch; labels that are NaN do not count."""
        n_atoms = targets.n_atoms
        rows = (
            (prediction.energy.detach() - targets.energy) / n_atoms,
            prediction.forces.detach() - targets.forces,
            prediction.stress.detach() - targets.stress,
        )
        self.sums += torch.stack([_row(difference) for difference in rows])

    def metrics(self) -> dict[str, float | None]:
        """Errors by the names in `METRICS`; None where there was no label."""
        energy, force, stress = (self._mean(row) for row in range(3))
        return {
            "energy_mae_mev_per_atom": _scaled(energy[0], 1e3),
            "energy_rmse_mev_per_atom": _scaled(energy[1], 1e3),
            "force_mae_mev_per_ang": _scaled(force[0], 1e3),
            "force_rmse_mev_per_ang": _scaled(force[1], 1e3),
            "stress_mae_gpa": _scaled(stress[0], GPA_PER_EV_PER_ANG3),
        }

    def _mean(self, row: int) -> tuple[float | None, float | None]:
        """Mean absolute and root mean square error of one quantity."""
        absolute, squared, count = self.sums[row].tolist()
        return (absolute / count, math.sqrt(squared / count)) if count else (None, None)


def _row(difference: Tensor) -> Tensor:
    """Absolute sum, squared sum and count of the finite entries."""
    values = difference[torch.isfinite(difference)].to(device="cpu", dtype=torch.float64)
    return torch.stack(
        [values.abs().sum(), values.square().sum(), torch.tensor(float(values.numel()), dtype=torch.float64)]
    )


def _scaled(value: float | None, factor: float) -> float | None:
    """`value` in another unit."""
    return None if value is None else value * factor
