"""Where the frames of points are; of several announcements of a point the last one is used."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bcdi_inpaint.geometry import Span


@dataclass(frozen=True, slots=True, eq=False)
class FramesInEvent:
    """The frames of one point that were in an Event, ``([frame,] row, col)``, of the declared dtype."""

    stream: str
    data_key: str
    seq_num: int
    array: NDArray[np.number]

    @property
    def seq_nums(self) -> Span:
        """Half-open interval of points."""
        return self.seq_num, self.seq_num + 1


@dataclass(frozen=True, slots=True)
class FramesInFile:
    """The frames of consecutive points in an HDF5 file.

    Attributes
    ----------
    stream, data_key
        Where they were recorded.
    seq_nums
        Half-open interval of points.
    uri
        The file.
    dataset
        Path of the dataset; empty if the frames can't be read from the file (not HDF5).
    frames
        Half-open interval of frames in the dataset, ``per_point`` for each point.
    per_point
        Frames of a point.
    """

    stream: str
    data_key: str
    seq_nums: Span
    uri: str
    dataset: str
    frames: Span
    per_point: int = 1

    def before(self, n_points: int) -> FramesInFile:
        """The first points."""
        return replace(
            self,
            seq_nums=(self.seq_nums[0], self.seq_nums[0] + n_points),
            frames=(self.frames[0], self.frames[0] + n_points * self.per_point),
        )

    def after(self, n_points: int) -> FramesInFile:
        """Those without the first points."""
        return replace(
            self,
            seq_nums=(self.seq_nums[0] + n_points, self.seq_nums[1]),
            frames=(self.frames[0] + n_points * self.per_point, self.frames[1]),
        )

    def joined(self, following: FramesInFile) -> FramesInFile | None:
        """One with the points after these, if they follow in the same file."""
        if (following.seq_nums[0], following.frames[0]) != (self.seq_nums[1], self.frames[1]):
            return None
        longer = replace(
            self,
            seq_nums=(self.seq_nums[0], following.seq_nums[1]),
            frames=(self.frames[0], following.frames[1]),
        )
        same = replace(following, seq_nums=longer.seq_nums, frames=longer.frames) == longer
        return longer if same else None


Location = FramesInEvent | FramesInFile


class Locations:
    """Where the points of one data key are: of each, the last announcement.

    Neighbours in a file are one piece, so that the time for a document does not depend on the number of its
    points.
    """

    def __init__(self) -> None:
        self._pieces: list[Location] = []
        """By ``seq_num``; none overlap."""

    @property
    def pieces(self) -> tuple[Location, ...]:
        """All of them by ``seq_num``, none of which could be joined."""
        return tuple(self._pieces)

    def put(self, location: Location) -> None:
        """Announce points, which replaces what was announced of them before."""
        if location.seq_nums[0] < location.seq_nums[1]:
            self._replace(*location.seq_nums, (location,))

    def remove(self, start: int, stop: int) -> None:
        """Forget the points ``[start, stop)``."""
        self._replace(start, stop, ())

    def _replace(self, start: int, stop: int, by: tuple[Location, ...]) -> None:
        first = bisect_right(self._pieces, start, key=lambda piece: piece.seq_nums[1])
        last = bisect_left(self._pieces, stop, lo=first, key=lambda piece: piece.seq_nums[0])
        cut = [piece for piece in self._pieces[first:last] if isinstance(piece, FramesInFile)]
        left = [p.before(start - p.seq_nums[0]) for p in cut if p.seq_nums[0] < start]
        right = [p.after(stop - p.seq_nums[0]) for p in cut if p.seq_nums[1] > stop]
        # A neighbour on either side may be continued by what comes between.
        before, after = self._pieces[max(first - 1, 0) : first], self._pieces[last : last + 1]
        self._pieces[first - len(before) : last + len(after)] = _joined(
            [*before, *left, *by, *right, *after]
        )


def _joined(pieces: Iterable[Location]) -> Iterator[Location]:
    """Pieces in order, with those in one that follow each other in a file."""
    last: Location | None = None
    for piece in pieces:
        longer = None
        if isinstance(last, FramesInFile) and isinstance(piece, FramesInFile):
            longer = last.joined(piece)
        if last is not None and longer is None:
            yield last
        last = longer or piece
    if last is not None:
        yield last
