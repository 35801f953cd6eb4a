"""Which gaps are laid over which crystals, and how often each is reconstructed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..cases import DISTANCES, REAL_SPACE_WIDTH, Gap
from .retrieval import Schedule

if TYPE_CHECKING:
    from ..cases import Kind

SEED = 40_000
"""Of the first object, in the evaluation split, which training never sees."""

CROSSED = "cross"
"""Name of the scenes that are transformed back with true phases."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A gap over a kind of crystal.

    Attributes
    ----------
    name
        As the tables have it.
    width, distance, kind
        Of the gap: pixels, distance from the peak to the first missing one. A single gap is
        vertical, to the right of the peak.
    strain, strength
        As in the simulation's recipe.
    peak_counts
        Expected counts at the brightest point.
    shape, offset
        Voxels; the peak's distance from the middle.
    """

    name: str
    width: int = 9
    distance: int = 4
    kind: Kind = "vertical"
    strain: str = "smooth"
    strength: float = 0.2
    peak_counts: float = 1e6
    shape: tuple[int, int, int] = (48, 48, 48)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def gap(self, row: int, col: int) -> Gap:
        """The gap beside a peak."""
        rows, cols = ((p + self.distance, p + self.distance + self.width) for p in (row, col))
        return Gap(
            self.kind, self.width, self.distance, rows if self.kind == "cross" else None, cols
        )


SCENES = (
    Scene("9 px"),
    Scene("9 px, far", distance=9),
    Scene("9 px, 1e4 counts", peak_counts=1e4),
    Scene("9 px, near", distance=1),
    Scene("9 px cross", kind="cross"),
    Scene("38 px", width=38, shape=(48, 48, 96), offset=(0.0, 0.0, -18.0)),
    Scene("9 px, strong strain", strain="strong"),
    Scene("6 px", width=6),
    Scene("12 px", width=12),
    Scene("9 px, 1e5 counts", peak_counts=1e5),
    Scene("9 px, 1e7 counts", peak_counts=1e7),
)
"""One thing at a time is changed in the first one."""

MEASURED_SCENES = (SCENES[0], SCENES[1], SCENES[3], SCENES[4])


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes
    ----------
    scenes, measured
        Gaps over simulated crystals; over a measured scan.
    objects, starts
        Crystals a scene, starts a fill.
    schedule
        Of the bench's own retrieval.
    edge
        Voxels of the region around a measured peak.
    crosses, cross_edge
        Crystals that are transformed back with their true phases, and their voxels along an axis.
    pictured
        Scenes of whose first object slices are drawn.
    """

    scenes: tuple[Scene, ...] = SCENES
    measured: tuple[Scene, ...] = MEASURED_SCENES
    objects: int = 3
    starts: int = 5
    schedule: Schedule = field(default_factory=Schedule)
    edge: int = 48
    crosses: int = 24
    cross_edge: int = 64
    pictured: tuple[str, ...] = ("9 px", "9 px cross")

    def crossed(self, index: int) -> Scene:
        """The scene of one crystal that is transformed back with its true phases."""
        distances = DISTANCES["plain"]
        return Scene(
            CROSSED,
            REAL_SPACE_WIDTH,
            distances[index % len(distances)],
            "cross",
            shape=(self.cross_edge,) * 3,
        )


QUICK = Plan(SCENES[:1], (), objects=1, crosses=4)
