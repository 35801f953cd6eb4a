"""Displacement fields, as the phase that a Bragg peak sees of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

if TYPE_CHECKING:
    from .crystals import Facets
    from .grid import Field, ObjectGrid
    from .recipes import Recipe
    from .rocking import Floats

POISSON_RATIO = 0.42
"""Poisson's ratio of gold; fields depend on it weakly."""


def displace(solid: Field, recipe: Recipe, facets: Facets, grid: ObjectGrid, q: Floats) -> Field:
    """The complex object, ``solid * exp(2 pi i Q.u)``: what the Bragg peak sees of the crystal.

    `solid` is its density on the grid, float32; `q` the unit vector of the scattering vector.
    """
    if recipe.strain == "none":
        return solid + 0j
    if recipe.strain not in _FIELDS:
        raise ValueError(f"strain is {recipe.strain!r}; it must be none, {', '.join(_FIELDS)}")
    phase = _FIELDS[recipe.strain](recipe, facets, grid, q)
    if recipe.strain in _DEFECTS:
        rng = recipe.stream("strain").spawn(1)[0]
        correlation = recipe.diameter * rng.uniform(0.2, 0.6)
        phase = phase + 0.5 * recipe.strain_strength * grid.random_field(rng, correlation)
    # real cosine and sine are several times faster than a complex exponential
    return solid * grid.xp.cos(phase) + 1j * (solid * grid.xp.sin(phase))


def _smooth(recipe: Recipe, _facets: Facets, grid: ObjectGrid, _q: Floats) -> Field:
    rng = recipe.stream("strain")
    correlation = recipe.diameter * rng.uniform(0.15, 0.5)
    return (0.1 + 1.1 * recipe.strain_strength) * grid.random_field(rng, correlation)


def _strong(recipe: Recipe, _facets: Facets, grid: ObjectGrid, _q: Floats) -> Field:
    rng = recipe.stream("strain")
    correlation = recipe.diameter * rng.uniform(0.3, 0.7)
    bend, axis = rng.normal(size=2), Rotation.random(rng=rng).as_matrix() * 2 / recipe.diameter
    x, y = grid.linear(axis[0]), grid.linear(axis[1])
    size = 1.2 + 2.5 * recipe.strain_strength
    bent = float(bend[0]) * x * x + float(bend[1]) * x * y
    return size * (0.5 * bent + grid.random_field(rng, correlation))


def _surface_relaxation(recipe: Recipe, facets: Facets, grid: ObjectGrid, q: Floats) -> Field:
    """Each facet moves along its normal, less so with depth below it."""
    rng = recipe.stream("strain")
    depth = recipe.diameter * rng.uniform(0.06, 0.2)
    size = rng.choice((-1, 1)) * (0.2 + 2.0 * recipe.strain_strength)
    # exp(-(distance - normal . r) / depth)
    weights = size * (facets.normals @ q) * np.exp(-facets.distances / depth)
    return grid.exponentials(weights, facets.normals / depth)


def _line(rng: np.random.Generator, recipe: Recipe, grid: ObjectGrid) -> tuple[Field, Field]:
    """Coordinates in nm across a straight dislocation line that passes through the crystal."""
    axes = Rotation.random(rng=rng).as_matrix()
    place = rng.uniform(-0.25, 0.25, 2) * recipe.diameter
    return grid.linear(axes[0], -place[0]), grid.linear(axes[1], -place[1])


def _screw_dislocation(recipe: Recipe, _facets: Facets, grid: ObjectGrid, _q: Floats) -> Field:
    rng = recipe.stream("strain")
    x, y = _line(rng, recipe, grid)
    return float(rng.choice((-1, 1))) * grid.xp.arctan2(y, x)


def _edge_dislocation(recipe: Recipe, _facets: Facets, grid: ObjectGrid, _q: Floats) -> Field:
    """Hirth & Lothe, Theory of Dislocations, eq. (3-45); Q.b is a whole number."""
    rng = recipe.stream("strain")
    xp, nu = grid.xp, POISSON_RATIO
    x, y = _line(rng, recipe, grid)
    squares = x * x + y * y + (0.01 * recipe.diameter) ** 2  # no infinite core
    along = xp.arctan2(y, x) + x * y / (2 * (1 - nu) * squares)
    across = -((1 - 2 * nu) * xp.log(squares / recipe.diameter**2) + (x * x - y * y) / squares) / (
        4 * (1 - nu)
    )
    return float(rng.choice((-1, 1))) * along + float(rng.uniform(-1, 1)) * across


def _stacking_fault(recipe: Recipe, _facets: Facets, grid: ObjectGrid, _q: Floats) -> Field:
    """A jump of 2 pi / 3 across a plane: Q.R of a Shockley partial."""
    rng = recipe.stream("strain")
    side = _side(rng, recipe, grid)
    return float(rng.choice((-1, 1))) * 2 * np.pi / 3 * side


def _two_domains(recipe: Recipe, _facets: Facets, grid: ObjectGrid, _q: Floats) -> Field:
    """Another lattice beyond a plane: a jump, and a slope that moves that domain's peak."""
    rng = recipe.stream("strain")
    side = _side(rng, recipe, grid)
    turns = rng.normal(size=3) / recipe.diameter * recipe.strain_strength
    return side * grid.linear(2 * np.pi * turns, rng.uniform(-np.pi, np.pi))


def _side(rng: np.random.Generator, recipe: Recipe, grid: ObjectGrid) -> Field:
    """0 on one side of a plane through the crystal, 1 on the other, smooth over a voxel."""
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    pitch = grid.pitch(normal)
    place = rng.uniform(-0.25, 0.25) * recipe.diameter
    return grid.xp.clip(0.5 + grid.linear(normal / pitch, -place / pitch), 0, 1)


def _inclusion(recipe: Recipe, _facets: Facets, grid: ObjectGrid, q: Floats) -> Field:
    """A misfitting sphere: displacement grows with r inside and falls as 1/r^2 outside (Eshelby)."""
    rng = recipe.stream("strain")
    xp = grid.xp
    centre = rng.uniform(-0.25, 0.25, 3) * recipe.diameter
    radius = rng.uniform(0.1, 0.25) * recipe.diameter
    squares = sum(
        grid.linear(axis, -offset) ** 2 for axis, offset in zip(np.eye(3), centre, strict=True)
    )
    decay = (radius * radius / xp.clip(squares, radius * radius, None)) ** 1.5
    size = rng.choice((-1, 1)) * (0.5 + 3.0 * recipe.strain_strength) / radius
    return decay * grid.linear(size * q, -size * float(q @ centre))


_FIELDS = {
    "smooth": _smooth,
    "surface_relaxation": _surface_relaxation,
    "strong": _strong,
    "screw_dislocation": _screw_dislocation,
    "edge_dislocation": _edge_dislocation,
    "stacking_fault": _stacking_fault,
    "two_domains": _two_domains,
    "inclusion": _inclusion,
}
_DEFECTS = frozenset({"screw_dislocation", "edge_dislocation", "stacking_fault"})
"""Kinds of fixed strength; a smooth field around them has the recipe's."""
