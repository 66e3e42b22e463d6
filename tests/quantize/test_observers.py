"""Histograms that no order changes, and ranges that observers choose by them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from architrave.ir.source import ArchitraveError
from architrave.quantize import (
    MSE,
    OBSERVERS,
    Entropy,
    Integers,
    MinMax,
    MovingAverage,
    Percentile,
    observer,
)
from architrave.record.histogram import Histogram, rows

NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40)
SYMMETRIC, AFFINE = Integers(-127, 127), Integers(-128, 127, has_zero=True)


def seen(*batches):
    histogram = Histogram()
    for batch in batches:
        histogram.add(np.asarray(batch, np.float32))
    return histogram


@given(st.lists(NUMBERS, min_size=1, max_size=4))
@example([[2.5e16, -1.0747767458810862e-32], [-4.7e16]])
def test_a_histogram_is_that_of_all_numbers_at_once(batches):
    pieces, whole, backwards = seen(*batches), seen([x for batch in batches for x in batch]), seen(*reversed(batches))
    for other in (whole, backwards):
        assert (pieces.exponent, pieces.first, pieces.total) == (other.exponent, other.first, other.total)
        assert np.array_equal(pieces.counts, other.counts)
    assert pieces.total == sum(map(len, batches))


@given(NUMBERS.filter(bool))
def test_each_number_is_in_its_bin(numbers):
    histogram = seen(numbers)
    exact = np.asarray(numbers, np.float32).astype(np.float64)
    assert len(histogram.counts) <= histogram.bins
    assert np.array_equal(histogram.counts, np.histogram(exact, histogram.edges)[0])


@given(NUMBERS.filter(bool), st.booleans(), st.sampled_from([SYMMETRIC, AFFINE, Integers(0, 15), Integers(-8, 7)]))
def test_a_range_is_covered_and_no_scale_is_zero(numbers, power_of_two, grid):
    grid = Integers(grid.low, grid.high, grid.has_zero, power_of_two)
    x = np.asarray(numbers, np.float64)
    scale, zero = grid.fitted(*MinMax().range(seen(numbers), grid))
    assert scale > 0
    assert np.isfinite(np.float32(1) / np.float32(scale))
    assert grid.low <= zero <= grid.high or not grid.has_zero
    assert not power_of_two or math.log2(scale).is_integer()
    assert grid.rounded(np.zeros(1), scale, zero)[0] == 0
    if grid.low < 0 and np.abs(x).max() > 1e-30:
        assert np.abs(grid.rounded(x, scale, zero) - x).max() <= 1.01 * scale


@pytest.mark.parametrize("name", OBSERVERS)
@pytest.mark.parametrize("numbers", [[0.0], [3.0], [-3.0], [0.0, 1e-30], [5.0] * 100, [-1e38, 1e38]])
@pytest.mark.parametrize("grid", [SYMMETRIC, AFFINE, Integers(0, 255), Integers(-2, 1, has_zero=True)])
def test_data_with_nothing_to_choose_have_a_scale(name, numbers, grid):
    scale, _ = grid.fitted(*observer(name).range(seen(numbers), grid))
    assert 0 < scale < np.inf
    if numbers == [0.0]:
        assert scale == 1


def test_the_moving_average_moves_by_its_share():
    assert MovingAverage(0.75).range(seen([-1, 1], [-3, 5]), AFFINE) == (-1.5, 2)


@pytest.mark.parametrize(("grid", "low", "high"), [(AFFINE, 0.01, 0.99), (SYMMETRIC, 0.0, 0.98)])
def test_the_percentile_cuts_its_share(grid, low, high):
    found = Percentile(99 if grid is AFFINE else 98).range(seen(np.linspace(0, 1, 10001)), grid)
    assert found == pytest.approx((low, high), abs=1e-3)


def test_a_percentile_is_one():
    with pytest.raises(ArchitraveError, match="E913"):
        Percentile(20).range(seen([1.0]), AFFINE)


def test_an_unknown_observer_is_refused():
    with pytest.raises(ArchitraveError, match="E913"):
        observer("msee")


def noise(x, grid, low, high):
    return np.square(grid.rounded(x, *grid.fitted(low, high)) - x).mean()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("has_zero", [False, True])
def test_the_least_squared_error_is_found(bits, has_zero):
    """Within 2 % of the best of a fine search on the numbers themselves."""
    grid = Integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, has_zero)
    x = np.random.default_rng(0).laplace(0.3, 1, 4000)
    best = min(
        noise(x, grid, s * x.min(), t * x.max()) for s in np.linspace(0.1, 1, 40) for t in np.linspace(0.1, 1, 40)
    )
    assert noise(x, grid, *MSE().range(seen(x), grid)) <= 1.02 * best
    assert noise(x, grid, *MSE().range(seen(x), grid)) <= noise(x, grid, x.min(), x.max())


def test_entropy_cuts_off_outliers_and_keeps_the_rest():
    x = np.random.default_rng(0).standard_normal(20000)
    low, high = Entropy().range(seen([*x, 100.0, -100.0]), SYMMETRIC)
    assert 2 < high < 20
    assert -20 < low < -2
    even = Entropy().range(seen(np.linspace(-1, 1, 20001)), SYMMETRIC)
    assert even == pytest.approx((-1, 1), abs=0.05)


def test_rows_share_an_element_of_the_scale():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(rows(x, (3, 1)), x.transpose(1, 0, 2).reshape(3, 8))
    assert np.array_equal(rows(x, (2, 1, 4)), x.transpose(0, 2, 1).reshape(8, 3))
    assert rows(x, ()).shape == (1, 24)
