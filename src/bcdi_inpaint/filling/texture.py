"""How log counts vary about their local mean, estimated from the measured voxels around the Bragg peak."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .fourier import embedded, forward, grid_for, lags, taper, transform_of_lags
from .local_mean import local_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from .bands import Box
    from .fourier import Shape

CORRELATION = 12.0
"""Standard deviation (voxels) of the taper on the covariance; longer lags are noise."""

LAGS = 36
"""Longest lag of the covariance in voxels, where the taper is nearly 0."""

SAMPLE = 96
"""Edge in voxels of the box that the texture is estimated from. The gap's surroundings are too few voxels:
with 24 voxels on either side, a fill of 12 is an eighth further from the noise ceiling."""

WAVELENGTHS = (3.0, 100.0)
"""Range of root mean square wavelengths in voxels."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Log counts around the Bragg peak.

    Attributes
    ----------
    box
        Where in the stack.
    mean
        float32 ``(frame, row, col)``, local mean of log(1 + counts).
    residual
        What measured voxels are above it, 0 in missing ones.
    known
        1 in measured voxels, 0 in missing ones.
    """

    box: Box
    mean: Tensor
    residual: Tensor
    known: Tensor


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

    @property
    def wavelengths(self) -> tuple[float, float, float]:
        """Root mean square wavelength in voxels along each axis: some four fringe periods.

        From the covariance's curvature between lags 1 and 2, since lag 0 contains the photon noise, too.
        """
        first, second, third = (self._wavelength(axis) for axis in range(3))
        return first, second, third

    def _wavelength(self, axis: int) -> float:
        place: list[slice | int] = [LAGS, LAGS, LAGS]
        place[axis] = slice(LAGS + 1, LAGS + 3)
        one, two = self.covariance[tuple(place)].tolist()
        fall = one - two
        if fall <= 0:
            return WAVELENGTHS[1]
        curvature = fall / 1.5 / (one + fall / 3)
        return min(
            max(2 * math.pi / math.sqrt(max(curvature, 1e-6)), WAVELENGTHS[0]), WAVELENGTHS[1]
        )

    def spectrum(self, grid: Shape) -> Tensor:
        """Power spectrum of the field on a grid."""
        spectrum = transform_of_lags(self.covariance, grid).real.clamp_min(0)
        # Its mean over all waves, of which the transform of a real field holds one of each pair.
        alone = spectrum[..., 0].sum() + (spectrum[..., -1].sum() if grid[2] % 2 == 0 else 0)
        power = float(2 * spectrum.sum() - alone) / math.prod(grid)
        return spectrum * (self.variance / max(power, 1e-12)) + 1e-6


def sample_of(stack: NDArray[np.floating], mask: NDArray[np.bool_]) -> Sample:
    """The `SAMPLE` voxels of a stack along each axis with the most signal.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts of any size, 0 in missing voxels.
    mask
        bool, the same shape, True = missing.
    """
    box = _liveliest(stack)
    counts = torch.from_numpy(stack[box].clip(min=0).astype(np.float32))
    known = torch.from_numpy(~mask[box]).float()
    logs = torch.log1p(counts)
    mean = local_mean(logs, known)
    return Sample(box, mean, (logs - mean) * known, known)


def texture_of(sample: Sample) -> Texture:
    """Estimate the texture."""
    extent = tuple(sample.known.shape)
    grid = grid_for(extent, LAGS)
    pairs, products = (
        lags(forward(embedded(x, grid)).abs().square(), grid, (0, 0, 0), LAGS, extent)
        for x in (sample.known, sample.residual)
    )
    # Lags with few pairs of voxels are left out.
    covariance = products / pairs.clamp_min(1) * (pairs > 1e-3 * pairs.max())
    covariance *= taper(LAGS, CORRELATION)
    return Texture(covariance, float(covariance[LAGS, LAGS, LAGS].clamp_min(1e-6)))


def _liveliest(stack: NDArray[np.floating]) -> Box:
    """Where most log counts are, axis by axis, so that a hot pixel is not taken for the Bragg peak."""
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
