"""A simulated rocking scan: expected counts, counts, and what they were made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import detector, diffraction, strain
from .crystal import density, draw_facets
from .grid import draw_geometry, object_grid
from .recipe import Recipe, Split, draw_recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        (frame,) rocking angles in degrees, jitter included.
    steps
        (3, 3) reciprocal step vectors in 1/nm along (frame, row, col), as rows.
    amplitude
        (frame, row, col) complex64 or None: the crystal's far field in a fully coherent beam, so that
        ``abs(amplitude)**2`` is in counts, without background and the detector's doings.
    bad_pixels
        (row, col) bool: hot or dead.
    recipe
        The parameters.
    """

    rate: NDArray[np.float32]
    counts: NDArray[np.int32]
    angles: NDArray[np.float64]
    steps: NDArray[np.float64]
    amplitude: NDArray[np.complex64] | None
    bad_pixels: NDArray[np.bool_]
    recipe: Recipe


def render(recipe: Recipe, *, amplitude: bool = False, device: str | None = None) -> SimulatedScan:
    """Simulate a scan from its parameters.

    Parameters
    ----------
    recipe
        From `draw_recipe`.
    amplitude
        Also return the complex far field.
    device
        None computes with numpy; a torch device ("cuda", "cpu") computes crystal and diffraction
        with torch there. Photons are always drawn by numpy.
    """
    xp: Any = np
    if device is not None:
        import torch

        xp = torch
    facets = draw_facets(recipe)
    geometry = draw_geometry(recipe.stream("geometry"))
    widths = np.ptp(facets.vertices @ geometry.directions.T, axis=0)
    steps = geometry.directions / (np.array(recipe.oversampling) * widths)[:, None]

    margin = diffraction.TAPS
    reach = [
        n / 2 + abs(offset) + margin + 1
        for n, offset in zip(recipe.shape, recipe.peak_offset, strict=True)
    ]
    grid = object_grid(
        steps,
        facets.vertices,
        (reach[0], reach[1], reach[2]),
        slack=2 * recipe.roughness * recipe.diameter,
        xp=xp,
        device=device or "cpu",
    )
    solid = density(recipe, facets, grid)
    phase = strain.phase(recipe, facets, grid, geometry.diffraction)
    crystal = solid + 0j if recipe.strain == "none" else _turned(xp, solid, phase)
    peak, height = diffraction.brightest(grid, crystal)

    rng = recipe.stream("detector")
    jitter = recipe.angle_jitter * rng.normal(size=recipe.shape[0] + 2 * margin)
    indices = [
        np.arange(-margin, n + margin) - n // 2 - offset
        for n, offset in zip(recipe.shape, recipe.peak_offset, strict=True)
    ]
    indices[0] = indices[0] + jitter
    field = diffraction.far_field(
        grid,
        crystal,
        (indices[0] + peak[0], indices[1] + peak[1], indices[2] + peak[2]),
        interface=recipe.interface_width / np.array(recipe.shape),
    ) * float(np.sqrt(recipe.peak_counts / height))
    blurred = diffraction.convolve(
        field.real**2 + field.imag**2, diffraction.blur_kernels(recipe.blur)
    )

    rate = _to_numpy(blurred)
    detector.add_surroundings(rate, recipe, rng)
    pixels = detector.draw_pixels(recipe, rng)
    rate = detector.expose(rate, recipe, pixels, rng)
    inside = slice(margin, -margin)
    return SimulatedScan(
        rate=rate,
        counts=detector.count(rate, recipe, recipe.stream("noise")),
        angles=np.degrees(np.linalg.norm(steps[0]) / geometry.lever) * indices[0][inside],
        steps=steps,
        amplitude=_to_numpy(field[inside, inside, inside]) if amplitude else None,
        bad_pixels=pixels.bad,
        recipe=recipe,
    )


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


def _turned(xp: Any, solid: Any, phase: Any) -> Any:
    """``solid * exp(i phase)``; real cosine and sine are several times faster than a complex exp."""
    return solid * xp.cos(phase) + 1j * (solid * xp.sin(phase))


def _to_numpy(array: Any) -> Any:
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()
