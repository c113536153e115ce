"""Units and conventions: eV, Angstrom, eV/Angstrom^3, and the sign and the Voigt order of ASE for stress.

Positive stress is tension: ``stress = 1/V dE/d(strain)``. The order of a Voigt vector is xx, yy, zz, yz, xz, xy.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GPA_PER_EV_PER_ANG3 = 160.21766208
"""Pressure of 1 eV/Angstrom^3 in GPa (CODATA 2014, as in ASE)."""

ENERGY_UNITS = {"eV": 1.0, "meV": 1e-3, "Ry": 13.605693122994, "Ha": 27.211386245988, "kcal/mol": 0.0433641042418}
"""Energy unit -> its size in eV."""

LENGTH_UNITS = {"Angstrom": 1.0, "Bohr": 0.529177210903, "nm": 10.0}
"""Length unit -> its size in Angstrom."""

STRESS_UNITS = {"eV/Angstrom^3": 1.0, "GPa": 1 / GPA_PER_EV_PER_ANG3, "kbar": 0.1 / GPA_PER_EV_PER_ANG3}
"""Stress unit -> its size in eV/Angstrom^3; the sign convention of a code is a separate option."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def voigt_to_matrix(voigt: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Symmetric matrix, shape (3, 3), of a Voigt vector in the order of ASE, shape (6,); any unit.

    >>> import numpy as np
    >>> voigt_to_matrix(np.arange(6.0))[1, 2]
    np.float64(3.0)
    """
    import numpy as np  # the constants of this module are needed by the help of the command line, which is fast

    matrix = np.zeros((3, 3))
    for value, (row, column) in zip(voigt, _VOIGT, strict=True):
        matrix[row, column] = matrix[column, row] = value
    return matrix


def matrix_to_voigt(matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Voigt vector in the order of ASE, shape (6,), of a matrix, shape (3, 3); off-diagonal pairs are averaged."""
    import numpy as np

    return np.array([(matrix[row, column] + matrix[column, row]) / 2 for row, column in _VOIGT])
