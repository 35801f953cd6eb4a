"""What is filled: patterns, artificial gaps laid over them, and patches cut along the gaps.

All of it is a function of seeds. Distances are in pixels from the brightest voxel's row or column to
the nearest missing one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bcdi_inpaint.lab.simulate.recipes import (
    COUNT_LIMIT,
    TRAINING_FAMILIES,
    TRAINING_STRAINS,
    draw_recipe,
    seeded,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bcdi_inpaint.lab.simulate import Recipe
    from bcdi_inpaint.scans import Span

    Box = tuple[slice, slice, slice]

Kind = Literal["vertical", "horizontal", "cross"]
"""Missing columns, missing rows, or both."""

PatternSet = Literal["held-out", "plain", "bright"]
"""Simulated patterns, see `recipes`."""

MeasuredSet = Literal["anchors", "measured"]
"""Gaps over a measured scan, see `measured_gaps`."""

NARROW = (3, 6, 9, 12)
WIDE = (38, 41)

PATCH = 32
"""Edge of a patch, as published."""

PERIPHERY = 20
"""Least distance in voxels from the peak to a patch's centre."""

DISTANCES: dict[PatternSet, tuple[int, ...]] = {
    "held-out": (6, 10, 14, 20, 28),
    "plain": (6, 10, 14, 20, 28),
    "bright": (8, 10, 12, 15),
}
"""Patterns of a set take these in turn; a wide gap that does not fit comes nearer to the peak."""

REAL_SPACE_WIDTH = 9
"""Width of the cross of the paper's 2.6.1."""

UNDISTURBED: dict[str, Any] = {
    "angle_jitter": 0.0,
    "flux_spread": 0.0,
    "scatter": 0.0,
    "aliens": 0,
    "streaks": 0,
    "hot_pixels": 0,
    "dead_pixels": 0,
    "flat_field": 0.0,
    "saturation": COUNT_LIMIT,
}
"""Fields of a recipe: no neighbours, a steady beam, and no detector but Poisson's."""

SEEDS: dict[PatternSet, int] = {"held-out": 0, "plain": 10_000, "bright": 20_000}
"""Where the seeds of each set begin, in the evaluation split, which training never sees."""

ANCHOR_STARTS = {"narrow": (10, -24), "wide": (12, -50)}
"""First missing pixel minus the peak's, in the published anchors."""

MEASURED_DISTANCES = {"narrow": (5, 10, 16, 24, 40), "wide": (6, 12, 18)}

LEAST_EDGE = 8
"""Pixels that are left beyond a gap."""


def recipes(which: PatternSet, number: int, shape: tuple[int, int, int]) -> list[Recipe]:
    """Draw the patterns of one set; the first ones stay the same when more are asked for.

    Hot and dead pixels are left out of all of them: what is judged is the gap.

    ``"held-out"``
        As the simulator draws them, aliens, streaks and saturation included; the second of three has a
        shape, the third a strain that training never saw.
    ``"plain"``
        Like those of the published anchors: no neighbours and no detector but Poisson's; peak 1e3-1e7
        counts, oversampling 2.5-8.
    ``"bright"``
        Fringes resolved far out: the same with peak 1e6-1e7 and oversampling 3-5.
    """
    drawn = []
    for index in range(number):
        recipe = draw_recipe(SEEDS[which] + index, shape, split="evaluation")
        recipe = replace(recipe, hot_pixels=0, dead_pixels=0)
        if which != "held-out":
            recipe = _plain(recipe, bright=which == "bright")
        elif index % 3 == 1:
            recipe = replace(recipe, family="hexagonal_prism")
        elif index % 3 == 2:
            recipe = replace(recipe, strain="inclusion")
        drawn.append(recipe)
    return drawn


def held_out(recipe: Recipe) -> bool:
    """Whether training never saw this recipe's kind of shape or of strain."""
    return recipe.family not in TRAINING_FAMILIES or recipe.strain not in TRAINING_STRAINS


def _plain(recipe: Recipe, *, bright: bool) -> Recipe:
    rng = seeded(recipe.seed, 2024)
    low, high = (3.0, 5.0) if bright else (2.5, 8.0)
    fringe, row, col = rng.uniform(low, high, 3)
    return replace(
        recipe,
        oversampling=(float(fringe), float(row), float(col)),
        peak_counts=float(10 ** rng.uniform(6 if bright else 3, 7)),
        background=float(10 ** rng.uniform(-3, -0.5)),
        **UNDISTURBED,
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """An artificial gap on a detector: half-open `rows` and `cols`, None where none is missing.

    Its width is in pixels; the distance of a cross is the smaller one of its two.
    """

    kind: Kind
    width: int
    distance: int
    rows: Span | None
    cols: Span | None

    def mask(self, plane: tuple[int, int]) -> NDArray[np.bool_]:
        """bool (row, col), True = missing."""
        missing = np.zeros(plane, bool)
        if self.rows is not None:
            missing[slice(*self.rows)] = True
        if self.cols is not None:
            missing[:, slice(*self.cols)] = True
        return missing


def place_gap(
    kind: Kind,
    width: int,
    distance: int,
    peak: tuple[int, int],
    plane: tuple[int, int],
    rng: np.random.Generator,
) -> Gap:
    """Lay a gap beside the peak, on a side drawn at random among those where it fits.

    Where it fits on neither, it comes as near to the peak, (row, col), as it must, on the roomier side.

    Raises
    ------
    ValueError
        If the gap fits nowhere.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind={kind!r}: takes {', '.join(get_args(Kind))}")
    spans: list[Span | None] = [None, None]
    nearest = []
    for axis, without in enumerate(("vertical", "horizontal")):
        if kind != without:
            spans[axis], found = _beside(width, distance, peak[axis], plane[axis], rng)
            nearest.append(found)
    return Gap(kind, width, min(nearest), *spans)


def _beside(
    width: int, distance: int, peak: int, length: int, rng: np.random.Generator
) -> tuple[Span, int]:
    # The reference network's patch must fit around the gap.
    edge = max(LEAST_EDGE, PATCH // 2 - width // 2)
    room = np.array([peak, length - 1 - peak]) - edge - width + 1
    if room.max() < 1:
        raise ValueError(
            f"a {width} px gap with {edge} px beyond it fits on neither side of the peak at {peak} "
            f"of {length}"
        )
    fits = np.flatnonzero(room >= distance)
    side = int(rng.choice(fits)) if fits.size else int(room.argmax())
    near = min(distance, int(room[side]))
    start = peak + near if side else peak - near - width + 1
    return (start, start + width), near


def measured_gaps(
    which: MeasuredSet, width: int, peak: tuple[int, int], plane: tuple[int, int]
) -> list[Gap]:
    """Gaps over a measured scan with its peak at (row, col), in both directions, as far as they fit.

    ``"anchors"`` are the four places of the published figures, so that these can be compared;
    ``"measured"`` are many places, on both sides of the peak.
    """
    size: Literal["narrow", "wide"] = "narrow" if width <= max(NARROW) else "wide"
    starts = list(ANCHOR_STARTS[size])
    if which == "measured":
        starts = [s for d in MEASURED_DISTANCES[size] for s in (d, -d - width + 1)]
    gaps = []
    for axis in (1, 0):
        for start in starts:
            span = (peak[axis] + start, peak[axis] + start + width)
            if span[0] < LEAST_EDGE or span[1] > plane[axis] - LEAST_EDGE:
                continue
            distance = start if start > 0 else -start - width + 1
            gaps.append(
                Gap("vertical", width, distance, None, span)
                if axis
                else Gap("horizontal", width, distance, span, None)
            )
    return gaps


def patches(
    gap: Gap,
    shape: tuple[int, int, int],
    peak: tuple[int, int, int],
    number: int,
    rng: np.random.Generator,
) -> list[Box]:
    """Cut patches with the gap through their middle, off the peak, as published.

    Those of a cross are centred on either of its gaps; volumes (frame, row, col) without a periphery give fewer.
    They have 32 voxels in each direction; across a gap wider than that, the gap's width.
    """
    spans = [(axis, span) for axis, span in ((1, gap.rows), (2, gap.cols)) if span is not None]
    boxes: list[Box] = []
    for _ in range(20 * number):
        axis, (start, stop) = spans[int(rng.integers(len(spans)))]
        size = [min(PATCH, n) for n in shape]
        corner = [int(rng.integers(0, n - s + 1)) for n, s in zip(shape, size, strict=True)]
        size[axis] = max(PATCH, gap.width)
        corner[axis] = (start + stop) // 2 - size[axis] // 2
        centre = np.array(corner) + np.array(size) / 2
        if np.linalg.norm(centre - np.array(peak)) >= PERIPHERY:
            first, second, third = (
                slice(max(c, 0), c + s) for c, s in zip(corner, size, strict=True)
            )
            boxes.append((first, second, third))
        if len(boxes) == number:
            break
    return boxes
