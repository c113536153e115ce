"""Ratios between stored and expected values that reveal a wrong unit or sign."""

from collections.abc import Mapping

import numpy as np

from equisparse.data.frames import Floats
from equisparse.units import ENERGY_UNITS, LENGTH_UNITS, STRESS_UNITS

_HARTREE, _RYDBERG, _KCAL = ENERGY_UNITS["Ha"], ENERGY_UNITS["Ry"], ENERGY_UNITS["kcal/mol"]
_BOHR = LENGTH_UNITS["Bohr"]

FORCE_RATIOS: Mapping[str, float] = {
    "forces in Ha/Bohr": _BOHR / _HARTREE,
    "forces in Ry/Bohr": _BOHR / _RYDBERG,
    "forces in kcal/mol/Angstrom": 1 / _KCAL,
    "forces in meV/Angstrom": 1e3,
}
"""Stored value divided by true value in eV/Angstrom, by the unit of the stored value."""

ENERGY_RATIOS: Mapping[str, float] = {
    "energies in Ha": 1 / _HARTREE,
    "energies in Ry": 1 / _RYDBERG,
    "energies in kcal/mol": 1 / _KCAL,
    "energies in meV": 1e3,
}
"""Stored value divided by true value in eV, by the unit of the stored value."""

STRESS_RATIOS: Mapping[str, float] = {
    "stress in GPa": 1 / STRESS_UNITS["GPa"],
    "stress in kbar": 1 / STRESS_UNITS["kbar"],
}
"""Stored value divided by true value in eV/Angstrom^3, by the unit of the stored value."""

ENERGY_PER_FORCE_RATIOS: Mapping[str, float] = {
    **{name: 1 / ratio for name, ratio in FORCE_RATIOS.items()},
    **ENERGY_RATIOS,
}
"""Stored energy change divided by the one that the stored forces predict, where one of the two has another unit."""

_WIDTH = np.log(1.6)


def explain_ratio(ratio: float, ratios: Mapping[str, float]) -> str:
    """Name of the known ratio nearest to `ratio`, within a factor of 1.6 in either direction; empty if none is."""
    if ratio == 0 or not np.isfinite(ratio):
        return ""
    distance = {name: abs(np.log(abs(ratio) / known)) for name, known in ratios.items()}
    name = min(distance, key=lambda key: distance[key])
    return name if distance[name] < _WIDTH else ""


def slope(base: Floats, label: Floats) -> float:
    """Signed ratio of `label` to `base`: geometric mean of both least-squares slopes through the origin."""
    product, base_square, label_square = (base * label).sum(), (base**2).sum(), (label**2).sum()
    if product == 0 or base_square == 0:
        return 0.0
    return float(np.sign(product) * np.sqrt(label_square / base_square))


def correlation(first: Floats, second: Floats) -> float:
    """Pearson correlation of flat arrays; 0 if one of them is constant."""
    a, b = first - first.mean(), second - second.mean()
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0
