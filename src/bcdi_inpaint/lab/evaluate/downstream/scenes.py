"""Which gaps are laid over which crystals, how often each is reconstructed, and the patterns themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.lab.simulate import simulate_scan

from ..cases import DISTANCES, REAL_SPACE_WIDTH, UNDISTURBED, Gap
from ..patterns import around, brightest
from .retrieval import Bounds, Schedule, free_voxels, retrieve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..cases import Kind
    from ..patterns import Bools, MeasuredScan, Waves

    Counts = NDArray[np.floating]

SEED = 40_000
"""Of the first object, in the evaluation split, which training never sees."""

CROSSED = "cross"
"""Name of the scenes that are transformed back with true phases."""

PINNED: dict[str, Any] = {
    **UNDISTURBED,
    "oversampling": (3.0, 3.0, 3.0),
    "background": 0.01,
    "blur": (0.0, 0.0, 0.0),
}
"""Nothing but the gap and Poisson's noise is in the way of a reconstruction."""

REFERENCE_START = 1_000
"""First seed of the starts that give a measured scan its reference object."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A gap over a kind of crystal, as in the simulation's recipe.

    Its distance is that from the peak to the first missing pixel; a single gap is vertical, to the right of the peak,
    which is `offset` from the middle.
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

    def mask(self, row: int, col: int, counts: Counts) -> Bools:
        """The gap beside a peak, in the shape of its pattern."""
        rows, cols = ((p + self.distance, p + self.distance + self.width) for p in (row, col))
        crossed = rows if self.kind == "cross" else None
        gap = Gap(self.kind, self.width, self.distance, crossed, cols)
        _, height, width = counts.shape
        return np.broadcast_to(gap.mask((height, width)), counts.shape)


_WIDE: dict[str, Any] = {"width": 38, "shape": (48, 48, 96), "offset": (0.0, 0.0, -18.0)}
"""A wide gap, with both of its sides in the pattern; a part of its twin is not."""

SCENES = (
    Scene("9 px"),
    Scene("9 px, far", distance=9),
    Scene("9 px, 1e4 counts", peak_counts=1e4),
    Scene("9 px, near", distance=1),
    Scene("9 px cross", kind="cross"),
    Scene("38 px", **_WIDE),
    Scene("9 px, strong strain", strain="strong"),
    Scene("9 px, far, strong strain", distance=9, strain="strong"),
    Scene("38 px, strong strain", **_WIDE, strain="strong"),
    Scene("9 px, dislocation", strain="edge_dislocation"),
    Scene("9 px, far, dislocation", distance=9, strain="edge_dislocation"),
    Scene("38 px, dislocation", **_WIDE, strain="edge_dislocation"),
    Scene("6 px", width=6),
    Scene("12 px", width=12),
    Scene("9 px, 1e5 counts", peak_counts=1e5),
    Scene("9 px, 1e7 counts", peak_counts=1e7),
)
"""One thing at a time is changed in the first one; strain, which breaks the symmetry of the pattern, in three."""

MEASURED_SCENES = (SCENES[0], SCENES[1], SCENES[3], SCENES[4])


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done: scenes over simulated crystals and over a measured scan, objects a scene, starts a fill.

    Attributes
    ----------
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
        distance = DISTANCES["plain"][index % len(DISTANCES["plain"])]
        shape = (self.cross_edge,) * 3
        return Scene(CROSSED, REAL_SPACE_WIDTH, distance, "cross", shape=shape)


WHOLE = Plan()
QUICK = Plan(SCENES[:1], (), objects=1, crosses=4)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A pattern with a known object (a seed, or the name of a scan) and a gap over it.

    `counts`, float32 ``(frame, row, col)``, are there under the gap `mask` too; `unusable` are faulty pixels.
    `truth` is the complex object whose FFT has its zero frequency at ``[0, 0, 0]``.
    """

    scene: Scene
    object: str
    counts: Counts
    truth: Waves
    mask: Bools
    unusable: Bools


def simulated_view(scene: Scene, seed: int) -> View:
    """A simulated crystal with its gap; the object is the transform of its coherent far field."""
    scan = simulate_scan(
        seed,
        scene.shape,
        split="evaluation",
        amplitude=True,
        strain=scene.strain,
        strain_strength=scene.strength,
        peak_counts=scene.peak_counts,
        peak_offset=scene.offset,
        **PINNED,
    )
    assert scan.amplitude is not None
    counts = scan.counts.astype(np.float32)
    truth = np.fft.ifftn(np.fft.ifftshift(scan.amplitude))
    row, col = (n // 2 + round(o) for n, o in zip(scene.shape[1:], scene.offset[1:], strict=True))
    mask = scene.mask(row, col, counts)
    return View(scene, str(seed), counts, truth, mask, np.zeros(scene.shape, bool))


def measured_view(plan: Plan, scan: MeasuredScan) -> View:
    """A measured scan without a gap, cut out around its peak, frames summed to about as many.

    Its object is the best of as many reconstructions from the whole data as any fill gets, from other
    starts.

    Raises
    ------
    ValueError
        If the scan has gaps of its own.
    """
    if scan.missing.any():
        raise ValueError(
            f"data {scan.name} has {scan.missing.sum()} flagged pixels (gaps or saturation): "
            "reconstructions are compared with one of a scan that was measured everywhere"
        )
    usable = np.where(scan.unjudged, 0, scan.frames)
    together = max(usable.shape[0] // plan.edge, 1)
    sizes = (plan.edge * together, plan.edge, plan.edge)
    cut = around(brightest(usable), sizes, usable.shape)
    counts = usable[cut].astype(np.float32)
    counts = counts.reshape(-1, together, *counts.shape[1:]).sum(1)
    bad = np.broadcast_to(scan.unjudged[cut[1:]], counts.shape)
    free = free_voxels(~bad, np.random.default_rng(0))
    bounds = Bounds.of(counts, counts).freed(bad)
    found = (
        retrieve(bounds, counts, free, seed=REFERENCE_START + i, schedule=plan.schedule)
        for i in range(plan.starts)
    )
    best = min(found, key=lambda solution: solution.merit)
    return View(Scene("whole"), scan.name, counts, best.image, np.zeros(counts.shape, bool), bad)


def laid_over(scene: Scene, whole: View) -> View:
    """A measured scan with a gap."""
    _, row, col = brightest(whole.counts)
    return replace(whole, scene=scene, mask=scene.mask(row, col, whole.counts))
