"""Scales and reliability on errors whose distribution is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from equisparse.errors import InputError
from equisparse.interpret.calibration import Floats, bins, judge, spread_scale

N = 20_000


def drawn(seed: int, width: float, members: int | None = None) -> tuple[Floats, Floats]:
    """Normal errors with widths over two decades, and spreads that are `width` times too small.

    With `members`, errors are those of the mean of as many normal draws, spreads their sample standard deviations.
    """
    rng = np.random.default_rng(seed)
    widths = 10 ** rng.uniform(-3, -1, N)
    if members is None:
        return width * widths * rng.normal(size=N), widths
    values = widths * rng.normal(size=(members, N))
    return width * widths * rng.normal(size=N), values.std(0, ddof=1)


@given(seed=st.integers(0, 100), width=st.floats(0.1, 10))
def test_a_known_factor_is_found_and_fits(seed: int, width: float) -> None:
    errors, spreads = drawn(seed, width)
    scale = spread_scale(errors, spreads)
    assert scale == pytest.approx(width, rel=0.05)
    row = judge(errors, scale * spreads)
    assert row.rmse == pytest.approx(row.spread)
    assert row.within_one == pytest.approx(norm.cdf(1) - norm.cdf(-1), abs=0.03)
    assert row.miscalibration < 0.02
    assert row.ence < 0.1
    assert row.spearman > 0.5


@pytest.mark.parametrize("members", [2, 3, 5, 20])
def test_the_factor_does_not_depend_on_the_number_of_members(members: int) -> None:
    assert spread_scale(*drawn(0, 2.0, members)) == pytest.approx(2.0, rel=0.05)


def test_a_wrong_factor_is_seen() -> None:
    errors, spreads = drawn(0, 1.0)
    small, large = judge(errors, 0.3 * spreads), judge(errors, 3 * spreads)
    assert min(small.miscalibration, large.miscalibration) > 0.15
    assert min(small.ence, large.ence) > 0.5
    assert small.within_two < 0.6
    assert large.within_one > 0.95


def test_spreads_that_say_nothing() -> None:
    errors, spreads = drawn(0, 1.0)
    row = judge(errors, np.random.default_rng(1).permutation(spreads))
    assert abs(row.spearman) < 0.05
    assert judge(errors, np.ones(N)).spearman == 0.0


def test_bins_rise_and_hold_every_value() -> None:
    errors, spreads = drawn(0, 1.0)
    found = bins(errors, spreads)
    assert len(found) == 10
    assert [spread for spread, _ in found] == sorted(spread for spread, _ in found)
    assert np.mean([rmse**2 for _, rmse in found]) == pytest.approx(np.mean(errors**2))
    assert len(bins(errors[:25], spreads[:25])) == 2
    assert len(bins(errors[:3], spreads[:3])) == 1


def test_missing_labels_do_not_count() -> None:
    errors, spreads = drawn(0, 1.0)
    errors[::2] = np.nan
    assert judge(errors, spreads) == judge(errors[1::2], spreads[1::2])
    assert spread_scale(errors, spreads) == spread_scale(errors[1::2], spreads[1::2])


@pytest.mark.parametrize(
    ("errors", "spreads"), [([np.nan] * 3, [1.0] * 3), ([1.0] * 3, [0.0] * 3)], ids=["no label", "no spread"]
)
def test_what_cannot_be_calibrated_is_refused(errors: list[float], spreads: list[float]) -> None:
    with pytest.raises(InputError, match="cannot be calibrated"):
        spread_scale(np.array(errors), np.array(spreads))
