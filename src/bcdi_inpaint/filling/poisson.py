"""Between the mean of log(1 + counts) and expected counts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]


def mean_log(rate: Floats) -> Floats:
    """E[log(1 + n)] of Poisson counts n with the given expectation.

    Summed up to a rate of 100, by the second-order expansion above it, where that is exact to 1e-4.
    """
    rate = np.asarray(rate, float)
    n = np.arange(250)
    low = np.minimum(rate, 100.0)[..., None]
    summed = np.exp(special.xlogy(n, low) - low - special.gammaln(n + 1)) @ np.log1p(n)
    return np.where(rate > 100, np.log1p(rate) - 0.5 * rate / (1 + rate) ** 2, summed)


@cache
def _table() -> tuple[Floats, Floats, Floats]:
    """Rates, and mean and variance of log(1 + n) of their Poisson counts."""
    rate = np.concatenate(([0.0], np.geomspace(1e-4, 1e10, 1200)))
    mean = mean_log(rate)
    n = np.arange(250)
    low = np.minimum(rate, 100.0)[:, None]
    squares = np.exp(special.xlogy(n, low) - low - special.gammaln(n + 1)) @ np.log1p(n) ** 2
    return rate, mean, np.where(rate > 100, rate / (1 + rate) ** 2, squares - mean**2)


def rate_of_mean_log(log: Floats) -> Floats:
    """The expectation whose Poisson counts have this mean of log(1 + n): `mean_log` inverted."""
    rates, logs, _ = _table()
    return np.interp(log, logs, rates)


def variance_of_log(log: Floats) -> Floats:
    """Variance of log(1 + n) of Poisson counts with this mean of log(1 + n)."""
    _, logs, variances = _table()
    return np.interp(log, logs, variances)


def expected_counts(log: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the expected counts, given a Gaussian for their mean log.

    A logarithm's mean understates counts: the expectation is taken over the Gaussian, by 5-point
    Gauss-Hermite quadrature.

    Parameters
    ----------
    log, variance
        Mean and variance of the Gaussian.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    weights = weights / weights.sum()
    spread = np.sqrt(variance)
    rates = [rate_of_mean_log(log + node * spread) for node in nodes]
    first = sum(w * r for w, r in zip(weights, rates, strict=True))
    second = sum(w * r * r for w, r in zip(weights, rates, strict=True))
    return first, np.sqrt(np.maximum(second - first * first, 0))
