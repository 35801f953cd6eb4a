"""Log-kriging: the gap as a Gaussian field whose spectrum the same pattern tells.

z = log(1 + counts) minus its local mean is taken as a stationary Gaussian field seen through Poisson
noise. Its covariance is estimated from the measured voxels, its posterior mean found by conjugate
gradients (Wiener filtering with a mask), and turned into expected counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import fft, ndimage

from .method import Fill
from .poisson import expected_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

WIDE_MEAN, LOCAL_MEAN = 16.0, 5.0
"""Standard deviations (voxels) of the Gaussians that make the local mean of log counts: the narrow one
refines the wide one, and leaves it alone far inside a wide gap."""

FAR_FROM_DATA = 0.05
"""Share of the narrow Gaussian's weight on measured voxels below which it has little to say."""

CORRELATION = 12.0
"""Standard deviation (voxels) of the taper on the covariance; longer lags are noise."""

NOISE_FLOOR = 0.4
"""Least noise variance, as a share of the field's: what a stationary field can't explain."""

TYPICAL_PRECISION = 0.1
"""The preconditioner's precision, as a share of the measured voxels' mean."""

PAD = 8
"""Voxels of unknown field between opposite faces, which the FFT makes neighbours."""

LEAST_SIGMA = float((2 * np.sqrt(np.pi) * LOCAL_MEAN) ** -3)
"""Where nothing was counted the rate is known to one count in the local mean's volume, no better."""

HEADROOM = float(np.log(2))
"""The fill may exceed the brightest measured voxel around by this factor (in log), no more.
Without a bound, kriging overshoots 4 to 50 times where a gap comes close to the Bragg peak."""


@dataclass(frozen=True, slots=True)
class LogField:
    """The posterior of log(1 + counts) over a band.

    Attributes
    ----------
    value
        Posterior mean, within the bound.
    mean
        The local mean that kriging works on top of.
    error
        One draw from the posterior's error, or None.
    """

    value: Tensor
    mean: Tensor
    error: Tensor | None


def fill(stack: NDArray[np.float32], mask: NDArray[np.bool_], *, iterations: int) -> Fill:
    """Fill one band by log-kriging.

    Parameters
    ----------
    stack
        float32 ``(frame, row, col)``, 0 in missing voxels.
    mask
        bool of the same shape, True = missing.
    iterations
        Steps of conjugate gradients.
    """
    field = krige(torch.from_numpy(stack), torch.from_numpy(mask), iterations, draw=True)
    assert field.error is not None
    # One draw of the error, smoothed over the gap, stands for its variance.
    weight = ndimage.gaussian_filter(mask.astype(np.float32), LOCAL_MEAN, truncate=3)
    squares = np.where(mask, field.error.numpy() ** 2, 0).astype(np.float32)
    variance = ndimage.gaussian_filter(squares, LOCAL_MEAN, truncate=3) / np.maximum(weight, 1e-3)
    rate, sigma = np.zeros_like(stack), np.zeros_like(stack)
    rate[mask], spread = expected_counts(field.value.numpy()[mask], variance[mask])
    sigma[mask] = np.maximum(spread, LEAST_SIGMA)
    return Fill(rate, sigma)


def krige(stack: Tensor, mask: Tensor, iterations: int, *, draw: bool = False) -> LogField:
    """Posterior mean of log(1 + counts), on the device of `stack`.

    Parameters
    ----------
    stack
        float32 ``(frame, row, col)``, 0 in missing voxels.
    mask
        bool, True = missing.
    iterations
        Steps of conjugate gradients.
    draw
        Draw from the posterior's error too, at twice the cost.
    """
    shape = tuple(fft.next_fast_len(n + PAD, real=True) for n in stack.shape)
    box = tuple(slice(0, n) for n in stack.shape)
    known = stack.new_zeros(shape)
    known[box] = (~mask).float()
    z = stack.new_zeros(shape)
    z[box] = torch.log1p(stack)
    z *= known

    mean = _local_mean(z, known, WIDE_MEAN, 0)
    mean += _local_mean((z - mean) * known, known, LOCAL_MEAN, FAR_FROM_DATA)
    rate = torch.expm1(mean).clamp_min(0.02)
    residual = (z - mean) * known
    spectrum, variance = _spectrum(residual, known)
    # Variance of log(1 + n) for Poisson n, to first order.
    noise = (rate / (1 + rate) ** 2).clamp_min(NOISE_FLOOR * variance)

    precision = known / noise
    value = mean + _posterior_mean(residual, precision, spectrum, iterations)
    error = None
    if draw:
        # Perturb and solve: the error made on a synthetic field has the posterior's distribution.
        generator = torch.Generator().manual_seed(0)
        white = torch.randn(shape, generator=generator).to(stack)
        prior = _inverse(_forward(white) * spectrum.sqrt(), shape)
        seen = torch.randn(shape, generator=generator).to(stack) * noise.sqrt()
        seen = (prior + seen) * known
        error = _posterior_mean(seen, precision, spectrum, iterations) - prior
        # The field is less lively where there are no counts than where there are fringes.
        liveliness = _local_mean(residual.square(), known, LOCAL_MEAN, 0) / variance
        error = (error * liveliness.clamp(0, 1).sqrt())[box]

    bound = _brightest_around(z[box], mask) + HEADROOM
    return LogField(
        value=torch.minimum(value[box], bound),
        mean=mean[box],
        error=error,
    )


def _local_mean(field: Tensor, known: Tensor, width: float, doubt: float) -> Tensor:
    """Gaussian mean of the known voxels; it falls to 0 where their share of the weight is below `doubt`."""
    smooth = _gaussian(field.shape, width, field.device)
    weight = _inverse(_forward(known) * smooth, field.shape)
    return _inverse(_forward(field) * smooth, field.shape) / (weight + doubt).clamp_min(1e-4)


def _spectrum(residual: Tensor, known: Tensor) -> tuple[Tensor, float]:
    """Power spectrum of the field from the covariance between measured voxels, and its variance."""
    shape = residual.shape
    pairs = _inverse(_forward(known).abs().square(), shape)
    covariance = _inverse(_forward(residual).abs().square(), shape) / pairs.clamp_min(1)
    # Lags that few pairs of voxels span say nothing.
    covariance *= _taper(shape, CORRELATION, residual.device) * (pairs > 1e-3 * pairs.max())
    variance = float(covariance.flatten()[0].clamp_min(1e-6))
    spectrum = _forward(covariance).real.clamp_min(0)
    power = float(_inverse(spectrum.to(torch.complex64), shape).flatten()[0])
    return spectrum * (variance / max(power, 1e-12)) + 1e-6, variance


def _posterior_mean(data: Tensor, precision: Tensor, spectrum: Tensor, iterations: int) -> Tensor:
    """Conjugate gradients for (1/S + P) x = P data, where S is diagonal in Fourier space and P in real space.

    Preconditioned by (1/S + p)^-1 with a single precision p in the place of P. What 1/S does to a
    search direction follows from the recurrence, so that a step takes one pair of FFTs.
    """
    typical = TYPICAL_PRECISION * float(precision.sum() / precision.count_nonzero().clamp_min(1))
    gain = spectrum / (1 + typical * spectrum)

    def precondition(remainder: Tensor) -> Tensor:
        return _inverse(_forward(remainder) * gain, data.shape)

    solution = torch.zeros_like(data)
    remainder = data * precision
    smooth = precondition(remainder)
    direction = smooth.clone()
    stiff = remainder - typical * smooth  # 1/S times the direction
    size = (remainder * smooth).sum()
    for _ in range(iterations):
        image = torch.addcmul(stiff, precision, direction)
        step = size / (direction * image).sum().clamp_min(1e-20)
        solution += step * direction
        remainder -= step * image
        smooth = precondition(remainder)
        previous, size = size, (remainder * smooth).sum()
        turn = size / previous.clamp_min(1e-20)
        direction = smooth + turn * direction
        stiff = remainder - typical * smooth + turn * stiff
    return solution


def _brightest_around(z: Tensor, mask: Tensor) -> Tensor:
    """The largest measured log count within reach of each voxel: half the gap and a little more."""
    measured = np.where(mask.cpu().numpy(), 0, z.cpu().numpy())
    reach = gap_depth(mask) + 3
    return torch.from_numpy(ndimage.maximum_filter(measured, 2 * reach + 1)).to(z.device)


def gap_depth(mask: Tensor) -> int:
    """Voxels from the deepest missing one to the nearest measured one; 0 without a gap."""
    gap = mask.cpu().numpy()
    return int(ndimage.distance_transform_cdt(gap, metric="chessboard").max()) if gap.any() else 0


def _forward(field: Tensor) -> Tensor:
    spectrum: Tensor = torch.fft.rfftn(field, dim=(-3, -2, -1))
    return spectrum


def _inverse(spectrum: Tensor, shape: tuple[int, ...] | torch.Size) -> Tensor:
    field: Tensor = torch.fft.irfftn(spectrum, s=tuple(shape), dim=(-3, -2, -1))
    return field


def _gaussian(shape: tuple[int, ...], width: float, device: torch.device) -> Tensor:
    """Transfer function of a Gaussian of standard deviation `width` voxels."""
    rows = [torch.fft.fftfreq(n, device=device) for n in shape[:-1]]
    rows.append(torch.fft.rfftfreq(shape[-1], device=device))
    first, second, third = (torch.exp(-2 * (np.pi * width * f) ** 2) for f in rows)
    return first[:, None, None] * second[:, None] * third


def _taper(shape: torch.Size, width: float, device: torch.device) -> Tensor:
    """A Gaussian of the lag, periodic."""
    parts = []
    for n in shape:
        lag = torch.arange(n, device=device)
        parts.append(torch.exp(-0.5 * (torch.minimum(lag, n - lag) / width) ** 2))
    return parts[0][:, None, None] * parts[1][:, None] * parts[2]
