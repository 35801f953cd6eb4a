"""Faceted crystals: intersections of half-spaces, with imperfect surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import HalfspaceIntersection
from scipy.spatial.transform import Rotation

from .grid import EDGE

if TYPE_CHECKING:
    from types import ModuleType

    from .grid import Field, ObjectGrid
    from .recipes import Recipe
    from .rocking import Floats


@dataclass(frozen=True)
class Facets:
    """A convex polyhedron: ``normals . r <= distances``, with corners `vertices` (m, 3).

    Outward unit vectors (n, 3), distances (n,) in nm from a point inside, the origin.
    """

    normals: Floats
    distances: Floats
    vertices: Floats


def _directions(*indices: tuple[int, int, int]) -> Floats:
    """All directions equivalent to the given ones in a cubic crystal, unit vectors."""
    found = {
        tuple(sign * index[place] for sign, place in zip(signs, order, strict=True))
        for index in indices
        for signs in product((-1, 1), repeat=3)
        for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2))
    }
    vectors = np.array(sorted(found), dtype=float)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _uneven(rng: np.random.Generator, count: int, spread: float) -> Floats:
    """Distances about 1: growth differs between facets of a kind."""
    return np.asarray(rng.uniform(1 - spread, 1 + spread, count))


def _wulff(rng: np.random.Generator) -> tuple[Floats, Floats]:
    kinds = [
        (_directions((1, 1, 1)), 1.0),
        (_directions((1, 0, 0)), rng.uniform(0.95, 1.25)),
        (_directions((1, 1, 0)), rng.uniform(1.0, 1.25)),
    ]
    normals = np.concatenate([normals for normals, _ in kinds])
    distances = np.concatenate([np.full(len(normals), energy) for normals, energy in kinds])
    return normals, distances * _uneven(rng, len(distances), 0.1)


def _winterbottom(rng: np.random.Generator) -> tuple[Floats, Floats]:
    normals, distances = _wulff(rng)
    substrate = rng.choice(8)  # the first eight normals are {111}: the usual epitaxy of fcc metals
    distances[substrate] *= rng.uniform(0.2, 0.8)
    return normals, distances


def _cube(rng: np.random.Generator) -> tuple[Floats, Floats]:
    return _directions((1, 0, 0)), _uneven(rng, 6, 0.3)


def _octahedron(rng: np.random.Generator) -> tuple[Floats, Floats]:
    return _directions((1, 1, 1)), _uneven(rng, 8, 0.15)


def _truncated_octahedron(rng: np.random.Generator) -> tuple[Floats, Floats]:
    eight, six = _directions((1, 1, 1)), _directions((1, 0, 0))
    cut = rng.uniform(0.75, 1.6)  # .87: cuboctahedron; 1.73: octahedron
    distances = np.concatenate([np.ones(8), np.full(6, cut)]) * _uneven(rng, 14, 0.12)
    return np.concatenate([eight, six]), distances


def _random_polyhedron(rng: np.random.Generator) -> tuple[Floats, Floats]:
    extra = rng.normal(size=(rng.integers(2, 16), 3))
    # A turned cube closes the polyhedron, whatever the other facets are.
    frame = np.concatenate([np.eye(3), -np.eye(3)]) + 0.25 * rng.normal(size=(6, 3))
    normals = np.concatenate([frame, extra])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normals, _uneven(rng, len(normals), 0.25)


def _hexagonal_prism(rng: np.random.Generator) -> tuple[Floats, Floats]:
    turns = np.arange(6) * np.pi / 3
    sides = np.stack([np.cos(turns), np.sin(turns), np.zeros(6)], axis=1)
    ends = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    height = rng.uniform(0.4, 1.8)
    return np.concatenate([sides, ends]), np.concatenate(
        [_uneven(rng, 6, 0.15), np.full(2, height)]
    )


_SHAPES = {
    "wulff": _wulff,
    "winterbottom": _winterbottom,
    "cube": _cube,
    "octahedron": _octahedron,
    "truncated_octahedron": _truncated_octahedron,
    "random_polyhedron": _random_polyhedron,
    "hexagonal_prism": _hexagonal_prism,
}


def draw_facets(recipe: Recipe) -> Facets:
    """Draw the crystal's facets; their mean distance from the centre is half its diameter."""
    if recipe.family not in _SHAPES:
        raise ValueError(f"family is {recipe.family!r}; it must be one of {', '.join(_SHAPES)}")
    rng = recipe.stream("crystal")
    normals, distances = _SHAPES[recipe.family](rng)
    # A random aspect, turned at random.
    normals = normals / np.exp(rng.normal(scale=0.15, size=3))
    lengths = np.linalg.norm(normals, axis=1)
    normals, distances = normals / lengths[:, None], distances / lengths
    normals = Rotation.random(rng=rng).apply(normals)
    distances = distances * recipe.diameter / 2 / distances.mean()
    half_spaces = np.column_stack([normals, -distances])
    corners = HalfspaceIntersection(half_spaces, np.zeros(3)).intersections
    return Facets(normals, distances, corners)


def density(recipe: Recipe, facets: Facets, grid: ObjectGrid) -> Field:
    """Electron density of the crystal on the grid, float32, 1 inside.

    The surface is a smooth step (a Gaussian integral, `EDGE` voxels wide along every direction of
    the grid's own index space), so facets aren't jagged and streaks are clean.
    """
    xp = grid.xp
    rng = recipe.stream("crystal").spawn(1)[0]
    inner = float(facets.distances.min())
    squares = sum(grid.linear(axis) ** 2 for axis in np.eye(3))
    # How far, in nm, the surface is moved inwards: bulging facets, waviness.
    inwards = squares * (recipe.curvature * 2 / recipe.diameter)
    correlation = recipe.diameter * rng.uniform(0.04, 0.2)
    if recipe.roughness:
        inwards = inwards + recipe.roughness * recipe.diameter * grid.random_field(rng, correlation)

    depth = None
    for normal, distance in zip(facets.normals, facets.distances, strict=True):
        pitch = grid.pitch(normal)
        plane = grid.linear(-normal / pitch, distance / pitch) - inwards / pitch
        depth = plane if depth is None else xp.minimum(depth, plane, out=depth)
    if recipe.rounding:
        outer = float(np.linalg.norm(facets.vertices, axis=1).max())
        radius = outer + (inner - outer) * recipe.rounding
        tiny = (1e-3 * recipe.diameter) ** 2  # no division by 0 at the centre
        length = xp.sqrt(squares + tiny)
        # the voxels' pitch along the sphere's normal, r / |r|, times |r|
        along = sum(grid.linear(edge) ** 2 for edge in grid.vectors)
        pitch = xp.sqrt(along + tiny * grid.pitch(facets.normals[0]) ** 2)
        depth = xp.minimum(depth, (radius - length - inwards) * length / pitch)

    solid = _step(xp, depth)
    if recipe.density_spread:
        field = grid.random_field(rng, recipe.diameter * rng.uniform(0.08, 0.3))
        solid = solid * xp.clip(1 + recipe.density_spread * field, 0, None)
    return solid


def _step(xp: ModuleType, depth: Field) -> Field:
    """Gaussian integral of `depth` over `EDGE`, by the tanh that stays within 3e-4 of it."""
    x = xp.clip(depth / EDGE, -5, 5)
    return 0.5 + 0.5 * xp.tanh(x * (0.7978846 + 0.0356774 * x * x))
