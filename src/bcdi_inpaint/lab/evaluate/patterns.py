"""Volumes to lay gaps over, simulated or measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.geometry import dead_pixels, flagged, hot_pixels
from bcdi_inpaint.lab.simulate import render
from bcdi_inpaint.scans import from_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bcdi_inpaint.lab.simulate import Recipe

    from .cases import Box

    Counts = NDArray[np.number]
    Bools = NDArray[np.bool_]

AVOIDED_RADIUS = 16
"""Pixels around another crystal's peak that are not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A volume to lay gaps over.

    Attributes
    ----------
    counts
        ``(frame, row, col)``.
    rate, phase
        The same shape, noise-free counts and the amplitude's phase in rad; None of a measured scan.
    peak
        The brightest voxel.
    judged
        bool, the same shape.
    seed
        0 of a measured scan.
    """

    counts: Counts
    rate: NDArray[np.floating] | None
    phase: NDArray[np.floating] | None
    peak: tuple[int, int, int]
    judged: Bools
    seed: int

    @property
    def plane(self) -> tuple[int, int]:
        """(rows, cols)."""
        _, rows, cols = self.counts.shape
        return rows, cols


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredScan:
    """A scan without gaps.

    Attributes
    ----------
    name
        Of its file.
    frames
        Counts, ``(frame, row, col)``.
    unjudged
        bool (row, col): faulty pixels and other crystals' peaks. They stay in the scan.
    """

    name: str
    frames: Counts
    unjudged: Bools


def simulated(recipe: Recipe) -> Pattern:
    """The pattern of a recipe."""
    scan = render(recipe, amplitude=True)
    assert scan.amplitude is not None
    judged = np.broadcast_to(~scan.bad_pixels, scan.rate.shape)
    peak = brightest(scan.rate)
    return Pattern(scan.counts, scan.rate, np.angle(scan.amplitude), peak, judged, recipe.seed)


def measured(scan: MeasuredScan, shape: tuple[int, int, int]) -> Pattern:
    """The region of this shape around the peak of a measured scan."""
    peak = brightest(np.where(scan.unjudged, 0, scan.frames))
    cut = around(peak, shape, scan.frames.shape)
    judged = np.broadcast_to(~scan.unjudged, scan.frames.shape)[cut]
    frame, row, col = (p - s.start for p, s in zip(peak, cut, strict=True))
    return Pattern(scan.frames[cut], None, None, (frame, row, col), judged, 0)


def read_scan(path: Path, avoid: Sequence[tuple[int, int]] = ()) -> MeasuredScan:
    """Read a scan without gaps.

    Parameters
    ----------
    path
        npz, npy, tif or HDF5.
    avoid
        (row, col) of other crystals' peaks.

    Raises
    ------
    ValueError
        If the file can't be used, or has gaps.
    OSError
        If it can't be read.
    """
    frames = from_file(path, mask=False).frames
    flags = int(np.count_nonzero(flagged(frames)))
    if flags:
        raise ValueError(
            f"data {path.name} has {flags} flagged voxels (gaps or saturation): the bench needs "
            "a region that was measured everywhere"
        )
    unjudged = hot_pixels(frames=frames) | dead_pixels(frames)
    rows, cols = np.ogrid[: frames.shape[1], : frames.shape[2]]
    for row, col in avoid:
        unjudged |= (rows - row) ** 2 + (cols - col) ** 2 <= AVOIDED_RADIUS**2
    return MeasuredScan(path.stem, frames, unjudged)


def brightest(volume: Counts) -> tuple[int, int, int]:
    """The brightest voxel, (frame, row, col)."""
    frame, row, col = np.unravel_index(int(volume.argmax()), volume.shape)
    return int(frame), int(row), int(col)


def around(peak: Sequence[int], sizes: Sequence[int], shape: Sequence[int]) -> Box:
    """A region with the peak in its middle, moved or cut to lie within the volume."""
    starts = [
        min(max(p - size // 2, 0), max(n - size, 0))
        for p, size, n in zip(peak, sizes, shape, strict=True)
    ]
    frames, rows, cols = (
        slice(start, min(start + size, n))
        for start, size, n in zip(starts, sizes, shape, strict=True)
    )
    return frames, rows, cols
