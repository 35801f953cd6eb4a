"""Log-kriging: the gap as a Gaussian field whose spectrum the same pattern tells.

z = log(1 + counts) minus its local mean is taken as a stationary Gaussian field seen through Poisson
noise. Its covariance, the texture, is estimated from the measured voxels around the Bragg peak; its
posterior mean is found by conjugate gradients (Wiener filtering with a mask) close to the gap, and
turned into expected counts.

Where the scan's symmetry is believed there are two fields: the gap's, and the one that was measured at
its mirror image. For each wave their covariance is S (1, r; r, 1), with S the texture's spectrum and r the
coherence that measured pairs show. With r = 0 this is kriging with one field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import ndimage

from .conjugate_gradients import OneField, TwoFields, posterior_mean
from .fourier import embedded, grid_for
from .local_mean import NARROW, WIDE, gaussian, local_mean
from .method import Fill
from .poisson import expected_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from .bands import Box
    from .estimation import Surroundings
    from .friedel.twin import Twin
    from .texture import Texture

REACH = 8
"""Voxels around a gap that the posterior is conditioned on; those beyond say nothing new."""

NOISE_FLOOR = 0.4
"""Least noise variance, as a share of the field's: what a stationary field can't explain."""

PAD = 16
"""Voxels of unknown field between opposite faces, which the FFT makes neighbours."""

DRAW_STEPS = 16
"""Steps for the draw: its variance needs no more, whatever the gap's width."""

LEAST_SIGMA = float((2 * np.sqrt(np.pi) * NARROW) ** -3)
"""Where nothing was counted the rate is known to one count in the local mean's volume, no better."""

HEADROOM = float(np.log(2))
"""The fill may exceed the brightest measured voxel around by this factor (in log), no more.
Without a bound, kriging overshoots 4 to 50 times where a gap comes close to the Bragg peak."""

OUTLIER = 3.0
"""Standard deviations, of the field and of the noise, at which the twin's texture is cut off: a hot pixel
or another crystal's peak mirrors into good places."""

FAR_FROM_PAIRS = 0.01
"""Share of the wide Gaussian on measured pairs below which they tell little of the halves' difference."""


@dataclass(frozen=True, slots=True)
class LogField:
    """The posterior of log(1 + counts) over a band.

    Attributes
    ----------
    value
        Posterior mean within the bound; the local mean further than `REACH` from the gap.
    mean
        The local mean that kriging works on top of.
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
        What the scan tells about the band.
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
    # One draw of the error, smoothed over the gap, stands for its variance.
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
        Draw from the posterior's error too, at half the cost again.
    """
    known = (~mask).float()
    logs = torch.log1p(stack)
    seen = _alone(logs, known) if twin is None else _with_twin(logs, known, twin, texture.variance)

    core = _around(mask)
    inside = tuple(slice(0, n) for n in mask[core].shape)
    grid = grid_for(tuple(mask[core].shape), PAD)
    spectrum = texture.spectrum(grid)
    # Variance of log(1 + n) for Poisson n, to first order.
    noise = [_noise(mean).clamp_min(NOISE_FLOOR * texture.variance) for mean in seen.means]

    def on_grid(fields: list[Tensor]) -> Tensor:
        return torch.stack([embedded(field[core], grid) for field in fields])

    data = on_grid(seen.residuals)
    precision = on_grid([k / n for k, n in zip(seen.knowns, noise, strict=True)])
    prior = OneField(spectrum) if twin is None else TwoFields.of(spectrum, twin.symmetry, grid)
    mean = seen.means[0]
    value = mean.clone()
    value[core] += posterior_mean(data, precision, prior, iterations)[0][inside]
    error = None
    if draw:
        # Perturb and solve: the error made on a synthetic field has the posterior's distribution.
        generator = torch.Generator().manual_seed(0)
        drawn = prior.draw(torch.randn(data.shape, generator=generator).to(stack))
        shots = torch.randn(data.shape, generator=generator).to(stack)
        shots *= on_grid([n.sqrt() for n in noise])
        missed = posterior_mean(
            (drawn + shots) * on_grid(seen.knowns), precision, prior, DRAW_STEPS
        )
        # The field is less lively where there are no counts than where there are fringes.
        lively = gaussian(seen.residuals[0].square(), NARROW) / gaussian(known, NARROW).clamp_min(
            1e-4
        )
        lively = (lively[core] / texture.variance).clamp(0, 1).sqrt()
        error = torch.zeros_like(value)
        error[core] = (missed - drawn)[0][inside] * lively

    bound = _brightest_around(logs, mask)
    if twin is not None:
        bound = torch.maximum(bound, seen.brightest_twin)
    return LogField(torch.minimum(value, bound + HEADROOM), mean, error, seen.twin)


class _Seen(NamedTuple):
    """Log counts of the band, and of its twin if there is one.

    Attributes
    ----------
    means
        Local means.
    residuals
        What measured voxels are above them, 0 elsewhere.
    knowns
        1 in measured voxels, 0 elsewhere.
    twin, brightest_twin
        The twin's log counts above the band's local mean; the largest ones around each voxel.
    """

    means: list[Tensor]
    residuals: list[Tensor]
    knowns: list[Tensor]
    twin: Tensor | None
    brightest_twin: Tensor


def _alone(logs: Tensor, known: Tensor) -> _Seen:
    mean = local_mean(logs, known)
    return _Seen([mean], [(logs - mean) * known], [known], None, mean)


def _with_twin(logs: Tensor, known: Tensor, twin: Twin, variance: float) -> _Seen:
    opposite = torch.log1p(twin.stack)
    there = local_mean(opposite, twin.known)
    pairs = known * twin.known
    # Strain makes one half brighter than the other: measured pairs tell by how much.
    apart = gaussian((logs - opposite) * pairs, WIDE) / (gaussian(pairs, WIDE) + FAR_FROM_PAIRS)
    # Where the gap is, the twin carries the local mean.
    shown = torch.where(known > 0, logs, opposite + apart)
    mean = local_mean(shown, torch.maximum(known, twin.known))
    limit = OUTLIER * (variance**0.5 + _noise(there).sqrt())
    residual = torch.minimum(torch.maximum(opposite - there, -limit), limit) * twin.known
    brightest = ndimage.maximum_filter((opposite * twin.known).cpu().numpy(), 5)
    return _Seen(
        [mean, there],
        [(logs - mean) * known, residual],
        [known, twin.known],
        (opposite + apart - mean) * twin.known,
        torch.from_numpy(brightest).to(logs.device),
    )


def _noise(mean: Tensor) -> Tensor:
    rate = torch.expm1(mean).clamp_min(0.02)
    return rate / (1 + rate).square()


def _around(mask: Tensor) -> Box:
    """The box around the missing voxels, with `REACH` around it where there is room."""
    first, second, third = (
        slice(max(int(at.min()) - REACH, 0), min(int(at.max()) + 1 + REACH, n))
        for at, n in zip(torch.nonzero(mask, as_tuple=True), mask.shape, strict=True)
    )
    return (first, second, third)


def _brightest_around(z: Tensor, mask: Tensor) -> Tensor:
    """The largest measured log count within reach of each voxel: half the gap and a little more."""
    measured = np.where(mask.cpu().numpy(), 0, z.cpu().numpy())
    reach = gap_depth(mask) + 3
    return torch.from_numpy(ndimage.maximum_filter(measured, 2 * reach + 1)).to(z.device)


def gap_depth(mask: Tensor) -> int:
    """Voxels from the deepest missing one to the nearest measured one; 0 without a gap."""
    gap = mask.cpu().numpy()
    return int(ndimage.distance_transform_cdt(gap, metric="chessboard").max()) if gap.any() else 0
