"""Crystals and displacement fields of every kind render, and have the size asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from bcdi_inpaint.lab.simulate import draw_recipe, render, simulate_scan
from bcdi_inpaint.lab.simulate.crystals import density, draw_facets
from bcdi_inpaint.lab.simulate.grid import object_grid
from bcdi_inpaint.lab.simulate.recipes import EVALUATION_FAMILIES, EVALUATION_STRAINS
from bcdi_inpaint.lab.simulate.rocking import draw_rocking

SHAPE = (32, 32, 32)
PLAIN: dict[str, Any] = {
    "rounding": 0.0,
    "curvature": 0.0,
    "roughness": 0.0,
    "density_spread": 0.0,
    "interface_width": 0.0,
}


@pytest.mark.parametrize("family", EVALUATION_FAMILIES)
def test_facets_bound_their_corners(family: str) -> None:
    facets = draw_facets(draw_recipe(2, family=family, diameter=100.0))
    heights = facets.vertices @ facets.normals.T - facets.distances
    assert heights.max() < 1e-9 * facets.distances.max()
    assert np.isclose(2 * facets.distances.mean(), 100)


@pytest.mark.parametrize("family", EVALUATION_FAMILIES)
def test_density_has_the_polyhedrons_volume(family: str) -> None:
    recipe = draw_recipe(4, SHAPE, family=family, **PLAIN)
    facets = draw_facets(recipe)
    steps = draw_rocking(recipe.stream("rocking")).steps(recipe.oversampling, facets.vertices)
    grid = object_grid(steps, facets.vertices, (48.0, 48.0, 48.0))
    voxel = abs(np.linalg.det(grid.vectors))
    volume = float(density(recipe, facets, grid).sum()) * voxel
    assert volume == pytest.approx(ConvexHull(facets.vertices).volume, rel=0.01)


@pytest.mark.parametrize("strain", EVALUATION_STRAINS)
def test_every_strain_renders_a_sound_pattern(strain: str) -> None:
    recipe = draw_recipe(1, SHAPE, split="evaluation", strain=strain, saturation=2**31 - 1)
    scan = render(recipe)
    assert np.isfinite(scan.rate).all()
    assert (scan.rate >= 0).all()
    assert (scan.counts >= 0).all()
    assert scan.rate[:, ~scan.bad_pixels].max() > 0.3 * recipe.peak_counts


def test_strain_changes_the_pattern() -> None:
    patterns = [
        simulate_scan(6, SHAPE, strain=strain, strain_strength=0.8).rate
        for strain in EVALUATION_STRAINS
    ]
    for index, pattern in enumerate(patterns):
        for other in patterns[:index]:
            assert np.corrcoef(np.sqrt(pattern.ravel()), np.sqrt(other.ravel()))[0, 1] < 0.999


@pytest.mark.parametrize("imperfection", ["rounding", "curvature", "roughness", "density_spread"])
def test_imperfect_crystals_lose_the_facets_streaks(imperfection: str) -> None:
    """The brightest voxels far from the peak are facet streaks."""

    def streak(**parameters: float) -> float:
        scan = simulate_scan(
            8,
            (48, 48, 48),
            family="cube",
            strain="none",
            peak_offset=(0.0, 0.0, 0.0),
            oversampling=(4.0, 4.0, 4.0),
            amplitude=True,
            **{**PLAIN, **parameters},
        )
        assert scan.amplitude is not None
        x, y, z = np.ix_(*[np.arange(48) - 24] * 3)
        far = np.abs(scan.amplitude[np.sqrt(x * x + y * y + z * z) > 18]) ** 2
        return float(np.percentile(far, 99.9) / np.median(far))

    strength = {"rounding": 0.8, "curvature": 0.2, "roughness": 0.03, "density_spread": 0.3}
    assert streak(**{imperfection: strength[imperfection]}) < 0.7 * streak()


def test_refuses_unknown_kinds() -> None:
    with pytest.raises(ValueError, match="family is 'banana'"):
        simulate_scan(0, SHAPE, family="banana")
    with pytest.raises(ValueError, match="strain is 'banana'"):
        simulate_scan(0, SHAPE, strain="banana")
