"""Scans from a simulator that shares nothing with the one that training draws from: for evaluation only.

A model is only as good as it is on patterns that nobody drew for it. So nothing here is the other one's:
crystals are superellipsoids with bumps instead of polyhedra, strain is a random field with a power-law
spectrum instead of named kinds, the beam's coherence falls off exponentially instead of as a Gaussian,
background follows the distance from the peak, and the detector loses counts at high rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import fftn, fftshift, ifftn, ifftshift
from scipy.spatial.transform import Rotation

from .recipes import COUNT_LIMIT, log_uniformly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Shape = tuple[int, int, int]

KEY = 7041
"""Keeps these random numbers apart from those of the other simulator's seeds."""

OVERSAMPLING = (2.5, 15.0)
SHARPNESS = (1.2, 8.0)
"""Exponent of the superellipsoid: an octahedron at 1, an ellipsoid at 2, a box at infinity."""

BUMPS = (0.0, 0.12)
"""Standard deviation of the surface's distance from the superellipsoid's, over its radius."""

EDGE = (0.2, 1.2)
"""Width of the surface in voxels of real space: decides how steeply the pattern falls off."""

PHASE = (0.0, 1.6)
"""Standard deviation of the phase in rad that strain makes within the crystal."""

ROUGHNESS = (2.0, 5.0)
"""Exponent of the power spectrum of phase and bumps."""

BACKGROUND = (1e-4, 1.0)
SCATTER = (1e-3, 30.0)
"""Counts in a voxel: flat, and three times those around the peak."""

DEAD_TIME = 2e-8
"""Share of counts that each count of a voxel hides: 2 % at 1e6."""


def independent_scan(
    seed: int, shape: Shape = (128, 128, 128), peak_counts: float | None = None
) -> NDArray[np.int32]:
    """Counts of a rocking scan, ``(frame, row, col)``.

    The brightest voxel has 3e3 to 1e7 unless `peak_counts` says how many.

    >>> independent_scan(3, (32, 32, 32)).shape
    (32, 32, 32)
    """
    rng = np.random.default_rng((KEY, seed))
    brightest = log_uniformly(rng, 3e3, 1e7)
    intensity = _coherent(rng, shape)
    intensity = _less_coherent(intensity, rng.uniform(0, 0.25, 3))
    intensity = _moved(intensity, rng)
    rate = intensity * ((peak_counts or brightest) / intensity.max())
    rate = rate * (1 + 0.02 * rng.standard_normal((shape[0], 1, 1)))
    rate = rate * np.exp(0.02 * rng.standard_normal((1, *shape[1:])))
    rate += _background(rate, rng)
    rate /= 1 + DEAD_TIME * rate
    counts: NDArray[np.int32] = np.minimum(rng.poisson(rate), COUNT_LIMIT).astype(np.int32)
    return counts


def _coherent(rng: np.random.Generator, shape: Shape) -> Floats:
    """Intensity of a strained crystal, its peak near the middle."""
    low, high = np.log(OVERSAMPLING)
    radii = np.array(shape) / np.exp(rng.uniform(low, high, 3)) / 2
    axes = [np.arange(n) - n // 2 for n in shape]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) / radii
    turned = Rotation.from_quat(rng.standard_normal(4)).apply(places.reshape(-1, 3))
    places = np.abs(turned).reshape(places.shape)
    power = rng.uniform(*SHARPNESS)
    distance = (places**power).sum(-1) ** (1 / power)
    roughness = rng.uniform(*ROUGHNESS)
    distance += rng.uniform(*BUMPS) * _random_field(rng, shape, radii, roughness)
    edge = rng.uniform(*EDGE) / float(np.min(radii))
    density = 0.5 - 0.5 * np.tanh((distance - 1) / edge)
    phase = rng.uniform(*PHASE) * _random_field(rng, shape, radii, roughness)
    wave = fftshift(fftn(ifftshift(density * np.exp(1j * phase))))
    intensity: Floats = np.abs(wave) ** 2
    return intensity


def _random_field(rng: np.random.Generator, shape: Shape, radii: Floats, exponent: float) -> Floats:
    """A random field whose power falls off beyond one wave in the crystal; standard deviation 1."""
    waves = np.meshgrid(
        *(np.fft.fftfreq(n) * 2 * r for n, r in zip(shape, radii, strict=True)), indexing="ij"
    )
    square = sum(k * k for k in waves)
    amplitude = (1 + square) ** (-exponent / 2)
    field: Floats = np.real(ifftn(fftn(rng.standard_normal(shape)) * amplitude))
    field -= field.mean()
    field /= field.std()
    return field


def _less_coherent(intensity: Floats, rates: Floats) -> Floats:
    """Multiply the autocorrelation by exp(-|r|), r in units of the coherence lengths."""
    lengths = np.meshgrid(
        *(6 * rate * np.fft.fftfreq(n) for rate, n in zip(rates, intensity.shape, strict=True)),
        indexing="ij",
        sparse=True,
    )
    correlation = fftn(intensity) * np.exp(-np.sqrt(sum(r * r for r in lengths)))
    blurred: Floats = np.real(ifftn(correlation)).clip(min=0)
    return blurred


def _moved(intensity: Floats, rng: np.random.Generator) -> Floats:
    """Roll the peak up to a sixth of the window away from the middle; the rest is faint there."""
    steps = [int(rng.integers(-(n // 6), n // 6 + 1)) for n in intensity.shape]
    return np.roll(intensity, steps, axis=(0, 1, 2))


def _background(rate: Floats, rng: np.random.Generator) -> Floats:
    """Flat, and scattered around the peak with the inverse of the distance."""
    peak = np.unravel_index(rate.argmax(), rate.shape)
    axes = [(np.arange(n) - p) ** 2 for n, p in zip(rate.shape, peak, strict=True)]
    square = axes[0][:, None, None] + axes[1][:, None] + axes[2]
    scattered: Floats = log_uniformly(rng, *SCATTER) / np.sqrt(square + 9)
    return scattered + log_uniformly(rng, *BACKGROUND)
