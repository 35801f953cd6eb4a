"""Log-kriging: the gap as a Gaussian field whose spectrum is estimated from the same pattern.

z = log(1 + counts) minus its local mean is treated as a stationary Gaussian field, measured with noise. Its
covariance, the texture, is estimated from the measured voxels around the Bragg peak; its posterior mean close
to the gap is turned into expected counts.

Where the scan's symmetry is believed there are two fields: the gap's, and the one that was measured at
its mirror image. For each wave their covariance is S (1, r; r, 1), with S the texture's spectrum and r the
coherence that measured pairs show. The second field makes a prior for the first. With r = 0 this is kriging
with one field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import ndimage

from .fourier import corner, embedded, forward, grid_for, inverse
from .friedel.symmetry import shift
from .local_mean import NARROW, WIDE, gaussian, local_mean
from .method import Fill
from .poisson import expected_counts
from .posterior import PAD, Prior, posterior

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from .estimation import Surroundings
    from .fourier import Shape
    from .friedel.twin import Twin
    from .texture import Texture

NOISE = 0.4
"""Variance of what a stationary field can't explain, photon noise included, as a share of the field's.
Noise that follows the counts gives the same fills, within .0005 of their correlation."""

LEAST_SIGMA = float((2 * np.sqrt(np.pi) * NARROW) ** -3)
"""Where nothing was counted, the rate is known only to one count in the volume of the local mean."""

HEADROOM = float(np.log(2))
"""The fill may exceed the brightest measured voxel around by this factor (in log), no more.
Without a bound, kriging overshoots 4 to 50 times where a gap comes close to the Bragg peak."""

OUTLIER = 3.0
"""Standard deviations, of the field and of the noise, to which the twin's texture is limited: a hot pixel or
another crystal's peak may lie at the mirror image."""

FAR_FROM_PAIRS = 0.01
"""Share of the wide Gaussian on measured pairs below which the halves' difference is not trusted."""


@dataclass(frozen=True, slots=True)
class LogField:
    """The posterior of log(1 + counts) over a band.

    Attributes
    ----------
    value
        Posterior mean within the bound; the local mean further than `REACH` from the gap.
    mean
        The local mean, to which kriging adds.
    error
        One draw from the posterior's error, or None.
    twin
        Log counts at the mirror image above the local mean, 0 where there are none; None without a twin.
    """

    value: Tensor
    mean: Tensor
    error: Tensor | None
    twin: Tensor | None


def fill(
    stack: NDArray[np.float32],
    mask: NDArray[np.bool_],
    *,
    surroundings: Surroundings,
    iterations: int,
) -> Fill:
    """Fill one band by log-kriging.

    Parameters
    ----------
    stack
        float32 ``(frame, row, col)``, 0 in missing voxels.
    mask
        bool of the same shape, True = missing.
    surroundings
        Texture, symmetry and twin.
    iterations
        Steps of conjugate gradients.
    """
    field = krige(
        torch.from_numpy(stack),
        torch.from_numpy(mask),
        surroundings.texture,
        surroundings.twin,
        iterations,
        draw=True,
    )
    assert field.error is not None
    # The square of one draw of the error, smoothed over the gap, estimates its variance.
    weight = ndimage.gaussian_filter(mask.astype(np.float32), NARROW, truncate=3)
    squares = np.where(mask, field.error.numpy() ** 2, 0).astype(np.float32)
    variance = ndimage.gaussian_filter(squares, NARROW, truncate=3) / np.maximum(weight, 1e-3)
    rate, sigma = np.zeros_like(stack), np.zeros_like(stack)
    rate[mask], spread = expected_counts(field.value.numpy()[mask], variance[mask])
    sigma[mask] = np.maximum(spread, LEAST_SIGMA)
    return Fill(rate, sigma)


def krige(
    stack: Tensor,
    mask: Tensor,
    texture: Texture,
    twin: Twin | None,
    iterations: int,
    *,
    draw: bool = False,
) -> LogField:
    """Posterior mean of log(1 + counts), on the device of `stack`.

    Parameters
    ----------
    stack
        float32 ``(frame, row, col)``, 0 in missing voxels.
    mask
        bool, True = missing.
    texture, twin
        On the same device.
    iterations
        Steps of conjugate gradients.
    draw
        Draw from the posterior's error, too, which takes half as long again.
    """
    known = (~mask).float()
    logs = torch.log1p(stack)
    seen = _alone(logs, known) if twin is None else _with_twin(logs, known, twin, texture.variance)
    noise = NOISE * texture.variance
    prior = Prior(torch.zeros_like(logs), texture.spectrum)
    if twin is not None:
        prior = _given_twin(texture, twin, seen.opposite, mask, noise)
    given = posterior(known, prior.spectrum, noise, iterations)
    value = seen.mean + given.mean(seen.residual, prior.mean)
    error = None
    if draw:
        # The field varies less where there are no counts than where there are fringes.
        lively = gaussian(seen.residual.square(), NARROW) / gaussian(known, NARROW).clamp_min(1e-4)
        error = given.error(torch.Generator().manual_seed(0))
        error *= (lively / texture.variance).clamp(0, 1).sqrt()

    bound = _brightest_around(logs, mask)
    if twin is not None:
        bound = torch.maximum(bound, seen.brightest_twin)
    return LogField(torch.minimum(value, bound + HEADROOM), seen.mean, error, seen.twin)


class _Seen(NamedTuple):
    """Log counts of the band, and of its twin if there is one.

    Attributes
    ----------
    mean
        Local mean.
    residual
        What measured voxels are above it, 0 elsewhere.
    opposite
        The same of the twin, outliers bounded.
    twin, brightest_twin
        The twin's log counts above the band's local mean; the largest ones around each voxel.
    """

    mean: Tensor
    residual: Tensor
    opposite: Tensor
    twin: Tensor | None
    brightest_twin: Tensor


def _alone(logs: Tensor, known: Tensor) -> _Seen:
    mean = local_mean(logs, known)
    return _Seen(mean, (logs - mean) * known, torch.zeros_like(mean), None, mean)


def _with_twin(logs: Tensor, known: Tensor, twin: Twin, variance: float) -> _Seen:
    opposite = torch.log1p(twin.stack)
    there = local_mean(opposite, twin.known)
    pairs = known * twin.known
    # Strain makes one half brighter than the other; measured pairs show by how much.
    apart = gaussian((logs - opposite) * pairs, WIDE) / (gaussian(pairs, WIDE) + FAR_FROM_PAIRS)
    # Where the gap is, the twin carries the local mean.
    shown = torch.where(known > 0, logs, opposite + apart)
    mean = local_mean(shown, torch.maximum(known, twin.known))
    limit = OUTLIER * (variance**0.5 + _noise(there).sqrt())
    residual = torch.minimum(torch.maximum(opposite - there, -limit), limit) * twin.known
    brightest = ndimage.maximum_filter((opposite * twin.known).cpu().numpy(), 5)
    return _Seen(
        mean,
        (logs - mean) * known,
        residual,
        (opposite + apart - mean) * twin.known,
        torch.from_numpy(brightest).to(logs.device),
    )


def _given_twin(
    texture: Texture, twin: Twin, opposite: Tensor, mask: Tensor, noise: float
) -> Prior:
    """The prior of a band, given its twin.

    For each Fourier component the covariance of the band with its twin is r S. A twin that was measured
    everywhere contributes r S / (S + N) of itself to the mean, and reduces the band's variance by that share
    of r S. Where a part of the gap has no twin, the variance is reduced less, by that part.
    """
    shape = tuple(opposite.shape)
    grid = grid_for(shape, PAD)
    symmetry = twin.symmetry
    share = float(twin.known[mask].mean())

    def weight(grid: Shape) -> tuple[Tensor, Tensor, Tensor]:
        spectrum, coherence = texture.spectrum(grid), symmetry.coherence(grid)
        return spectrum, coherence, coherence * spectrum / (spectrum + noise)

    def spectrum(grid: Shape) -> Tensor:
        whole, coherence, reliability = weight(grid)
        return whole * (1 - share * coherence * reliability)

    # The centre is not exactly on the grid.
    reliability = weight(grid)[2] * shift(grid, symmetry.offset, opposite.device).conj()
    mean = inverse(forward(embedded(opposite, grid)) * reliability, grid)
    return Prior(corner(mean, shape), spectrum)


def _noise(mean: Tensor) -> Tensor:
    rate = torch.expm1(mean).clamp_min(0.02)
    return rate / (1 + rate).square()


def _brightest_around(z: Tensor, mask: Tensor) -> Tensor:
    """The largest measured log count within reach of each voxel: half the gap and a little more."""
    measured = np.where(mask.cpu().numpy(), 0, z.cpu().numpy())
    reach = gap_depth(mask) + 3
    return torch.from_numpy(ndimage.maximum_filter(measured, 2 * reach + 1)).to(z.device)


def gap_depth(mask: Tensor) -> int:
    """Voxels from the deepest missing one to the nearest measured one; 0 without a gap."""
    gap = mask.cpu().numpy()
    return int(ndimage.distance_transform_cdt(gap, metric="chessboard").max()) if gap.any() else 0
