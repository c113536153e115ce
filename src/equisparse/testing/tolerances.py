"""Named tolerances, each with its reason."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tolerance:
    """Largest difference of two values that are equal in exact arithmetic, with its reason.

    Parameters
    ----------
    absolute : float
        Absolute tolerance, in the unit of the values.
    relative : float
        Fraction of the largest expected value: sums of many terms lose digits relative to their largest term.
    reason : str
        Reason, shown if a check fails.
    """

    absolute: float
    relative: float
    reason: str

    def check(self, what: str, actual: Tensor, expected: Tensor) -> None:
        """Raise AssertionError unless `actual` is equal to `expected` within this tolerance."""
        if actual.shape != expected.shape:
            raise AssertionError(f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}")
        if not expected.numel():
            return
        actual, expected = actual.detach().double().cpu(), expected.detach().double().cpu()
        difference = float((actual - expected).abs().max())
        allowed = self.absolute + self.relative * float(expected.abs().max())
        if not difference <= allowed:
            raise AssertionError(f"{what}: off by {difference:.3g}, allowed {allowed:.3g} ({self.reason})")


ALGEBRA = {
    torch.float32: Tolerance(1e-5, 1e-5, "a few float32 roundings in one contraction"),
    torch.float64: Tolerance(1e-13, 1e-13, "a few float64 roundings in one contraction"),
}
"""Two orders of the same small contraction."""

ENERGY_TOLERANCE = {
    torch.float32: Tolerance(1e-4, 1e-6, "eV; float32 sums of atomic energies of a few hundred eV"),
    torch.float64: Tolerance(1e-8, 1e-11, "eV; constants such as Clebsch-Gordan coefficients were rounded to float32"),
}
"""Total energy of the same structure by two routes, eV."""

FORCE_TOLERANCE = {
    torch.float32: Tolerance(2e-4, 2e-4, "eV/Angstrom; float32 backward of a deep network"),
    torch.float64: Tolerance(1e-8, 1e-7, "eV/Angstrom; Clebsch-Gordan coefficients were rounded to float32"),
}
"""Forces of the same structure by two routes, eV/Angstrom."""

STRESS_TOLERANCE = {
    torch.float32: Tolerance(2e-5, 2e-4, "eV/Angstrom^3; float32 backward divided by the volume"),
    torch.float64: Tolerance(1e-9, 1e-7, "eV/Angstrom^3; Clebsch-Gordan coefficients were rounded to float32"),
}
"""Stress of the same structure by two routes, eV/Angstrom^3."""

FINITE_DIFFERENCE = Tolerance(
    1e-6, 1e-5, "float64 central differences: h^2 times the third derivative, plus rounding / h"
)
"""Analytic against numerical first derivatives, in float64."""
