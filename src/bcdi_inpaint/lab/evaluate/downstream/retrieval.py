"""A small phase retrieval, RAAR and then ER, that takes bounds instead of amplitudes.

Every way to treat a gap is a pair of bounds on the amplitude of each voxel: equal ones are a measured
or a hard-filled voxel, ``(0, inf)`` leaves it free, anything between is a confidence band.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..patterns import Bools, Waves

    Floats = NDArray[np.floating]

SUPPORT_AREA = 0.5
"""Edge of the first support over the array's, as in cohere: objects are oversampled twice at least."""

FREE_SHARE, FREE_RADIUS, FREE_CENTRE = 0.02, 2, 0.05
"""Share, radius of the islands and unfree central share of the voxels that rank solutions.

PyNX frees 5 % in islands of radius 3, which here would be as wide as two fringes: gaps of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What is known of each voxel's amplitude, square root of counts: ``low <= amplitude <= high``.

    Both are ``(frame, row, col)`` float32.
    """

    low: Floats
    high: Floats

    @classmethod
    def of(cls, low: Floats, high: Floats) -> Bounds:
        """From bounds on the counts, negative ones taken for 0."""
        return cls(*(np.sqrt(np.maximum(i, 0)).astype(np.float32) for i in (low, high)))

    def freed(self, voxels: Bools) -> Bounds:
        """The same with nothing known of the given voxels."""
        return Bounds(
            np.where(voxels, np.float32(0), self.low),
            np.where(voxels, np.float32(np.inf), self.high),
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """What one start does.

    Attributes
    ----------
    raar, er
        Iterations of each.
    beta
        Relaxation of RAAR (Luke 2005, Inverse Problems 21, 37).
    shrink
        Iterations between two updates of the support.
    threshold
        Of the blurred modulus over its maximum: what is above is support.
    blur
        Standard deviation in voxels of that blur, at the first update and at the last.
    """

    raar: int = 160
    er: int = 30
    beta: float = 0.95
    shrink: int = 10
    threshold: float = 0.2
    blur: tuple[float, float] = (2.0, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What one start found: a complex object whose FFT has its zero frequency at ``[0, 0, 0]``.

    Its merit, smaller is better, is the free log-likelihood: mean Poisson deviance, a voxel, of the measured
    voxels that the retrieval did not see.
    """

    image: Waves
    merit: float


def free_voxels(measured: Bools, rng: np.random.Generator) -> Bools:
    """Draw the voxels that rank solutions: small islands of measured ones away from the centre.

    `measured`, bool ``(frame, row, col)``, is where there are counts in all the ways that are compared.
    """
    shape = measured.shape
    island = ndimage.iterate_structure(ndimage.generate_binary_structure(3, 1), FREE_RADIUS)
    seeds = rng.random(shape) < FREE_SHARE / island.sum()
    free: Bools = ndimage.binary_dilation(seeds, island) & measured
    half = [int(np.ceil(n * FREE_CENTRE ** (1 / 3) / 2)) for n in shape]
    free[tuple(slice(n // 2 - h, n // 2 + h) for n, h in zip(shape, half, strict=True))] = False
    return free


def retrieve(
    bounds: Bounds,
    counts: Floats,
    free: Bools,
    *,
    seed: int,
    schedule: Schedule = Schedule(),
    device: str = "cpu",
) -> Solution:
    """Reconstruct from one random start, with the peak near the array's centre.

    `free` are the voxels that are kept from the retrieval, and whose measured counts rank it.
    """
    import torch

    known = bounds.freed(free)
    low, high = (torch.from_numpy(np.fft.ifftshift(b)).to(device) for b in (known.low, known.high))
    shape = known.low.shape
    box = [int(n * SUPPORT_AREA) for n in shape]
    support = torch.zeros(shape, dtype=torch.bool, device=device)
    support[tuple(slice((n - b) // 2, (n + b) // 2) for n, b in zip(shape, box, strict=True))] = (
        True
    )
    rng = np.random.default_rng(seed)
    start = rng.random(shape, np.float32) * np.exp(2j * np.pi * rng.random(shape, np.float32))
    image = torch.from_numpy(start.astype(np.complex64)).to(device) * support
    image *= low.norm() / torch.fft.fftn(image).norm()

    updates = max(schedule.raar // schedule.shrink - 1, 1)
    for iteration in range(schedule.raar):
        inside = _within(image, low, high)
        image = torch.where(
            support, inside, schedule.beta * image + (1 - 2 * schedule.beta) * inside
        )
        if iteration % schedule.shrink == schedule.shrink - 1:
            share = min(iteration // schedule.shrink / updates, 1.0)
            width = schedule.blur[0] + (schedule.blur[1] - schedule.blur[0]) * share
            support = _shrunk(inside, width, schedule.threshold)
    for _ in range(schedule.er):
        image = _within(image, low, high) * support
    # One more step of ER would put the bounds' own amplitudes into the figure of merit.
    found = np.fft.fftshift(torch.fft.fftn(image).abs().cpu().numpy())
    return Solution(image.cpu().numpy(), _deviance(counts[free], found[free] ** 2))


def _within(image: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The image with its amplitudes moved into their bounds."""
    import torch

    waves: torch.Tensor = torch.fft.fftn(image)
    modulus = waves.abs()
    waves *= torch.clamp(modulus, low, high) / modulus.clamp_min(1e-20)
    found: torch.Tensor = torch.fft.ifftn(waves)
    return found


def _shrunk(image: torch.Tensor, width: float, threshold: float) -> torch.Tensor:
    """Support: where the blurred modulus is high (shrink-wrap, Marchesini 2003, PRB 68, 140101)."""
    import torch

    spectrum = torch.fft.rfftn(image.abs())
    shape = image.shape
    for axis, n in enumerate(shape):
        frequencies = torch.fft.rfftfreq(n) if axis == 2 else torch.fft.fftfreq(n)
        gain = torch.exp(-2 * (torch.pi * width * frequencies) ** 2).to(image.device)
        spectrum *= gain.reshape([-1 if a == axis else 1 for a in range(3)])
    modulus: torch.Tensor = torch.fft.irfftn(spectrum, s=shape)
    return torch.gt(modulus, threshold * modulus.max())


def _deviance(counts: Floats, rate: Floats) -> float:
    from scipy.special import xlogy

    rate = np.maximum(rate.astype(float), 1e-3)  # no infinite penalty for one photon in the dark
    return float(2 * np.mean(rate - counts + xlogy(counts, counts / rate)))
