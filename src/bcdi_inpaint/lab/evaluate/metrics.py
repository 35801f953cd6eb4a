"""What is measured on a filled gap. Plain numpy; every function is tested against cases by hand.

Arguments named ``fill`` are expected counts of the gap's voxels, ``rate`` the noise-free
expectation there and ``counts`` the measured numbers of photons. They are arrays of the gap voxels
alone, in any shape but all in the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import betainc, gammainc, gammaln

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """What `pcc_ceiling` would be, from the counts alone: for real scans, whose rate nobody knows.

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


@dataclass(frozen=True, slots=True)
class BandSums:
    """Voxels, filled counts and true counts in each intensity band; they add up over gaps.

    Attributes
    ----------
    voxels, filled, true
        One entry for each of `BAND_NAMES`.
    """

    voxels: tuple[float, ...]
    filled: tuple[float, ...]
    true: tuple[float, ...]

    @property
    def ratio(self) -> NDArray[np.float64]:
        """``(6,)`` filled over true counts; NaN in a band without true counts."""
        filled, true = np.array(self.filled), np.array(self.true)
        ratio = np.full(true.shape, np.nan)
        np.divide(filled, true, out=ratio, where=true > 0)
        return ratio


def band_sums(fill: ArrayLike, truth: ArrayLike, by: BandedBy = "fill") -> BandSums:
    """Sum filled and true counts over the voxels of each intensity band.

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
    """
    f, t = _same_shape(fill, truth)
    band = np.digitize(f if by == "fill" else t, BAND_EDGES[1:-1])

    def sums(weights: NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(np.bincount(band, weights, len(BAND_NAMES)).tolist())

    return BandSums(sums(np.ones_like(f)), sums(f), sums(t))


def pooled(sums: Iterable[BandSums]) -> BandSums:
    """Add the bands of several gaps."""
    each = np.array([(s.voxels, s.filled, s.true) for s in sums]).reshape(-1, 3, len(BAND_NAMES))
    voxels, filled, true = each.sum(axis=0).tolist()
    return BandSums(tuple(voxels), tuple(filled), tuple(true))


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


PARTICLE_THRESHOLD = 0.3
"""Share of the greatest modulus above which a voxel is one of the particle."""


@dataclass(frozen=True, slots=True)
class RealSpaceErrors:
    """Errors of the inverse transform with the true phases, inside the particle.

    Attributes
    ----------
    phase_std_gap, phase_std_fill
        Standard deviation of the phase error with the gap left at zero and after filling, rad.
    modulus_rmse_gap, modulus_rmse_fill
        Root mean square error of the modulus over the true mean modulus.
    strain_rmse_gap, strain_rmse_fill
        Root mean square error of the phase gradient over the three axes, rad a voxel. Times
        ``d / (2 pi voxel)``, with the lattice spacing d of the reflection, it is a strain.
    """

    phase_std_gap: float
    phase_std_fill: float
    modulus_rmse_gap: float
    modulus_rmse_fill: float
    strain_rmse_gap: float
    strain_rmse_fill: float

    @property
    def phase_ratio(self) -> float:
        """How many times smaller the phase error becomes by filling (5 in the paper's 2.6.1)."""
        return self.phase_std_gap / self.phase_std_fill

    @property
    def strain_ratio(self) -> float:
        """How many times smaller the strain error becomes by filling."""
        return self.strain_rmse_gap / self.strain_rmse_fill


def real_space_errors(
    fill: NDArray[np.floating],
    rate: NDArray[np.floating],
    phase: NDArray[np.floating],
    mask: NDArray[np.bool_],
) -> RealSpaceErrors:
    """Compare inverse transforms with true phases: gap at zero, gap filled, no gap (paper 2.6.1).

    Outside the gap all three take the noise-free rate, so that the gap alone makes the difference.

    Parameters
    ----------
    fill
        ``(frame, row, col)`` filled counts; only the voxels in `mask` are used.
    rate
        Same shape, the noise-free expected counts.
    phase
        Same shape, phase of the scattered amplitude in rad.
    mask
        bool, same shape, True = gap.
    """
    wave = np.exp(1j * phase)

    def object_of(intensity: NDArray[np.floating]) -> NDArray[np.complex128]:
        # Shifts in either space would cancel in the comparison (a common ramp, a common roll).
        return np.fft.ifftn(np.sqrt(intensity) * wave)

    truth = object_of(rate)
    with_gap = object_of(np.where(mask, 0.0, rate))
    filled = object_of(np.where(mask, fill, rate))
    support = particle(truth)
    errors = [
        error
        for compared in (with_gap, filled)
        for error in (
            phase_std(compared, truth, support),
            modulus_rmse(compared, truth, support),
            gradient_rmse(compared, truth, support),
        )
    ]
    gap, full = errors[:3], errors[3:]
    return RealSpaceErrors(gap[0], full[0], gap[1], full[1], gap[2], full[2])


def particle(truth: NDArray[np.complexfloating]) -> NDArray[np.bool_]:
    """Where the true modulus exceeds `PARTICLE_THRESHOLD` of its maximum."""
    modulus = np.abs(truth)
    inside: NDArray[np.bool_] = modulus > PARTICLE_THRESHOLD * modulus.max()
    return inside


def phase_std(
    compared: NDArray[np.complexfloating],
    truth: NDArray[np.complexfloating],
    support: NDArray[np.bool_],
) -> float:
    """Standard deviation of the phase error in the support, rad, up to a constant phase."""
    relative = (compared * truth.conj())[support]
    # A constant phase has no meaning: take it out before angles are cut at +-pi.
    return float(np.angle(relative * np.exp(-1j * np.angle(relative.sum()))).std())


def modulus_rmse(
    compared: NDArray[np.complexfloating],
    truth: NDArray[np.complexfloating],
    support: NDArray[np.bool_],
) -> float:
    """Root mean square error of the modulus in the support over the true mean modulus."""
    a, b = np.abs(compared[support]), np.abs(truth[support])
    return float(np.sqrt(np.mean((a - b) ** 2)) / b.mean())


def gradient_rmse(
    compared: NDArray[np.complexfloating],
    truth: NDArray[np.complexfloating],
    support: NDArray[np.bool_],
) -> float:
    """Root mean square error of the phase gradient over the three axes, rad a voxel."""
    relative = compared * truth.conj()
    squares = []
    for axis in range(3):
        neighbours = support & np.roll(support, -1, axis)
        step = np.angle(np.roll(relative, -1, axis) * relative.conj())
        squares.append(step[neighbours] ** 2)
    return float(np.sqrt(np.concatenate(squares).mean()))


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
