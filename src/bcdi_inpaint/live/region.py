"""What part of the frame is filled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.scans import RockingScan, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AroundPeak:
    """A region of `rows` x `cols` pixels centred on the Bragg peak, once that has been seen.

    The peak is the brightest measured pixel of the frame with the most counts; it has been seen
    when the frames' counts have fallen below half of that frame's.
    """

    rows: int
    cols: int


Region = tuple[Span, Span] | AroundPeak


class RegionFinder:
    """Looks frame by frame for the region that is wanted, so that a scan gives the same one live and later.

    Once it is `found`, the region doesn't change any more.
    """

    def __init__(self, wanted: Region | None) -> None:
        self.found = False
        self.region: tuple[Span, Span] | None = None
        """Around the peak as far as that is known; None before the first frame."""
        self._wanted = wanted
        self._most = -1.0

    def look(self, scan: RockingScan) -> None:
        """See the next frames.

        Raises
        ------
        ValueError
            If a given region is not within the frames.
        """
        if not isinstance(self._wanted, AroundPeak):
            self.region = _within(self._wanted, scan.frames.shape[1:])
            self.found = True
            return
        masks = np.broadcast_to(scan.mask, scan.frames.shape)
        for frame, missing in zip(scan.frames, masks, strict=True):
            if not self.found:
                self._see(np.where(missing, 0, frame).clip(min=0), self._wanted)

    def _see(self, counts: NDArray[np.number], wanted: AroundPeak) -> None:
        total = float(counts.sum())
        if total > self._most:
            self._most = total
            row, col = np.unravel_index(int(counts.argmax()), counts.shape)
            self.region = (
                _span(int(row), wanted.rows, counts.shape[0]),
                _span(int(col), wanted.cols, counts.shape[1]),
            )
        else:
            self.found = total < self._most / 2


def region_of(scan: RockingScan, wanted: Region | None) -> tuple[Span, Span]:
    """Rows and columns of the recorded frames that `wanted` means for a finished scan.

    Raises
    ------
    ValueError
        If a given region is not within the frames.
    """
    finder = RegionFinder(wanted)
    finder.look(scan)
    return finder.region or _within(None, scan.frames.shape[1:])


def crop(scan: RockingScan, region: tuple[Span, Span]) -> RockingScan:
    """The part of a scan within `region` of its recorded frames; the metadata say which."""
    (row0, row1), (col0, col1) = region
    if region == tuple((0, length) for length in scan.frames.shape[1:]):
        return scan
    known, (by_rows, by_cols) = scan.metadata.roi, scan.metadata.binning
    top, left = (known[0][0], known[1][0]) if known else (0, 0)
    return replace(
        scan,
        frames=scan.frames[:, row0:row1, col0:col1],
        mask=scan.mask[..., row0:row1, col0:col1],
        metadata=replace(
            scan.metadata,
            roi=(
                (top + row0 * by_rows, top + row1 * by_rows),
                (left + col0 * by_cols, left + col1 * by_cols),
            ),
        ),
    )


def _span(centre: int, length: int, limit: int) -> Span:
    length = min(length, limit)
    start = min(max(centre - length // 2, 0), limit - length)
    return (start, start + length)


def _within(region: tuple[Span, Span] | None, shape: tuple[int, ...]) -> tuple[Span, Span]:
    """A region of frames of this shape; all of them if None."""
    region = region or ((0, shape[0]), (0, shape[1]))
    for name, (start, stop), length in zip(("rows", "cols"), region, shape, strict=True):
        if not 0 <= start < stop <= length:
            raise ValueError(
                f"region: {name} {start}:{stop} are not within frames of {length} {name}"
            )
    return region
