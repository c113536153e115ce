"""Reference energies: exact recovery, least norm, and what cannot be separated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from equisparse.data.frames import LabelledFrame
from equisparse.data.references import composition_matrix, fit_reference_shifts
from equisparse.errors import DataError

COUNTS = hnp.arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.integers(0, 6))


@given(COUNTS, st.integers(0, 2**31))
def test_shifts_are_recovered_as_far_as_they_are_determined(counts: np.ndarray, seed: int) -> None:
    counts = counts.astype(float)
    counts[:, 0] += 1
    true = np.random.default_rng(seed).uniform(-50, 50, counts.shape[1])
    numbers = list(range(1, counts.shape[1] + 1))
    fit = fit_reference_shifts(counts, counts @ true, numbers)
    shift = np.array(list(fit.shifts.values()))
    assert fit.mae_after < 1e-8
    assert fit.rank == np.linalg.matrix_rank(counts)
    assert (fit.rank == fit.n_elements) == (fit.unresolved == ())
    np.testing.assert_allclose(counts @ shift, counts @ true, atol=1e-6)
    assert np.linalg.norm(shift) <= np.linalg.norm(true) + 1e-6
    resolved = [s not in fit.unresolved for s in ("H", "He", "Li", "Be")[: len(numbers)]]
    np.testing.assert_allclose(shift[resolved], true[resolved], atol=1e-6)


def test_error_per_atom_is_minimised() -> None:
    counts, residuals = np.array([[1.0], [100.0]]), np.array([2.0, 100.0])
    fit = fit_reference_shifts(counts, residuals, [6])
    assert fit.shifts[6] == pytest.approx(1.5)  # mean of 2 and 1 eV/atom, whatever the sizes
    assert fit.mae_before == pytest.approx(1.5)
    assert fit.mae_after == pytest.approx(0.5)
    assert fit_reference_shifts(counts, residuals, [6], np.array([0.0, 1.0])).shifts[6] == pytest.approx(1.0)


def test_fixed_ratio_is_named() -> None:
    counts = np.array([[4.0, 4.0, 1.0], [8.0, 8.0, 3.0], [4.0, 4.0, 0.0]])
    fit = fit_reference_shifts(counts, counts @ np.array([1.0, 3.0, 5.0]), [8, 12, 20])
    assert (fit.rank, fit.unresolved) == (2, ("O", "Mg"))
    assert fit.shifts == pytest.approx({8: 2.0, 12: 2.0, 20: 5.0})


@pytest.mark.parametrize(
    ("counts", "residuals", "message"),
    [
        (np.ones((2, 1)), np.ones(3), "cannot be fitted"),
        (np.ones((0, 1)), np.ones(0), "cannot be fitted"),
        (np.ones((2, 2)), np.ones(2), "cannot be fitted"),
        (np.ones((2, 1)), np.array([1.0, np.nan]), "the first has index 1"),
    ],
)
def test_unusable_input(counts: np.ndarray, residuals: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_reference_shifts(counts, residuals, [6])


def test_composition_matrix(healthy: list[LabelledFrame]) -> None:
    counts, numbers = composition_matrix(healthy)
    assert numbers == (29, 47)
    np.testing.assert_array_equal(counts.sum(axis=1), 8)
    np.testing.assert_array_equal(counts[:, 1], [1 + i % 4 for i in range(24)])
    more, _ = composition_matrix(healthy, [47, 8, 29])
    np.testing.assert_array_equal(more, np.stack([counts[:, 1], np.zeros(24), counts[:, 0]], axis=1))
