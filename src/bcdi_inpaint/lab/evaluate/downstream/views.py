"""Patterns with a known object and a gap over them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.lab.simulate import simulate_scan

from ..cases import UNDISTURBED
from ..patterns import around, brightest
from .retrieval import Bounds, free_voxels, retrieve
from .scenes import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..patterns import MeasuredScan
    from .scenes import Plan

    Counts = NDArray[np.floating]
    Bools = NDArray[np.bool_]
    Waves = NDArray[np.complexfloating]

PINNED: dict[str, Any] = {
    **UNDISTURBED,
    "oversampling": (3.0, 3.0, 3.0),
    "background": 0.01,
    "blur": (0.0, 0.0, 0.0),
}
"""Nothing but the gap and Poisson's noise is in the way of a reconstruction."""

REFERENCE_START = 1_000
"""First seed of the starts that give a measured scan its reference object."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A pattern with a known object and a gap over it.

    Attributes
    ----------
    scene, object
        Which; `object` is a seed or the name of a scan.
    counts
        ``(frame, row, col)`` float32, those under the gap too.
    truth
        Complex object whose FFT has its zero frequency at ``[0, 0, 0]``.
    mask, unusable
        bool, the same shape: the gap; faulty pixels.
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
    nothing = np.zeros(scene.shape, bool)
    return View(scene, str(seed), counts, truth, _mask(scene, row, col, counts), nothing)


def measured_view(plan: Plan, scan: MeasuredScan) -> View:
    """A measured scan without a gap, cut out around its peak, frames summed to about as many.

    Its object is the best of as many reconstructions from the whole data as any fill gets, from other
    starts.
    """
    usable = np.where(scan.unjudged, 0, scan.frames)
    together = max(usable.shape[0] // plan.edge, 1)
    sizes = (plan.edge * together, plan.edge, plan.edge)
    cut = around(brightest(usable), sizes, usable.shape)
    counts = usable[cut].astype(np.float32)
    counts = counts.reshape(-1, together, *counts.shape[1:]).sum(1)
    bad = np.broadcast_to(scan.unjudged[cut[1:]], counts.shape)
    free = free_voxels(~bad, np.random.default_rng(0))
    bounds = Bounds.of(counts, counts).freed(bad)
    best = min(
        (
            retrieve(bounds, counts, free, seed=REFERENCE_START + i, schedule=plan.schedule)
            for i in range(plan.starts)
        ),
        key=lambda solution: solution.merit,
    )
    return View(Scene("whole"), scan.name, counts, best.image, np.zeros(counts.shape, bool), bad)


def laid_over(scene: Scene, whole: View) -> View:
    """A measured scan with a gap."""
    _, row, col = brightest(whole.counts)
    return replace(whole, scene=scene, mask=_mask(scene, row, col, whole.counts))


def _mask(scene: Scene, row: int, col: int, counts: Counts) -> Bools:
    """The scene's gap beside a peak."""
    _, rows, cols = counts.shape
    return np.broadcast_to(scene.gap(row, col).mask((rows, cols)), counts.shape)
