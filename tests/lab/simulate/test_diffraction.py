"""The far field is the Fourier transform, on the scan's own skewed grid, and a true crop of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from bcdi_inpaint.lab.simulate import SimulatedScan, draw_recipe, render
from bcdi_inpaint.lab.simulate.crystals import draw_facets
from bcdi_inpaint.lab.simulate.diffraction import TAPS, blur_kernels, convolve, far_field
from bcdi_inpaint.lab.simulate.grid import EDGE, ObjectGrid, object_grid
from bcdi_inpaint.lab.simulate.rocking import draw_rocking

PLAIN: dict[str, Any] = {
    "oversampling": (5.0, 4.0, 4.5),
    "steepness": 0.0,
    "strain": "none",
    "rounding": 0.0,
    "curvature": 0.0,
    "roughness": 0.0,
    "density_spread": 0.0,
    "interface_width": 0.0,
    "angle_jitter": 0.0,
    "peak_offset": (0.0, 0.0, 0.0),
    "peak_counts": 1e6,
}


def amplitude(scan: SimulatedScan) -> np.ndarray:
    assert scan.amplitude is not None
    return scan.amplitude


def plain(seed: int, size: int, **parameters: Any) -> SimulatedScan:
    recipe = draw_recipe(seed, (size, size, size), **{**PLAIN, **parameters})
    return render(recipe, amplitude=True)


def test_matrix_transform_is_the_fft() -> None:
    rng = np.random.default_rng(0)
    shape = (12, 10, 16)
    crystal = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    axes = tuple(np.arange(n) / n for n in shape)
    grid = ObjectGrid(np.eye(3), np.zeros(3), axes)  # type: ignore[arg-type]
    # an interface as wide as the sampled step leaves the plain transform
    interface = np.array([EDGE / n for n in shape])
    points = tuple(np.arange(n) - n // 2 for n in shape)
    got = far_field(grid, crystal, interface, np.zeros(3), points)  # type: ignore[arg-type]
    np.testing.assert_allclose(got, np.fft.fftshift(np.fft.fftn(crystal)), atol=1e-3)


def test_far_field_of_a_sphere_on_the_skewed_grid() -> None:
    """Against the closed form, whose argument is the true length of q."""
    scan = plain(3, 48, rounding=1.0, family="cube", oversampling=(3.0, 4.0, 3.5))
    radius = float(draw_facets(scan.recipe).distances.min())
    x, y, z = np.ix_(*[np.arange(48) - 24] * 3)
    q = np.stack(np.broadcast_arrays(x, y, z), axis=-1) @ scan.steps
    cosines = scan.steps @ scan.steps.T
    assert np.abs(cosines / np.sqrt(np.outer(np.diag(cosines), np.diag(cosines)))).min() < 0.999
    assert abs(cosines[0, 1]) + abs(cosines[0, 2]) > 0.1 * cosines[0, 0]  # skewed indeed
    argument = 2 * np.pi * np.linalg.norm(q, axis=-1) * radius
    argument[24, 24, 24] = 1e-2
    exact = 3e3 * (np.sin(argument) - argument * np.cos(argument)) / argument**3
    measured = np.abs(amplitude(scan))
    np.testing.assert_allclose(measured, np.abs(exact), atol=4.0)  # of 1000
    near = argument < 30
    assert np.corrcoef(measured[near], np.abs(exact)[near])[0, 1] > 0.9999


@pytest.mark.parametrize(
    ("strain", "tolerance"), [("none", 0.005), ("strong", 0.015), ("edge_dislocation", 0.015)]
)
def test_window_is_a_true_crop(strain: str, tolerance: float) -> None:
    """Twice the window holds the same pattern in its centre: nothing wraps around."""
    small = amplitude(plain(4, 32, strain=strain))
    large = amplitude(plain(4, 64, strain=strain))[16:48, 16:48, 16:48]
    # The brightest point is found to 1/64 of a step, so phases may differ by a ramp.
    difference = np.abs(np.abs(small) - np.abs(large))
    assert difference.max() < tolerance * np.abs(large).max()
    dim = np.abs(large) < 0.02 * np.abs(large).max()
    assert np.corrcoef(np.abs(small)[dim], np.abs(large)[dim])[0, 1] > 0.985


def test_friedel_symmetry_of_an_unstrained_crystal() -> None:
    half = amplitude(plain(5, 33))
    np.testing.assert_allclose(half[::-1, ::-1, ::-1], half.conj(), atol=0.5)  # of 1000


def test_strain_breaks_friedel_symmetry() -> None:
    half = np.abs(amplitude(plain(5, 33, strain="strong", strain_strength=1.0)))
    assert np.abs(half[::-1, ::-1, ::-1] - half).max() > 50


@pytest.mark.parametrize("seed", range(3))
def test_energy_is_the_crystals(seed: int) -> None:
    """Parseval: all intensity over the peak's is the field of view over the crystal's volume."""
    scan = plain(seed, 64, oversampling=(3.0, 3.0, 3.0))
    volume = ConvexHull(draw_facets(scan.recipe).vertices).volume
    share = volume * abs(np.linalg.det(scan.steps))
    total = float((np.abs(amplitude(scan)) ** 2).sum()) / scan.recipe.peak_counts
    assert 0.95 / share < total < 1.005 / share  # the window cuts off the tails


@pytest.mark.parametrize("seed", range(3))
def test_crystal_fills_the_share_of_the_view_that_oversampling_says(seed: int) -> None:
    oversampling = (2.6, 4.0, 6.5)
    scan = plain(seed, 64, oversampling=oversampling)
    crystal = np.abs(np.fft.ifftn(amplitude(scan), norm="forward"))
    inside = np.fft.fftshift(crystal) > 0.25 * crystal.max()
    for axis, factor in enumerate(oversampling):
        along = inside.any(axis=tuple({0, 1, 2} - {axis}))
        assert along.sum() == pytest.approx(64 / factor, abs=3)


def test_peak_lies_where_the_recipe_puts_it() -> None:
    for strain in ("none", "strong", "two_domains", "screw_dislocation"):
        scan = plain(7, 48, strain=strain, peak_offset=(5.0, -7.0, 3.0))
        intensity = np.abs(amplitude(scan)) ** 2
        peak = np.unravel_index(intensity.argmax(), intensity.shape)
        np.testing.assert_allclose(peak, (29, 17, 27), atol=1)
        assert intensity.max() == pytest.approx(1e6, rel=0.02)


def test_angles_jitter_with_the_pattern() -> None:
    """A frame taken at another angle is the pattern there: no interpolation between frames."""
    steady, jittered = (plain(9, 48, angle_jitter=jitter) for jitter in (0.0, 0.3))
    errors = (jittered.angles - steady.angles) / np.diff(steady.angles).mean()
    assert errors.std() == pytest.approx(0.3, rel=0.4)
    for frame in (20, 24, 30):
        shifted = plain(9, 48, peak_offset=(-errors[frame], 0.0, 0.0))
        np.testing.assert_allclose(
            np.abs(amplitude(jittered)[frame]), np.abs(amplitude(shifted)[frame]), atol=0.5
        )


@given(blur=st.tuples(*[st.floats(0, 0.8)] * 3))
def test_blur_has_the_variance_asked_for(blur: tuple[float, float, float]) -> None:
    taps = np.arange(-TAPS, TAPS + 1)
    pixel = (0.0, 1 / 12, 1 / 12)
    for kernel, width, box in zip(blur_kernels(blur), blur, pixel, strict=True):
        assert kernel.sum() == pytest.approx(1)
        assert float(kernel @ taps**2) == pytest.approx(width**2 + box, abs=0.01)


def test_convolution_spreads_a_point_and_keeps_its_counts() -> None:
    point = np.zeros((13, 13, 13))
    point[6, 6, 6] = 100.0
    kernels = blur_kernels((0.5, 0.3, 0.0))
    spread = convolve(point, kernels)
    assert spread.shape == (5, 5, 5)
    np.testing.assert_allclose(
        spread, 100 * np.einsum("i,j,k", *(kernel[2:-2] for kernel in kernels))
    )


def test_grid_is_dual_to_the_steps() -> None:
    steps = draw_rocking(np.random.default_rng(1)).steps((3, 4, 5), np.eye(3) * 50)
    grid = object_grid(steps, np.eye(3) * 50, (40.0, 40.0, 40.0))
    for axis, step in enumerate(steps):
        along = grid.linear(step)
        expected = grid.fractions[axis].reshape([-1 if j == axis else 1 for j in range(3)])
        np.testing.assert_allclose(along, np.broadcast_to(expected, grid.shape), atol=1e-4)


def test_steepness_changes_the_envelope_and_leaves_the_peak() -> None:
    as_it_is, steeper = (np.abs(amplitude(plain(3, 48, steepness=power))) for power in (0.0, 0.8))
    assert steeper.max() == pytest.approx(as_it_is.max(), rel=0.01)
    assert steeper[:6].sum() < 0.7 * as_it_is[:6].sum()
