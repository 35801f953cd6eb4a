"""What the beamline of the demonstration measures, and what its detector does not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint import geometry

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bcdi_inpaint.scans import Span

FRAMES = (64, 128, 128)
"""Shape of the simulated scan."""

HALF_WIDTH = 0.12
"""Degrees to either side of the Bragg peak: what the plans of `bcdi_inpaint.console.plans` cover by default."""

FROM_PEAK = 16
"""Pixels from the Bragg peak to the gap, along rows and columns: near enough that there are fringes
to be lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """What the beamline is going to measure, and what its detector will not see.

    Attributes
    ----------
    sample
        Its name.
    counts
        ``(frame, row, col)`` what a detector without gaps measures.
    angles
        ``(frame,)`` of the rocking motor in degrees.
    detector, roi
        The detector's key, and the part of its full frame that is recorded.
    mask
        ``(row, col)`` True = missing.
    rate
        The noise-free expectation of `counts`; None for a real scan.
    """

    sample: str
    counts: NDArray[np.number]
    angles: NDArray[np.floating]
    detector: str
    roi: tuple[Span, Span]
    mask: NDArray[np.bool_]
    rate: NDArray[np.float32] | None = None


def simulated(detector: str, *, hard: bool = False) -> Experiment:
    """A strained Wulff crystal whose fringes reach far out; with `hard`, the gap hides its peak."""
    from bcdi_inpaint.lab.simulate import simulate_scan

    scan = simulate_scan(
        100,
        FRAMES,
        family="wulff",
        strain="smooth",
        oversampling=(10.0, 9.5, 10.5),
        peak_offset=(0.0, 0.0, 0.0),
        peak_counts=2e5,
        rounding=0.2,
        roughness=0.0,
        curvature=0.0,
        background=0.02,
        scatter=0.0,
        aliens=0,
        streaks=0,
        hot_pixels=0,
        dead_pixels=0,
        saturation=2**31 - 1,
    )
    angles = np.linspace(-HALF_WIDTH, HALF_WIDTH, FRAMES[0])
    return _behind_gaps("simulated crystal", scan.counts, angles, detector, scan.rate, hard=hard)


def replayed(
    path: Path, detector: str, dataset: str | None = None, *, hard: bool = False
) -> Experiment:
    """A real scan without gaps, recorded once more by a detector that has them; `hard`: over its peak.

    Raises
    ------
    ValueError, OSError
        If the file can't be read, or the detector's frame is smaller than the scan's.
    """
    from bcdi_inpaint.scans import from_file

    scan = from_file(path, dataset=dataset, mask=False)
    counts = np.where(scan.mask, 0, scan.frames)
    angles = np.arange(len(counts)) * 1.0 if scan.angles is None else scan.angles
    return _behind_gaps(path.name, counts, angles, detector, hard=hard)


def _behind_gaps(
    sample: str,
    counts: NDArray[np.number],
    angles: NDArray[np.floating],
    detector: str,
    rate: NDArray[np.float32] | None = None,
    *,
    hard: bool,
) -> Experiment:
    """Let the detector's gaps begin `FROM_PEAK` pixels from the brightest voxel, or lie over it."""
    known = geometry.detector(detector)
    peak = np.unravel_index(int(counts.argmax()), counts.shape)[1:]
    roi = tuple(
        _span_with_gap(
            lines, length, n, int(middle) + FROM_PEAK, over=int(middle) if hard else None
        )
        for lines, length, n, middle in zip(
            known.lines(), known.shape, counts.shape[1:], peak, strict=True
        )
    )
    if any(stop > length for (_, stop), length in zip(roi, known.shape, strict=True)):
        raise ValueError(
            f"frames of {counts.shape[1]} x {counts.shape[2]} don't fit on {known.key}, "
            f"which has {known.shape[0]} x {known.shape[1]} pixels"
        )
    mask = known.mask(roi=(roi[0], roi[1]))
    if not mask.any():
        raise ValueError(f"{known.key} has no gap: choose a detector that has one")
    return Experiment(sample, counts, angles, known.key, (roi[0], roi[1]), mask, rate)


def _span_with_gap(
    gaps: tuple[Span, ...], length: int, n: int, where: int, over: int | None
) -> Span:
    """``(start, start + n)`` such that the gap in the middle of the detector begins at `where`, or
    has its own middle at `over`."""
    begin, end = min(
        gaps, key=lambda gap: abs(gap[0] - length / 2), default=(length // 2, length // 2)
    )
    if over is not None:
        where = over - (end - begin) // 2
    start = min(max(begin - where, 0), max(length - n, 0))
    return start, start + n
