"""Fourier transforms of boxes, on grids padded with zeros."""

from __future__ import annotations

import torch
from scipy import fft
from torch import Tensor

Shape = tuple[int, ...]


def grid_for(shape: Shape, padding: int) -> Shape:
    """Sizes that are fast for FFTs, with at least `padding` voxels between opposite faces."""
    return tuple(fft.next_fast_len(n + padding, real=True) for n in shape)


def embedded(box: Tensor, grid: Shape) -> Tensor:
    """A box at the corner of a grid that is 0 elsewhere."""
    field = box.new_zeros(grid)
    field[tuple(slice(0, n) for n in box.shape)] = box
    return field


def corner(field: Tensor, shape: Shape) -> Tensor:
    """What `embedded` has put on a grid."""
    return field[tuple(slice(0, n) for n in shape)]


def forward(field: Tensor) -> Tensor:
    """Transform of real fields over the last three axes."""
    spectrum: Tensor = torch.fft.rfftn(field, dim=(-3, -2, -1))
    return spectrum


def inverse(spectrum: Tensor, grid: Shape) -> Tensor:
    """Real fields of such transforms."""
    field: Tensor = torch.fft.irfftn(spectrum, s=grid, dim=(-3, -2, -1))
    return field


def frequencies(grid: Shape, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Cycles a voxel along each axis, to be broadcast over a transform."""
    first, second = (torch.fft.fftfreq(n, device=device) for n in grid[:2])
    return first[:, None, None], second[:, None], torch.fft.rfftfreq(grid[2], device=device)


def lags(spectrum: Tensor, grid: Shape, at: Shape, reach: int, extent: Shape) -> Tensor:
    """Lags -`reach` to `reach` around a place of a correlation, from its transform.

    Axis by axis, only what is wanted is transformed further, which is faster than `inverse`.

    Parameters
    ----------
    spectrum, grid
        Of `forward`, and the shape of what it transformed.
    at
        Grid index of lag 0, of any sign.
    reach
        Longest lag.
    extent
        Size of the box that was correlated: it has no lags beyond, they are 0.
    """
    within = [min(reach, n - 1, (size - 1) // 2) for n, size in zip(extent, grid, strict=True)]
    first, second, third = (
        torch.arange(a - w, a + w + 1, device=spectrum.device) % size
        for a, w, size in zip(at, within, grid, strict=True)
    )
    wanted = torch.fft.ifft(spectrum, dim=0)[first]
    wanted = torch.fft.ifft(wanted, dim=1)[:, second]
    found = spectrum.new_zeros([2 * reach + 1] * 3, dtype=torch.float32)
    there = tuple(slice(reach - w, reach + w + 1) for w in within)
    found[there] = torch.fft.irfft(wanted, n=grid[2])[..., third]
    return found


def transform_of_lags(found: Tensor, grid: Shape) -> Tensor:
    """Transform of `lags` on a grid of another size."""
    reach = found.shape[0] // 2
    within = [min(reach, (n - 1) // 2) for n in grid]
    there = tuple(slice(reach - w, reach + w + 1) for w in within)
    periodic = torch.roll(embedded(found[there], grid), [-w for w in within], (0, 1, 2))
    return forward(periodic)


def taper(reach: int, width: float) -> Tensor:
    """A Gaussian over lags -`reach` to `reach` along each axis."""
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    return line[:, None, None] * line[:, None] * line
