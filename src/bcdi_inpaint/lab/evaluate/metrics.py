"""What is measured on a filled gap. Plain numpy; every function is tested against cases by hand.

Arguments named ``fill`` are expected counts of the gap's voxels, ``rate`` the noise-free
expectation there and ``counts`` the measured numbers of photons. They are arrays of the gap voxels
alone, in any shape but all in the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import betainc, gammainc, gammaln

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BAND_EDGES = (0.0, 0.3, 1.0, 3.0, 10.0, 100.0, np.inf)
"""Edges of the half-open intensity bands, in counts."""

BAND_NAMES = ("0-0.3", "0.3-1", "1-3", "3-10", "10-100", ">100")

BandedBy = Literal["fill", "rate"]


def pcc(fill: ArrayLike, truth: ArrayLike) -> float:
    """Pearson correlation of log(1 + I), equation (1) of Masto et al. (2024).

    Parameters
    ----------
    fill, truth
        Counts, at least 0; ``truth`` is either the measured counts or the noise-free rate.

    Returns
    -------
    float
        NaN where one of the two does not vary (no photon in the gap): there is nothing to correlate.
    """
    a, b = (np.log1p(x) - np.log1p(x).mean() for x in _same_shape(fill, truth))
    norm = np.sqrt((a @ a) * (b @ b))
    # A constant leaves rounding errors of its mean behind; they are not a variation.
    if norm <= 1e-12 * a.size:
        return float("nan")
    return float((a @ b) / norm)


def pcc_ceiling(rate: ArrayLike, counts: ArrayLike) -> float:
    """PCC that a perfect predictor of the rate reaches: below 1, since counts are Poisson."""
    return pcc(rate, counts)


def pcc_ceiling_of_counts(counts: ArrayLike) -> float:
    """What `pcc_ceiling` would be, from the counts alone: for real scans, whose rate is not known.

    The share of the variance of f(n) = log(1 + n) that isn't Poisson noise. The noise is bounded by
    the Poincare inequality of the Poisson distribution, Var f(N) <= E[N (f(N) - f(N - 1))**2], which
    at 0.3 counts exceeds it by 3 %: the ceiling is a little low, by .001 at .95 and .02 at .6.

    Returns
    -------
    float
        0 where nothing but noise varies.
    """
    (n,) = _same_shape(counts)
    logs = np.log1p(n)
    noise = np.mean(n * (logs - np.log(np.maximum(n, 1))) ** 2)
    variance = logs.var()
    return float(np.sqrt(max(1 - noise / variance, 0))) if variance > 0 else 0.0


def amplitude_residual(fill: ArrayLike, truth: ArrayLike) -> float:
    """R_amp = sum|sqrt(fill) - sqrt(truth)| / sum sqrt(truth).

    Bright voxels decide it, as they decide a reconstruction; dim ones decide the PCC.
    """
    a, b = (np.sqrt(x) for x in _same_shape(fill, truth))
    total = b.sum()
    return float(np.abs(a - b).sum() / total) if total > 0 else float("nan")


def ratio(filled: ArrayLike, true: ArrayLike) -> NDArray[np.float64]:
    """Filled over true counts, band by band; NaN without true counts."""
    f, t = np.asarray(filled, float), np.asarray(true, float)
    found = np.full(t.shape, np.nan)
    np.divide(f, t, out=found, where=t > 0)
    return found


def band_sums(fill: ArrayLike, truth: ArrayLike, by: BandedBy = "fill") -> dict[str, list[float]]:
    """Sum voxels, filled counts and true counts over each of `BAND_NAMES`; the sums add up over gaps.

    Parameters
    ----------
    fill, truth
        Expected counts of the fill; the rate (or, on real data, the counts).
    by
        Which of the two decides a voxel's band. ``"fill"`` asks for calibration: where the fill says
        1-3 counts, are there 1-3 counts on average? A perfect fill and the best one that can be
        had from the measured voxels, E[rate | measured], both give 1 in every band. ``"rate"``
        sorts by the truth; any fill that is uncertain then looks too high in the dim bands and too
        low in the bright ones (regression to the mean), the best possible one included. On real
        data ``"rate"`` would sort by the counts themselves, which is meaningless for single photons.

    Returns
    -------
    dict
        "voxels", "filled" and "true", each of one sum for each band.
    """
    f, t = _same_shape(fill, truth)
    band = np.digitize(f if by == "fill" else t, BAND_EDGES[1:-1])
    weights = {"voxels": np.ones_like(f), "filled": f, "true": t}
    return {name: np.bincount(band, w, len(BAND_NAMES)).tolist() for name, w in weights.items()}


LEVELS = (0.68, 0.95)
"""Probabilities of the intervals whose coverage is reported."""


def coverage(mean: ArrayLike, sigma: ArrayLike, rate: ArrayLike) -> tuple[float, ...]:
    """Share of voxels whose rate lies in the central intervals, one for each of `LEVELS`.

    The interval is that of a gamma distribution with the fill's mean and standard deviation: expected
    counts are positive, and a normal interval would reach below zero in every dim voxel. Where sigma
    is 0 the interval is one point.
    """
    m, s, r = _same_shape(mean, sigma, rate)
    certain = (s <= 0) | (m <= 0)
    exact = certain & (m == r)
    m, s, r = (x[~certain] for x in (m, s, r))
    off_centre = np.abs(gammainc((m / s) ** 2, r * m / s**2) - 0.5)
    inside = (np.count_nonzero(off_centre <= level / 2) for level in LEVELS)
    return tuple(float((exact.sum() + count) / exact.size) for count in inside)


def coverage_of_counts(mean: ArrayLike, sigma: ArrayLike, counts: ArrayLike) -> tuple[float, ...]:
    """Share of measured counts in the central predictive intervals: for data without a known rate.

    A gamma-distributed rate seen through Poisson noise gives negative-binomial counts. They are
    whole numbers, so an interval of exactly this probability does not exist: each voxel counts with
    the part of its own probability step that lies inside (the non-randomised probability integral
    transform of Czado, Gneiting & Held 2009, Biometrics 65, 1254). A calibrated fill gives `LEVELS`.
    """
    m, s, n = _same_shape(mean, sigma, counts)
    m = np.maximum(m, 1e-12)
    # sigma 0 is Poisson, the negative binomial's limit at a large shape; 1e8 is near enough.
    shape = np.minimum((m / np.maximum(s, 1e-12)) ** 2, 1e8)
    n = np.rint(n)
    upper = betainc(shape, n + 1, shape / (shape + m))
    log_step = gammaln(n + shape) - gammaln(shape) - gammaln(n + 1)
    log_step += n * np.log(m / (shape + m)) - shape * np.log1p(m / shape)
    step = np.exp(log_step)
    covered = []
    for level in LEVELS:
        low, high = (1 - level) / 2, (1 + level) / 2
        overlap = np.clip(np.minimum(upper, high) - np.maximum(upper - step, low), 0, None)
        # A count so unlikely that its step vanishes lies in a tail.
        share = np.divide(overlap, step, out=np.zeros_like(step), where=step > 1e-300)
        covered.append(float(np.minimum(share, 1).mean()))
    return tuple(covered)


def _same_shape(*arrays: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    flat = tuple(np.asarray(a, np.float64).ravel() for a in arrays)
    shapes = [np.shape(a) for a in arrays]
    if len(set(shapes)) > 1 or flat[0].size == 0:
        raise ValueError(f"arrays of the gap's voxels must have one non-empty shape; got {shapes}")
    for a in flat:
        if not (np.isfinite(a).all() and (a >= 0).all()):
            raise ValueError(
                "counts must be finite and at least 0; the fill holds NaN, inf or less"
            )
    return flat
