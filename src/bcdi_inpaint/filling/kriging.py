"""Log-kriging: the gap as a Gaussian field whose spectrum the same pattern tells.

z = log(1 + counts) minus its local mean is taken as a stationary Gaussian field seen through Poisson
noise. Its covariance, the texture, is estimated from the measured voxels around the Bragg peak; its
posterior mean is found by conjugate gradients (Wiener filtering with a mask) close to the gap, and
turned into expected counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import fft, ndimage

from .method import Fill
from .poisson import expected_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from .bands import Box

WIDE_MEAN, LOCAL_MEAN = 16.0, 5.0
"""Standard deviations (voxels) of the Gaussians that make the local mean of log counts: the narrow one
refines the wide one, and leaves it alone far inside a wide gap."""

FAR_FROM_DATA = 0.05
"""Share of the narrow Gaussian's weight on measured voxels below which it has little to say."""

CORRELATION = 12.0
"""Standard deviation (voxels) of the taper on the covariance; longer lags are noise."""

LAGS = 36
"""Longest lag of the covariance in voxels: little is left of the taper there."""

SAMPLE = 96
"""Edge in voxels of the box that the texture is estimated from. What surrounds a gap is too little for
that: from 24 voxels on either side, a fill of 12 is an eighth further from the noise ceiling."""

REACH = 8
"""Voxels around a gap that the posterior is conditioned on; those beyond say nothing new."""

NOISE_FLOOR = 0.4
"""Least noise variance, as a share of the field's: what a stationary field can't explain."""

TYPICAL_PRECISION = 0.1
"""The preconditioner's precision, as a share of the measured voxels' mean."""

PAD = 16
"""Voxels of unknown field between opposite faces, which the FFT makes neighbours."""

DRAW_STEPS = 16
"""Steps for the draw: its variance needs no more, whatever the gap's width."""

LEAST_SIGMA = float((2 * np.sqrt(np.pi) * LOCAL_MEAN) ** -3)
"""Where nothing was counted the rate is known to one count in the local mean's volume, no better."""

HEADROOM = float(np.log(2))
"""The fill may exceed the brightest measured voxel around by this factor (in log), no more.
Without a bound, kriging overshoots 4 to 50 times where a gap comes close to the Bragg peak."""


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """How log counts vary about their local mean.

    Attributes
    ----------
    covariance
        float32 ``(lag, lag, lag)``, of lags -`LAGS` to `LAGS` voxels along each axis, tapered.
    variance
        That of lag 0.
    """

    covariance: Tensor
    variance: float

    def to(self, device: torch.device | str) -> Texture:
        """On another device."""
        return Texture(self.covariance.to(device), self.variance)


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
    """

    value: Tensor
    mean: Tensor
    error: Tensor | None


def texture_of(stack: NDArray[np.floating], mask: NDArray[np.bool_]) -> Texture:
    """Estimate the texture of a stack.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` of any size, 0 in missing voxels.
    mask
        bool, the same shape, True = missing.
    """
    box = _liveliest(stack)
    counts = torch.from_numpy(stack[box].clip(min=0).astype(np.float32))
    field = _above_local_mean(counts, torch.from_numpy(mask[box].copy()), LAGS)
    shape = field.known.shape
    pairs = _inverse(_forward(field.known).abs().square(), shape)
    products = _inverse(_forward(field.residual).abs().square(), shape)
    # Lags that few pairs of voxels span say nothing.
    covariance = _lags(products / pairs.clamp_min(1) * (pairs > 1e-3 * pairs.max()), counts.shape)
    lag = torch.arange(-LAGS, LAGS + 1)
    taper = torch.exp(-0.5 * (lag / CORRELATION) ** 2)
    covariance *= taper[:, None, None] * taper[:, None] * taper
    return Texture(covariance, float(covariance[LAGS, LAGS, LAGS].clamp_min(1e-6)))


def fill(
    stack: NDArray[np.float32], mask: NDArray[np.bool_], *, texture: Texture, iterations: int
) -> Fill:
    """Fill one band by log-kriging.

    Parameters
    ----------
    stack
        float32 ``(frame, row, col)``, 0 in missing voxels.
    mask
        bool of the same shape, True = missing.
    texture
        Of the whole stack.
    iterations
        Steps of conjugate gradients.
    """
    field = krige(torch.from_numpy(stack), torch.from_numpy(mask), texture, iterations, draw=True)
    assert field.error is not None
    # One draw of the error, smoothed over the gap, stands for its variance.
    weight = ndimage.gaussian_filter(mask.astype(np.float32), LOCAL_MEAN, truncate=3)
    squares = np.where(mask, field.error.numpy() ** 2, 0).astype(np.float32)
    variance = ndimage.gaussian_filter(squares, LOCAL_MEAN, truncate=3) / np.maximum(weight, 1e-3)
    rate, sigma = np.zeros_like(stack), np.zeros_like(stack)
    rate[mask], spread = expected_counts(field.value.numpy()[mask], variance[mask])
    sigma[mask] = np.maximum(spread, LEAST_SIGMA)
    return Fill(rate, sigma)


def krige(
    stack: Tensor, mask: Tensor, texture: Texture, iterations: int, *, draw: bool = False
) -> LogField:
    """Posterior mean of log(1 + counts), on the device of `stack`.

    Parameters
    ----------
    stack
        float32 ``(frame, row, col)``, 0 in missing voxels.
    mask
        bool, True = missing.
    texture
        On the same device.
    iterations
        Steps of conjugate gradients.
    draw
        Draw from the posterior's error too, at half the cost again.
    """
    field = _above_local_mean(stack, mask, PAD)
    rate = torch.expm1(field.mean).clamp_min(0.02)
    # Variance of log(1 + n) for Poisson n, to first order.
    noise = (rate / (1 + rate) ** 2).clamp_min(NOISE_FLOOR * texture.variance)

    core = _around(mask)
    shape = _grid(mask[core].shape, PAD)
    known, residual = (_embedded(x[core], shape) for x in (field.known, field.residual))
    precision = _embedded((field.known / noise)[core], shape)
    spectrum = _spectrum(texture, shape)
    inside = tuple(slice(0, n) for n in mask[core].shape)
    box = tuple(slice(0, n) for n in stack.shape)
    mean = field.mean[box]
    value = mean.clone()
    value[core] += _posterior_mean(residual, precision, spectrum, iterations)[inside]
    error = None
    if draw:
        # Perturb and solve: the error made on a synthetic field has the posterior's distribution.
        generator = torch.Generator().manual_seed(0)
        white = torch.randn(shape, generator=generator).to(stack)
        prior = _inverse(_forward(white) * spectrum.sqrt(), shape)
        seen = torch.randn(shape, generator=generator).to(stack)
        seen *= _embedded(noise[core].sqrt(), shape)
        seen = (prior + seen) * known
        missed = _posterior_mean(seen, precision, spectrum, DRAW_STEPS) - prior
        # The field is less lively where there are no counts than where there are fringes.
        liveliness = _local_mean(field.residual.square(), field.known, LOCAL_MEAN, 0)
        liveliness = (liveliness[core] / texture.variance).clamp(0, 1).sqrt()
        error = torch.zeros_like(value)
        error[core] = missed[inside] * liveliness

    bound = _brightest_around(torch.log1p(stack), mask) + HEADROOM
    return LogField(value=torch.minimum(value, bound), mean=mean, error=error)


class _Field(NamedTuple):
    """Log counts on a padded grid: the local mean, what measured voxels are above it, which those are."""

    mean: Tensor
    residual: Tensor
    known: Tensor


def _above_local_mean(stack: Tensor, mask: Tensor, pad: int) -> _Field:
    shape = _grid(stack.shape, pad)
    known = _embedded((~mask).float(), shape)
    z = _embedded(torch.log1p(stack), shape) * known
    mean = _local_mean(z, known, WIDE_MEAN, 0)
    mean += _local_mean((z - mean) * known, known, LOCAL_MEAN, FAR_FROM_DATA)
    return _Field(mean, (z - mean) * known, known)


def _local_mean(field: Tensor, known: Tensor, width: float, doubt: float) -> Tensor:
    """Gaussian mean of the known voxels; it falls to 0 where their share of the weight is below `doubt`."""
    smooth = _gaussian(field.shape, width, field.device)
    weight = _inverse(_forward(known) * smooth, field.shape)
    return _inverse(_forward(field) * smooth, field.shape) / (weight + doubt).clamp_min(1e-4)


def _liveliest(stack: NDArray[np.floating]) -> Box:
    """Where most log counts are, axis by axis: a hot pixel is no Bragg peak."""
    frames, rows, cols = stack.shape
    if max(stack.shape) <= SAMPLE:
        return (slice(0, frames), slice(0, rows), slice(0, cols))
    by_frame, image = np.zeros(frames), np.zeros((rows, cols))
    for i, frame in enumerate(stack):
        logs = np.log1p(frame.clip(min=0))
        by_frame[i] = logs.sum()
        image += logs

    def widest(profile: NDArray[np.floating]) -> slice:
        sums = np.convolve(profile, np.ones(min(SAMPLE, len(profile))), mode="valid")
        return slice(start := int(np.argmax(sums)), start + SAMPLE)

    return (widest(by_frame), widest(image.sum(1)), widest(image.sum(0)))


def _lags(periodic: Tensor, extent: tuple[int, ...]) -> Tensor:
    """Lags -`LAGS` to `LAGS` of a covariance on a padded grid; 0 where a box of `extent` has none."""
    reach = [min(LAGS, n - 1) for n in extent]
    centred = torch.roll(periodic, reach, (0, 1, 2))
    lags = periodic.new_zeros([2 * LAGS + 1] * 3)
    there = tuple(slice(LAGS - r, LAGS + r + 1) for r in reach)
    lags[there] = centred[tuple(slice(0, 2 * r + 1) for r in reach)]
    return lags


def _spectrum(texture: Texture, shape: tuple[int, ...]) -> Tensor:
    """Power spectrum of the field on a grid."""
    reach = [min(LAGS, (n - 1) // 2) for n in shape]
    there = tuple(slice(LAGS - r, LAGS + r + 1) for r in reach)
    periodic = torch.roll(
        _embedded(texture.covariance[there], shape), [-r for r in reach], (0, 1, 2)
    )
    spectrum = _forward(periodic).real.clamp_min(0)
    power = float(_inverse(spectrum.to(torch.complex64), shape).flatten()[0])
    return spectrum * (texture.variance / max(power, 1e-12)) + 1e-6


def _around(mask: Tensor) -> Box:
    """The box around the missing voxels, with `REACH` around it where there is room."""
    first, second, third = (
        slice(max(int(at.min()) - REACH, 0), min(int(at.max()) + 1 + REACH, n))
        for at, n in zip(torch.nonzero(mask, as_tuple=True), mask.shape, strict=True)
    )
    return (first, second, third)


def _grid(shape: tuple[int, ...], pad: int) -> tuple[int, ...]:
    """Sizes that FFTs like, with at least `pad` voxels between opposite faces."""
    return tuple(fft.next_fast_len(n + pad, real=True) for n in shape)


def _embedded(box: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A box at the corner of a grid that is 0 elsewhere."""
    grid = box.new_zeros(shape)
    grid[tuple(slice(0, n) for n in box.shape)] = box
    return grid


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
