"""Where a scan's centre of symmetry is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..fourier import embedded, forward, grid_for, lags

if TYPE_CHECKING:
    from torch import Tensor

    from ..bands import Box
    from ..texture import Sample

SEARCH = 12
"""Voxels around the bright core within which the centre is searched."""

REACH = 40
"""Voxels around the bright core that are compared with their mirror images."""

STRENGTHS = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
"""Correlations of pairs that are tried for each centre."""

SPECKLE = 27.0
"""Voxels that share one independent fluctuation: 3 x 3 x 3."""

ELSEWHERE = 8
"""Least distance in voxels of 2c between different centres."""

FRINGES = (0.7, 5.0)
"""Range of brightness from which the coherence is estimated: below is noise, above the core."""


def brightest(sample: Sample) -> list[int]:
    """The brightest place of the local mean."""
    return [int(i) for i in np.unravel_index(int(sample.mean.argmax()), sample.mean.shape)]


@dataclass(frozen=True, slots=True)
class Centre:
    """The likeliest one: its place, its log likelihood ratio, and by how much that exceeds any elsewhere."""

    place: tuple[float, ...]
    evidence: float
    lead: float


def find_centre(sample: Sample, core: list[int], noise: Tensor) -> Centre:
    """The likeliest centre near the core.

    With x and x' whitened texture of a pair and r their correlation, the log likelihood ratio against
    independence is -log(1 - r^2) / 2 + (r x x' - r^2 (x^2 + x'^2) / 2) / (1 - r^2), weighted by how much
    of either is signal. Summed over the pairs of every centre, its three parts are autoconvolutions.
    """
    cut = around(core, sample.mean.shape, REACH)
    mean, known, error = sample.mean[cut], sample.known[cut], noise[cut]
    residual = sample.residual[cut]
    lit = known * (mean > FRINGES[0])
    excess = float(((residual.square() - error) * lit).sum() / lit.sum().clamp_min(1))
    # In dim places the logarithm of counts hardly varies.
    signal = max(excess, 0.05) * (-torch.expm1(-mean)).square()
    total = signal + error + 1e-3
    weight = signal / total * known
    white = (residual / total.sqrt()).clamp(-3, 3) * weight.sqrt()
    grid = grid_for(tuple(white.shape), 2 * SEARCH + 4)
    waves, power, weights = (forward(embedded(x, grid)) for x in (white, white.square(), weight))
    at = tuple(2 * (c - s.start) for c, s in zip(core, cut, strict=True))
    reach = 2 * SEARCH
    product, energy, number = (
        lags(x, grid, at, reach, grid) for x in (waves.square(), power * weights, weights.square())
    )
    ratio = torch.full_like(product, -torch.inf)
    for r in STRENGTHS:
        part = (r * product - r * r * energy) / (1 - r * r) - 0.5 * np.log(1 - r * r) * number
        ratio = torch.maximum(ratio, part)
    ratio /= SPECKLE
    best = [int(i) for i in np.unravel_index(int(ratio.argmax()), tuple(ratio.shape))]
    height = float(ratio[tuple(best)])
    elsewhere = ratio.clone()
    elsewhere[tuple(slice(max(b - ELSEWHERE, 0), b + ELSEWHERE + 1) for b in best)] = -torch.inf
    centre = tuple(
        c + (b - reach + _vertex(ratio, best, axis)) / 2
        for axis, (c, b) in enumerate(zip(core, best, strict=True))
    )
    return Centre(centre, height, height - float(elsewhere.max()))


def _vertex(ratio: Tensor, best: list[int], axis: int) -> float:
    """Of the parabola through the maximum and its neighbours along an axis, from -.5 to .5."""
    if not 0 < best[axis] < ratio.shape[axis] - 1:
        return 0.0
    place: list[slice | int] = list(best)
    place[axis] = slice(best[axis] - 1, best[axis] + 2)
    left, middle, right = ratio[tuple(place)].tolist()
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def around(centre: list[int], shape: tuple[int, ...], reach: int) -> Box:
    """A box around a voxel, as far on both sides as it can be on the longer one."""
    first, second, third = (
        slice(
            max(c - (half := min(reach, max(c, n - 1 - c))), 0),
            min(c + half + 1, n),
        )
        for c, n in zip(centre, shape, strict=True)
    )
    return (first, second, third)
