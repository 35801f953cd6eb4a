"""The local mean of log counts, on which kriging and the network work."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

WIDE, NARROW = 16.0, 5.0
"""Standard deviations (voxels) of the Gaussians that make the local mean: the narrow one refines the wide
one, except far inside a wide gap."""

FAR_FROM_DATA = 0.05
"""Share of the narrow Gaussian's weight on known voxels below which it is hardly used."""

LET_THROUGH = 1e-6
"""Share of an oscillation above which a Gaussian is said to let it through."""


def local_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Two-scale weighted Gaussian mean.

    Parameters
    ----------
    values
        float32 ``(..., frame, row, col)``; those without weight don't count.
    weight
        The same shape, 0 to 1.
    """
    mean = _weighted(values, weight, WIDE, 0)
    return mean + _weighted(values - mean, weight, NARROW, FAR_FROM_DATA)


def gaussian(field: Tensor, width: float) -> Tensor:
    """Convolve the last three axes with a Gaussian of standard deviation `width` voxels.

    Outside of the box is 0. What a Gaussian lets through are few numbers for each line of voxels: each axis
    is reduced to these, then restored. That is several times faster than FFTs on padded grids.
    """
    first, second, third = (_factor(n, width).to(field.device) for n in field.shape[-3:])
    found = torch.matmul(second.t(), field @ third)
    found = torch.matmul(first @ first.t(), found.flatten(-2)).reshape(found.shape)
    smooth: Tensor = torch.matmul(second, found) @ third.t()
    return smooth


def _weighted(values: Tensor, weight: Tensor, width: float, doubt: float) -> Tensor:
    """Falls to 0 where the share of the Gaussian on weighted voxels is below `doubt`."""
    total = gaussian(weight, width)
    return gaussian(values * weight, width) / (total + doubt).clamp_min(1e-4)


@lru_cache(maxsize=64)
def _factor(length: int, width: float) -> Tensor:
    """The matrix that, times its transpose, convolves a line: ``(length, few)``."""
    place = torch.arange(length, dtype=torch.float64)
    distance = (place[:, None] - place) / width
    line = torch.exp(-0.5 * distance.square()) / (width * math.sqrt(2 * math.pi))
    strength, shapes = torch.linalg.eigh(line)
    kept = strength > LET_THROUGH
    factor: Tensor = shapes[:, kept] * strength[kept].sqrt()
    return factor.float()
