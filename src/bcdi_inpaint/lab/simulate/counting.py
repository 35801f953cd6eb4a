"""From diffracted intensity to counts: background, neighbours, pixels, photons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from .recipes import Recipe
    from .rocking import Floats

Volume = NDArray[np.float32]

ALIEN_REACH = 24
"""Voxels from an alien's centre at which it is cut off."""


@dataclass(frozen=True)
class Pixels:
    """The detector's imperfections, (row, col) float32.

    The `efficiency` is 1 on average, 0 in a dead pixel; `hot` are counts that a pixel adds to every frame.
    """

    efficiency: NDArray[np.float32]
    hot: NDArray[np.float32]

    @property
    def bad(self) -> NDArray[np.bool_]:
        """(row, col): True where a pixel is hot or dead."""
        return np.asarray((self.hot > 0) | (self.efficiency == 0))


def draw_pixels(recipe: Recipe, rng: np.random.Generator) -> Pixels:
    """Draw efficiencies and the places of hot and dead pixels."""
    plane = recipe.shape[1:]
    efficiency = np.ones(plane, np.float32)
    if recipe.flat_field:
        spread = rng.normal(size=plane) + gaussian_filter(rng.normal(size=plane), 12) * 20
        efficiency += np.float32(recipe.flat_field) * spread.astype(np.float32)
        efficiency = np.clip(efficiency, 0.3, 1.7)
    hot = np.zeros(plane, np.float32)
    places = rng.choice(efficiency.size, recipe.hot_pixels + recipe.dead_pixels, replace=False)
    hot.flat[places[: recipe.hot_pixels]] = np.exp(rng.uniform(0, 8, recipe.hot_pixels))
    efficiency.flat[places[recipe.hot_pixels :]] = 0
    return Pixels(efficiency, hot)


def add_surroundings(rate: Volume, recipe: Recipe, rng: np.random.Generator) -> None:
    """Add background, streaks and other crystals' peaks (aliens), in place."""
    rate += recipe.background
    if recipe.scatter:
        rate += _scatter(recipe, rng)
    for _ in range(recipe.streaks):
        rate += _streak(recipe, rng)
    for _ in range(recipe.aliens):
        _add_alien(rate, recipe, rng)


def _coordinates(shape: tuple[int, int, int], centre: Floats) -> list[NDArray[np.float32]]:
    """Offsets from a point along each axis, in voxels, to be broadcast."""
    axes = (
        np.arange(n, dtype=np.float32) - np.float32(c) for n, c in zip(shape, centre, strict=True)
    )
    return list(np.ix_(*axes))


def _scatter(recipe: Recipe, rng: np.random.Generator) -> NDArray[np.floating]:
    """Diffuse scattering about the peak, a power law, on a slope across the detector."""
    x, y, z = _coordinates(recipe.shape, np.array(recipe.shape) // 2 + recipe.peak_offset)
    stretch = np.exp(rng.normal(scale=0.3, size=3)).astype(np.float32)
    core = np.float32(rng.uniform(3, 20))
    power = np.float32(rng.uniform(0.5, 1.5))  # of the squared distance: slopes -1 to -3
    squares = (x * stretch[0]) ** 2 + (y * stretch[1]) ** 2 + (z * stretch[2]) ** 2
    tilt = rng.normal(scale=0.4, size=2) / np.array(recipe.shape[1:])
    slope = np.exp(np.float32(tilt[0]) * y + np.float32(tilt[1]) * z)
    rate: NDArray[np.floating] = (
        np.float32(recipe.scatter) * slope * (1 + squares / core**2) ** -power
    )
    return rate


def _streak(recipe: Recipe, rng: np.random.Generator) -> NDArray[np.floating]:
    """A neighbour's facet streak: a line with a Gaussian profile that fades from a far point."""
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    start = np.array(recipe.shape) * rng.uniform(-0.1, 1.1, 3)
    axes = _coordinates(recipe.shape, start)
    along = sum(np.float32(d) * axis for d, axis in zip(direction, axes, strict=True))
    across = sum(axis * axis for axis in axes) - along * along
    width = rng.uniform(0.8, 3.0)
    fade = rng.uniform(10, 60)
    height = np.exp(rng.uniform(np.log(0.1), np.log(max(1.0, 1e-3 * recipe.peak_counts))))
    return (
        np.float32(height)
        * np.exp(across * np.float32(-0.5 / width**2))
        / (1 + (along / np.float32(fade)) ** 2)
    )


def _add_alien(rate: Volume, recipe: Recipe, rng: np.random.Generator) -> None:
    """Another crystal's peak, in a few frames: the fringes of a small cuboid."""
    place = rng.uniform(0, recipe.shape)
    near = [slice(max(0, int(p) - ALIEN_REACH), int(p) + ALIEN_REACH) for p in place]
    x, y, z = np.ix_(
        *[
            axis.ravel()[part]
            for axis, part in zip(_coordinates(recipe.shape, place), near, strict=True)
        ]
    )
    turn, _ = np.linalg.qr(np.eye(3) + 0.4 * rng.normal(size=(3, 3)))
    turn /= rng.uniform((1.2, 2.5, 2.5), (4, 8, 8))[:, None]  # over the fringes' periods
    height = np.exp(rng.uniform(0, np.log(max(3.0, 0.1 * recipe.peak_counts))))
    for weights in turn.astype(np.float32):
        height = height * np.sinc(weights[0] * x + weights[1] * y + weights[2] * z) ** 2
    rate[tuple(near)] += height


def expose(rate: Volume, recipe: Recipe, pixels: Pixels, rng: np.random.Generator) -> Volume:
    """Expected counts: the beam's fluctuations, the pixels' efficiencies, saturation."""
    flux = np.float32(1) + np.float32(recipe.flux_spread) * rng.normal(size=len(rate)).astype(
        np.float32
    )
    seen = rate * np.clip(flux, 0.5, 1.5)[:, None, None] * pixels.efficiency + pixels.hot
    return np.asarray(np.minimum(seen, np.float32(recipe.saturation)))


def count(rate: Volume, recipe: Recipe, rng: np.random.Generator) -> NDArray[np.int32]:
    """Draw photons, up to what a pixel can report."""
    counts = rng.poisson(rate)
    return np.minimum(counts, recipe.saturation).astype(np.int32)
