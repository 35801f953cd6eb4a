"""A simulated rocking scan: expected counts, counts, and the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import counting, diffraction
from .crystals import density, draw_facets
from .grid import object_grid
from .recipes import Recipe, Split, draw_recipe
from .rocking import Floats, draw_rocking
from .strains import displace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .grid import Field


@dataclass(frozen=True)
class SimulatedScan:
    """A rocking scan and its truth.

    Attributes
    ----------
    rate
        (frame, row, col) float32: expected counts, everything included, without noise.
    counts
        (frame, row, col) int32: photons counted.
    angles
        (frame,) rocking angles in degrees, jitter included, 0 at the Bragg peak.
    steps
        (3, 3) reciprocal step vectors in 1/nm along (frame, row, col), as rows.
    bad_pixels
        (row, col) bool: hot or dead.
    amplitude
        (frame, row, col) complex64 or None: the crystal's far field in a fully coherent beam, so that
        ``abs(amplitude)**2`` is in counts, before background and detector.
    recipe
        The parameters.
    """

    rate: NDArray[np.float32]
    counts: NDArray[np.int32]
    angles: Floats
    steps: Floats
    bad_pixels: NDArray[np.bool_]
    amplitude: NDArray[np.complex64] | None
    recipe: Recipe


def simulate_scan(
    seed: int,
    shape: tuple[int, int, int] = (128, 128, 128),
    *,
    split: Split = "training",
    amplitude: bool = False,
    device: str | None = None,
    **pinned: Any,
) -> SimulatedScan:
    """Draw a recipe and render it: see `draw_recipe` and `render`.

    Examples
    --------
    >>> scan = simulate_scan(7, (48, 48, 48), peak_counts=1e4)
    >>> scan.rate.shape, scan.counts.dtype
    ((48, 48, 48), dtype('int32'))
    """
    recipe = draw_recipe(seed, shape, split=split, **pinned)
    return render(recipe, amplitude=amplitude, device=device)


def render(recipe: Recipe, *, amplitude: bool = False, device: str | None = None) -> SimulatedScan:
    """Simulate a scan from its parameters.

    Parameters
    ----------
    recipe
        From `draw_recipe`.
    amplitude
        Also return the complex far field.
    device
        None computes with numpy; a torch device ("cuda", "cpu") computes crystal and diffraction with
        torch there. Random numbers always come from numpy, so the two agree within rounding.

    Raises
    ------
    ValueError
        If the recipe names an unknown family or strain.
    """
    facets = draw_facets(recipe)
    rocking = draw_rocking(recipe.stream("rocking"))
    steps = rocking.steps(recipe.oversampling, facets.vertices)
    reach = [
        n / 2 + abs(offset) + diffraction.TAPS + 1
        for n, offset in zip(recipe.shape, recipe.peak_offset, strict=True)
    ]
    slack = 2 * recipe.roughness * recipe.diameter
    grid = object_grid(steps, facets.vertices, reach, slack, device)
    solid = density(recipe, facets, grid)
    crystal = displace(solid, recipe, facets, grid, rocking.diffraction)
    interface = recipe.interface_width / np.array(recipe.shape)
    field = partial(diffraction.far_field, grid, crystal, interface)
    peak, height = diffraction.brightest(field, diffraction.mean_slope(grid, crystal))
    rng = recipe.stream("detector")
    offsets = _offsets(recipe, rng)
    waves = field(peak, (offsets[0], offsets[1], offsets[2]))
    waves = waves * float(np.sqrt(recipe.peak_counts / height))
    if recipe.steepness:
        waves = waves * diffraction.fall_off(waves, offsets, recipe.oversampling, recipe.steepness)
    intensity = waves.real**2 + waves.imag**2
    rate = _fetch(diffraction.convolve(intensity, diffraction.blur_kernels(recipe.blur)))

    counting.add_surroundings(rate, recipe, rng)
    pixels = counting.draw_pixels(recipe, rng)
    rate = counting.expose(rate, recipe, pixels, rng)
    inside = slice(diffraction.TAPS, -diffraction.TAPS)
    return SimulatedScan(
        rate=rate,
        counts=counting.count(rate, recipe, recipe.stream("noise")),
        angles=rocking.angle_step(steps) * offsets[0][inside],
        steps=steps,
        bad_pixels=pixels.bad,
        amplitude=_fetch(waves[inside, inside, inside]) if amplitude else None,
        recipe=recipe,
    )


def _offsets(recipe: Recipe, rng: np.random.Generator) -> list[Floats]:
    """Each axis' distances from the peak in steps, with a margin for the blur."""
    offsets = [
        np.arange(-diffraction.TAPS, n + diffraction.TAPS) - n // 2 - offset
        for n, offset in zip(recipe.shape, recipe.peak_offset, strict=True)
    ]
    offsets[0] = offsets[0] + recipe.angle_jitter * rng.normal(size=len(offsets[0]))
    return offsets


def _fetch(array: Field) -> Field:
    """A numpy array of what may be a tensor on another device."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()
