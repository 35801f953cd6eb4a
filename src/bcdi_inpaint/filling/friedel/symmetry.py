"""A scan's centre of symmetry, and how well its measured voxels agree with their mirror images.

Without strain a Bragg peak is centrosymmetric, I(c + d) = I(c - d): what a gap hides was measured at its
mirror image, its Friedel twin. Strain removes a part of that symmetry; how much is estimated from measured
pairs of voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..fourier import (
    embedded,
    forward,
    frequencies,
    grid_for,
    lags,
    taper,
    transform_of_lags,
)
from ..mirroring import mirrored
from ..poisson import variance_of_log
from .centre import FRINGES, around, brightest, find_centre

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ..fourier import Shape
    from ..texture import Sample

    Place = tuple[float, float, float]

NEAR_CORE = 6.0
"""Largest distance in voxels of a centre from the bright core along each axis; further ones are chance."""

EVIDENCE, LEAD, LEAD_SHARE = 60.0, 20.0, 0.2
"""A centre is believed if its log likelihood ratio against no symmetry at all, in independent
fluctuations, is at least the first, and exceeds that of any centre elsewhere by the second and by this
share of itself. Chosen on simulated scans of the training families: `docs/twin.md`."""

LEVELS = (0.3, 0.7, 1.2, 2.0, 3.5, 5.0)
"""Edges of the classes of brightness (local mean log counts) whose pairs are correlated separately."""

TAPER = 6.0
"""Standard deviation (voxels) of the taper on cross-covariances."""

LAGS = 18
"""Longest lag of the cross-covariance: three times the taper."""

TRUST = 0.75
"""Share of the measured coherence that is used: it is too high, since it comes from brighter places than most
of a gap, and from the centre where it is largest. The best share in gaps of 6 to 38 px on the measured scan
and on simulated ones is .6 to 1."""

LARGEST = 0.95

PRIOR_PAIRS = 500.0
"""Weight of the whole scan's correlation in that of each class of brightness, in pairs."""


@dataclass(frozen=True, slots=True, eq=False)
class Symmetry:
    """The symmetry of a scan.

    Attributes
    ----------
    centre
        (frame, row, col) in voxels of the stack; the brightest place where no centre is believed.
    believed
        Whether measured pairs are sufficient evidence for it.
    correlation
        Of the texture at q and at 2c - q, photon noise taken out, 0 to 1; 0 where nothing is believed.
    by_level
        ``(7,)``: the same in each class of brightness, see `LEVELS`.
    wavelengths
        Of the texture along each axis, voxels.
    evidence, lead
        Log likelihood ratios, see `EVIDENCE`.
    cross, auto
        Covariance of the texture with its mirror image, and with itself, at lags -`LAGS` to `LAGS`;
        None where nothing is believed.
    """

    centre: Place
    believed: bool
    correlation: float
    by_level: NDArray[np.float32]
    wavelengths: Place
    evidence: float = 0.0
    lead: float = 0.0
    cross: Tensor | None = None
    auto: Tensor | None = None

    @property
    def mirror(self) -> tuple[int, int, int]:
        """The whole numbers next to 2c: voxel q is compared with voxel mirror - q."""
        first, second, third = (round(2 * c) for c in self.centre)
        return first, second, third

    @property
    def offset(self) -> Place:
        """What 2c is above `mirror`."""
        first, second, third = (2 * c - m for c, m in zip(self.centre, self.mirror, strict=True))
        return first, second, third

    def to(self, device: torch.device | str) -> Symmetry:
        """On another device."""
        if self.cross is None or self.auto is None:
            return self
        return replace(self, cross=self.cross.to(device), auto=self.auto.to(device))

    def coherence(self, grid: Shape) -> Tensor:
        """Correlation of the field with its mirror image for each Fourier component of a grid, 0 to 1.

        Fringes and their envelope are not equally symmetric.
        """
        assert self.cross is not None
        assert self.auto is not None
        cross = transform_of_lags(self.cross, grid) * shift(grid, self.offset, self.cross.device)
        auto = transform_of_lags(self.auto, grid).real
        auto = auto.clamp_min(1e-3 * float(auto.max()) + 1e-12)
        return (cross.real / auto).clamp(0, LARGEST) * TRUST

    def agreement(self, mean: Tensor) -> Tensor:
        """Correlation at a local mean of log counts, of the same shape."""
        levels = torch.tensor(LEVELS).to(mean.device)
        table = torch.from_numpy(self.by_level).to(mean.device)
        return table[torch.bucketize(mean, levels)]


def shift(grid: Shape, by: Place, device: torch.device) -> Tensor:
    """Phase factors that shift a field by minus so many voxels."""
    turns = sum(f * offset for f, offset in zip(frequencies(grid, device), by, strict=True))
    assert isinstance(turns, torch.Tensor)
    return torch.polar(torch.ones_like(turns), 2 * np.pi * turns)


def symmetry_of(sample: Sample, wavelengths: Place) -> Symmetry:
    """Find a scan's centre, and how well its halves agree.

    Parameters
    ----------
    sample
        Of the whole stack.
    wavelengths
        Of the texture along each axis, voxels.
    """
    start, mean, core = [s.start for s in sample.box], sample.mean, brightest(sample)
    noise = torch.from_numpy(variance_of_log(mean.numpy()).astype(np.float32))
    found = find_centre(sample, core, noise)
    first, second, third = (s + c for s, c in zip(start, found.place, strict=True))
    near = max(abs(a - b) for a, b in zip(found.place, core, strict=True)) <= NEAR_CORE
    lead = max(LEAD, LEAD_SHARE * found.evidence)
    if not (near and found.evidence >= EVIDENCE and found.lead >= lead):
        return replace(
            without_symmetry(sample, wavelengths), evidence=found.evidence, lead=found.lead
        )
    overall, by_level = _correlations(sample, found.place, noise)
    cross, auto = _covariances(sample, found.place, noise)
    return Symmetry(
        (first, second, third),
        overall > 0,
        overall,
        by_level,
        wavelengths,
        found.evidence,
        found.lead,
        cross,
        auto,
    )


def without_symmetry(sample: Sample, wavelengths: Place) -> Symmetry:
    """No symmetry; the brightest place is the centre."""
    first, second, third = (
        float(s.start + c) for s, c in zip(sample.box, brightest(sample), strict=True)
    )
    nothing = np.zeros(len(LEVELS) + 1, np.float32)
    return Symmetry((first, second, third), False, 0.0, nothing, wavelengths)


def _correlations(
    sample: Sample, centre: tuple[float, ...], noise: Tensor
) -> tuple[float, NDArray[np.float32]]:
    """Noise-corrected correlation of all pairs, and by brightness."""
    mirror = [round(2 * c) for c in centre]
    known, residual, mean = (x.numpy() for x in (sample.known, sample.residual, sample.mean))
    both = known * mirrored(known, mirror)
    products = residual * mirrored(residual, mirror)
    # Over all pairs, either half of a pair has the same mean square: each pair is met twice.
    signals = residual * residual - noise.numpy()
    level = np.digitize((mean + mirrored(mean, mirror)) / 2, LEVELS)
    number = len(LEVELS) + 1
    product, signal, pairs = (
        np.bincount(level.ravel(), (x * both).ravel(), number) for x in (products, signals, both)
    )
    # The first class is all noise, the last the core.
    told = slice(2, number - 1)
    overall = product[told].sum() / signal[told].sum() if signal[told].sum() > 0 else 0.0
    overall = float(np.clip(overall, 0, LARGEST))
    scale = PRIOR_PAIRS * signal[told].sum() / max(pairs[told].sum(), 1)
    by_level = (product + scale * overall) / np.maximum(signal + scale, 1e-9)
    by_level[: told.start] = by_level[told.start]
    return overall, by_level.clip(0, LARGEST).astype(np.float32)


def _covariances(sample: Sample, centre: tuple[float, ...], noise: Tensor) -> tuple[Tensor, Tensor]:
    """Covariance of the texture with its mirror image and with itself, tapered."""
    cut = around([round(c) for c in centre], sample.mean.shape, max(sample.mean.shape))
    mean = sample.mean[cut]
    lit = sample.known[cut] * (mean > FRINGES[0]) * (mean < FRINGES[1])
    residual = sample.residual[cut] * lit
    extent = tuple(mean.shape)
    grid = grid_for(extent, 2 * LAGS)
    pairs, waves = forward(embedded(lit, grid)), forward(embedded(residual, grid))
    at = tuple(round(2 * (c - s.start)) for c, s in zip(centre, cut, strict=True))

    def summed(spectrum: Tensor, at: Shape) -> Tensor:
        return lags(spectrum, grid, at, LAGS, grid)

    def covariance(products: Tensor, number: Tensor) -> Tensor:
        ratio = products / number.clamp_min(1) * (number > 1e-3 * number.max())
        return ratio * taper(LAGS, TAPER)

    here = (0, 0, 0)
    itself = summed(waves.abs().square(), here)
    itself[LAGS, LAGS, LAGS] -= (noise[cut] * lit).sum()
    auto = covariance(itself, summed(pairs.abs().square(), here))
    return covariance(summed(waves.square(), at), summed(pairs.square(), at)), auto
