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
    Waves = NDArray[np.complexfloating]

AVOIDED_RADIUS = 16
"""Pixels around another crystal's peak that are not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A volume to lay gaps over, arrays ``(frame, row, col)`` but for `missing`, bool (row, col): its own gaps.

    Noise-free counts `rate` and the amplitude's `phase` in rad are None of a measured scan, whose `seed` is 0.
    """

    counts: Counts
    rate: NDArray[np.floating] | None
    phase: NDArray[np.floating] | None
    peak: tuple[int, int, int]
    judged: Bools
    missing: Bools
    seed: int

    @property
    def plane(self) -> tuple[int, int]:
        """(rows, cols)."""
        _, rows, cols = self.counts.shape
        return rows, cols


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredScan:
    """A measured scan: the name of its file, counts ``(frame, row, col)``, and pixels bool (row, col).

    Those `missing` have no counts in some frame. Those `unjudged` are these, and faulty ones and other crystals'
    peaks, which stay in the scan.
    """

    name: str
    frames: Counts
    missing: Bools
    unjudged: Bools


def simulated(recipe: Recipe) -> Pattern:
    """The pattern of a recipe."""
    scan = render(recipe, amplitude=True)
    assert scan.amplitude is not None
    judged = np.broadcast_to(~scan.bad_pixels, scan.rate.shape)
    phase, peak = np.angle(scan.amplitude), brightest(scan.rate)
    missing = np.zeros(scan.rate.shape[1:], bool)
    return Pattern(scan.counts, scan.rate, phase, peak, judged, missing, recipe.seed)


def measured(scan: MeasuredScan, shape: tuple[int, int, int]) -> Pattern:
    """The region of this shape around the peak of a measured scan."""
    peak = brightest(np.where(scan.unjudged, 0, scan.frames))
    cut = around(peak, shape, scan.frames.shape)
    judged = np.broadcast_to(~scan.unjudged, scan.frames.shape)[cut]
    frame, row, col = (p - s.start for p, s in zip(peak, cut, strict=True))
    missing = scan.missing[cut[1:]]
    return Pattern(scan.frames[cut], None, None, (frame, row, col), judged, missing, 0)


def read_scan(path: Path, avoid: Sequence[tuple[int, int]] = ()) -> MeasuredScan:
    """Read a scan (npz, npy, tif or HDF5) that has other crystals' peaks at some (row, col).

    What a detector flags, gaps and saturation, is missing.

    Raises
    ------
    ValueError
        If the file can't be used, or nothing was measured in all its frames.
    OSError
        If it can't be read.
    """
    frames = from_file(path, mask=False).frames
    missing = np.asarray(flagged(frames).any(axis=0))
    if missing.all():
        raise ValueError(
            f"data {path.name}: every pixel is flagged in some frame, none can be judged"
        )
    frames = np.where(missing, frames.dtype.type(0), frames)
    unjudged = missing | hot_pixels(frames=frames) | dead_pixels(frames)
    rows, cols = np.ogrid[: frames.shape[1], : frames.shape[2]]
    for row, col in avoid:
        unjudged |= (rows - row) ** 2 + (cols - col) ** 2 <= AVOIDED_RADIUS**2
    return MeasuredScan(path.stem, frames, missing, unjudged)


def brightest(volume: Counts) -> tuple[int, int, int]:
    """The brightest voxel, (frame, row, col)."""
    frame, row, col = np.unravel_index(int(volume.argmax()), volume.shape)
    return int(frame), int(row), int(col)


def around(peak: Sequence[int], sizes: Sequence[int], shape: Sequence[int]) -> Box:
    """A region with the peak in its middle, moved or cut to lie within the volume."""
    frames, rows, cols = (
        slice(start := min(max(p - size // 2, 0), max(n - size, 0)), min(start + size, n))
        for p, size, n in zip(peak, sizes, shape, strict=True)
    )
    return frames, rows, cols
