"""Reference energies that a minority of frames cannot spoil."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equisparse.data.references import fit_reference_shifts, undetermined_directions, unfitted_elements
from equisparse.data.robust_fit import NOT_FINITE, OUTLIER, robust_reference_fit
from equisparse.errors import DataError

NUMBERS = [1, 6, 8]
TRUE = np.array([-13.6, -1030.0, -2040.0])


def mixture(seed: int, n_frames: int = 40, noise: float = 0.004) -> tuple[np.ndarray, np.ndarray]:
    """Compositions and residuals, with errors of the base of a few meV per atom."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 9, (n_frames, 3)).astype(float)
    return counts, counts @ TRUE + noise * rng.normal(size=n_frames) * counts.sum(1)


@given(st.integers(0, 2**31))
def test_without_doubtful_frames_it_is_least_squares(seed: int) -> None:
    counts, residuals = mixture(seed)
    assert robust_reference_fit(counts, residuals, NUMBERS, {}) == fit_reference_shifts(counts, residuals, NUMBERS)


@given(st.integers(0, 2**31), st.sampled_from([0.15, 1.0, 30.0, 1e4]), st.integers(1, 12), st.booleans())
def test_a_minority_of_wrong_energies_changes_nothing(seed: int, size: float, wrong: int, same_sign: bool) -> None:
    counts, residuals = mixture(seed)
    signs = 1.0 if same_sign else np.random.default_rng(seed).choice([-1.0, 1.0], wrong)
    spoilt = residuals.copy()
    spoilt[:wrong] += size * signs * counts[:wrong].sum(1)
    fit = robust_reference_fit(counts, spoilt, NUMBERS, {})
    assert fit.left_out == {OUTLIER: tuple(range(wrong))}
    rest = fit_reference_shifts(counts[wrong:], residuals[wrong:], NUMBERS)
    assert fit.shifts == pytest.approx(rest.shifts)


def test_energies_per_atom_among_totals_are_found() -> None:
    counts, residuals = mixture(1)
    residuals[::4] /= counts[::4].sum(1)
    assert robust_reference_fit(counts, residuals, NUMBERS, {}).left_out == {OUTLIER: tuple(range(0, 40, 4))}


def test_two_halves_of_equal_size_are_both_kept() -> None:
    counts = np.full((10, 1), 4.0)
    residuals = np.repeat([0.0, 4.0], 5)
    fit = robust_reference_fit(counts, residuals, [12], {})
    assert (fit.left_out, fit.shifts[12]) == ({}, pytest.approx(0.5))


def test_doubtful_frames_are_left_out_and_choose_what_the_others_leave_open() -> None:
    molecules = np.tile([8.0, 5.0, 2.0], (20, 1))
    counts = np.vstack([molecules, np.eye(3)])
    errors = np.concatenate([np.full(20, 0.05), [0.2, -1.0, 0.7]])  # the base is wrong for isolated atoms
    isolated = np.arange(23) >= 20
    fit = robust_reference_fit(counts, counts @ TRUE + errors, NUMBERS, {"isolated": isolated})
    shifts = np.array(list(fit.shifts.values()))
    assert fit.left_out == {"isolated": (20, 21, 22)}
    np.testing.assert_allclose(molecules @ shifts, molecules @ TRUE + 0.05, atol=1e-8)
    np.testing.assert_allclose(shifts, TRUE, atol=2.0)  # not hundreds of eV off, as with the smallest norm
    assert (fit.rank, fit.unresolved) == (1, ("H", "C", "O"))


def test_doubtful_frames_of_another_kind_choose_nothing() -> None:
    counts = np.array([[4.0, 4.0], [4.0, 4.0], [1.0, 0.0], [0.0, 1.0]])
    residuals = np.array([-17.6, -17.7, -425.0, 3.0])  # the atoms do not add up to the crystal, by far
    fit = robust_reference_fit(counts, residuals, [8, 12], {"isolated": np.array([False, False, True, True])})
    assert fit.shifts[8] == pytest.approx(fit.shifts[12])


def test_a_doubtful_frame_with_an_element_of_its_own_stays() -> None:
    counts = np.array([[1.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    fit = robust_reference_fit(counts, counts @ TRUE, NUMBERS, {"alone": np.array([False, False, True, True])})
    assert fit.left_out == {"alone": (3,)}
    assert fit.shifts[8] == pytest.approx(TRUE[2])
    every = robust_reference_fit(counts, counts @ TRUE, NUMBERS, {"alone": np.ones(4, dtype=bool)})
    assert every.left_out == {}


def test_values_that_are_not_finite_are_left_out() -> None:
    counts, residuals = mixture(3)
    residuals[[4, 7]] = np.nan, np.inf
    assert robust_reference_fit(counts, residuals, NUMBERS, {}).left_out == {NOT_FINITE: (4, 7)}
    with pytest.raises(DataError, match="cannot be fitted"):
        robust_reference_fit(counts, np.full(40, np.nan), NUMBERS, {})


def test_the_null_space_of_many_frames_needs_little_memory() -> None:
    counts = np.tile([4.0, 4.0, 1.0], (200_000, 1))
    assert undetermined_directions(counts).shape == (3, 2)


def test_elements_without_a_fitted_reference() -> None:
    assert unfitted_elements({8: -2.2, 12: -2.2}, [8, 12, 20, 20]) == ("Ca",)
    assert unfitted_elements({8: 0.0, 12: 1e-9}, [8, 12, 20]) == ()
    assert unfitted_elements({}, [20]) == ()
