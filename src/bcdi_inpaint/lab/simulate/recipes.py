"""The parameters of a simulated scan, and the random numbers that they are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

Split = Literal["training", "evaluation"]
Stage = Literal["recipe", "rocking", "crystal", "strain", "detector", "noise", "widening"]

COUNT_LIMIT = 2**31 - 1
"""The largest number in int32, the type of counts."""

TRAINING_FAMILIES = (
    "wulff",
    "winterbottom",
    "cube",
    "octahedron",
    "truncated_octahedron",
    "random_polyhedron",
)
TRAINING_STRAINS = (
    "none",
    "smooth",
    "surface_relaxation",
    "strong",
    "screw_dislocation",
    "edge_dislocation",
    "stacking_fault",
    "two_domains",
)
TRAINING_STRAIN_SHARES = (0.06, 0.18, 0.18, 0.1, 0.12, 0.12, 0.12, 0.12)
"""How often each of them is drawn for training: so that the symmetry of the patterns is mostly that
of measured ones, a noise-corrected correlation with their mirror images of .5 to .85
(`docs/twin.md`)."""

EVALUATION_FAMILIES = (*TRAINING_FAMILIES, "hexagonal_prism")
"""With a shape and a strain that training never draws, so that an evaluation shows whether a model generalises."""

EVALUATION_STRAINS = (*TRAINING_STRAINS, "inclusion")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a simulated scan; `render` is a function of it alone.

    Details that are no parameters (facet distances, waves of a random field, places of hot
    pixels) come from streams of random numbers of their own, one for each stage, keyed by `seed` and
    `split`: changing one parameter with `dataclasses.replace` leaves everything else as it was.

    Attributes
    ----------
    seed, split
        Key of the streams. Equal seeds of different splits have nothing in common.
    shape
        Voxels (frame, row, col).
    family, strain
        Shape of the crystal and kind of its displacement field.
    diameter
        Size of the crystal in nm: the diameter of the sphere of its mean facet distance.
    oversampling
        Fringe period in voxels along each axis, which is the inverse of the crystal's extent in
        units of the real-space field of view.
    peak_offset
        Brightest point minus the centre of the window, ``shape // 2``, in voxels; need not be whole.
    peak_counts
        Expected counts at the brightest point in a fully coherent beam.
    rounding
        0 leaves corners sharp; 1 cuts the crystal with the sphere that touches its nearest facet.
    curvature
        Bulging of the facets: sagitta over half the diameter, at half the diameter from the centre.
    roughness
        Standard deviation of the surface's correlated waviness, over the diameter.
    interface_width
        Standard deviation of the graded interface, in units of the resolution element (the inverse
        of the window's full width in reciprocal space). Damps streaks towards the window's edge.
    density_spread
        Standard deviation of a smooth variation of the crystal's density.
    strain_strength
        Of the displacement field, 0 to 1 from barely visible to strong for its kind.
    steepness
        Exponent of distance from the peak, in fringes, by which the amplitude falls off faster than the
        crystal's own; 0 leaves it.
    blur
        Standard deviation in voxels of partial coherence, along each axis.
    angle_jitter
        Standard deviation of the rocking angle's error, in steps.
    flux_spread
        Standard deviation of the beam's intensity from frame to frame.
    background, scatter
        Counts in a voxel: flat, and at the height of the scattered background's maximum.
    aliens, streaks, hot_pixels, dead_pixels
        How many.
    flat_field
        Standard deviation of the pixels' efficiencies.
    saturation
        Highest count that a pixel can report; `COUNT_LIMIT` where nothing saturates.
    """

    seed: int
    split: Split
    shape: tuple[int, int, int]
    family: str
    strain: str
    diameter: float
    oversampling: tuple[float, float, float]
    peak_offset: tuple[float, float, float]
    peak_counts: float
    rounding: float
    curvature: float
    roughness: float
    interface_width: float
    density_spread: float
    strain_strength: float
    steepness: float
    blur: tuple[float, float, float]
    angle_jitter: float
    flux_spread: float
    background: float
    scatter: float
    aliens: int
    streaks: int
    hot_pixels: int
    dead_pixels: int
    flat_field: float
    saturation: int

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise ValueError(
                f"split is {self.split!r}; it must be one of {', '.join(get_args(Split))}"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be 0 or more")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape is {self.shape}; it must be three sizes of 1 or more")
        if min(self.oversampling) < 1:
            raise ValueError(
                f"oversampling is {self.oversampling}; it must be 1 or more on each axis"
            )
        if not 0 < self.peak_counts <= COUNT_LIMIT:
            raise ValueError(
                f"peak_counts is {self.peak_counts}; it must be above 0, up to {COUNT_LIMIT}"
            )
        if not 0 < self.saturation <= COUNT_LIMIT:
            raise ValueError(
                f"saturation is {self.saturation}; it must be above 0, up to {COUNT_LIMIT}"
            )

    def stream(self, stage: Stage) -> np.random.Generator:
        """Random numbers of one stage of the simulation."""
        return _stream(self.seed, self.split, stage)


def _stream(seed: int, split: Split, stage: Stage) -> np.random.Generator:
    return seeded(seed, get_args(Split).index(split), get_args(Stage).index(stage))


def seeded(seed: int, *key: int) -> np.random.Generator:
    """Random numbers that are a function of a seed and a key alone."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def log_uniformly(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two bounds, its logarithm uniformly distributed."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_recipe(
    seed: int,
    shape: tuple[int, int, int] = (128, 128, 128),
    *,
    split: Split = "training",
    **pinned: Any,
) -> Recipe:
    """Draw the parameters of a simulated scan.

    Parameters
    ----------
    seed
        Not negative.
    shape
        Voxels (frame, row, col).
    split
        ``"evaluation"`` draws from streams that training never sees, and from more families.
    **pinned
        Fields of `Recipe` that keep the value given here; the others are drawn as without them.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    TypeError
        If a pinned name isn't a field of `Recipe`.
    """
    recipe = _draw(_stream(seed, split, "recipe"), seed, shape, split)
    if split == "training":
        recipe = _widened(recipe, _stream(seed, split, "widening"))
    return replace(recipe, **pinned)


def _draw(rng: np.random.Generator, seed: int, shape: tuple[int, int, int], split: Split) -> Recipe:
    """A recipe from a stream; what is drawn first stays first, or seeds would mean other scans."""
    training = split == "training"
    families = TRAINING_FAMILIES if training else EVALUATION_FAMILIES
    strains = TRAINING_STRAINS if training else EVALUATION_STRAINS

    def log_uniform(low: float, high: float) -> float:
        return log_uniformly(rng, low, high)

    def sometimes(probability: float, value: float) -> float:
        return value if rng.random() < probability else 0.0

    off_centre = 0.08 if rng.random() < 0.7 else 0.3
    return Recipe(
        seed=seed,
        split=split,
        shape=shape,
        family=str(rng.choice(families)),
        strain=str(rng.choice(strains, p=TRAINING_STRAIN_SHARES if training else None)),
        diameter=log_uniform(60, 800),
        # Rocking scans are often stepped finer than pixels sample: up to 12 steps a fringe.
        oversampling=(
            log_uniform(2.5, 15 if training else 12),
            log_uniform(2.5, 12 if training else 8),
            log_uniform(2.5, 12 if training else 8),
        ),
        peak_offset=(
            shape[0] * rng.uniform(-off_centre, off_centre),
            shape[1] * rng.uniform(-off_centre, off_centre),
            shape[2] * rng.uniform(-off_centre, off_centre),
        ),
        peak_counts=log_uniform(1e2, 1e7),
        rounding=sometimes(0.6, rng.uniform(0, 0.6)),
        curvature=sometimes(0.4, rng.uniform(0, 0.15)),
        roughness=sometimes(0.6, log_uniform(0.002, 0.03)),
        interface_width=rng.uniform(0, 0.5),
        density_spread=sometimes(0.4, rng.uniform(0, 0.25)),
        strain_strength=rng.uniform(0, 1),
        steepness=0.0,
        blur=(rng.uniform(0, 0.8), rng.uniform(0, 0.8), rng.uniform(0, 0.8)),
        angle_jitter=sometimes(0.5, rng.uniform(0, 0.15)),
        flux_spread=sometimes(0.5, rng.uniform(0, 0.02)),
        background=sometimes(0.8, log_uniform(1e-4, 0.3)),
        scatter=sometimes(0.5, log_uniform(1e-3, 10)),
        aliens=int(rng.choice(4, p=(0.7, 0.2, 0.07, 0.03))),
        streaks=int(rng.choice(3, p=(0.8, 0.15, 0.05))),
        hot_pixels=int(sometimes(0.5, rng.poisson(6))),
        dead_pixels=int(sometimes(0.5, rng.poisson(6))),
        flat_field=sometimes(0.7, rng.uniform(0, 0.04)),
        saturation=int(
            rng.choice((COUNT_LIMIT, 2**14 - 1, 2**16 - 1, 2**20 - 1), p=(0.85, 0.05, 0.05, 0.05))
        ),
    )


def _widened(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Envelopes from about q^-2 to q^-5, more blur and background, for more variety than the simulator's own."""
    wide = rng.random(3) < (0.5, 0.3, 0.3)
    first, second, third = np.array(recipe.blur) + rng.uniform(0, 0.5, 3) * wide[1]
    return replace(
        recipe,
        steepness=float(rng.uniform(-0.6, 0.8) * wide[0]),
        blur=(float(first), float(second), float(third)),
        background=float(recipe.background + np.exp(rng.uniform(-4, 1)) * wide[2]),
    )
