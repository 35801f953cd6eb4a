"""The local mean of log counts, on which kriging and the network work."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WIDE, NARROW = 16.0, 5.0
"""Standard deviations (voxels) of the Gaussians that make the local mean: the narrow one refines the wide
one, except far inside a wide gap."""

FAR_FROM_DATA = 0.05
"""Share of the narrow Gaussian's weight on known voxels below which it is hardly used."""


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

    Outside of the box is 0. One small matrix product for each axis: faster than FFTs on padded grids up to
    some hundred voxels.
    """
    first, second, third = (_kernel(n, width, field.device) for n in field.shape[-3:])
    smooth = torch.matmul(second, field @ third)
    return torch.matmul(first, smooth.flatten(-2)).reshape(field.shape)


def _weighted(values: Tensor, weight: Tensor, width: float, doubt: float) -> Tensor:
    """Falls to 0 where the share of the Gaussian on weighted voxels is below `doubt`."""
    total = gaussian(weight, width)
    return gaussian(values * weight, width) / (total + doubt).clamp_min(1e-4)


def _kernel(length: int, width: float, device: torch.device) -> Tensor:
    place = torch.arange(length, device=device)
    distance = (place[:, None] - place) / width
    return torch.exp(-0.5 * distance.square()) / (width * math.sqrt(2 * math.pi))
