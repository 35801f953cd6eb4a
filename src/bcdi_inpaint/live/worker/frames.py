"""The frames of a run while it goes on: from its documents, and from its files as they grow."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from event_model import DocumentNames

from bcdi_inpaint.scans import (
    MOST_POINTS,
    FramesInEvent,
    FramesInFile,
    NoImagesError,
    PixelFacts,
    Retry,
    RunDocuments,
    RunStart,
    announced_pixels,
    check_points,
    check_size,
    choose_image,
    declared_images,
    read_points,
)
from bcdi_inpaint.scans.announced import with_numbers
from bcdi_inpaint.scans.assembly import assemble
from bcdi_inpaint.scans.streams import PointFrames

from ..errors import CannotFollowError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bcdi_inpaint.scans import RockingScan
    from bcdi_inpaint.scans.streams import RunRecord

    from ..settings import Settings

LOOK_EVERY = 0.1
"""Seconds between looks at a file that did not have what its documents announce."""
PRIMARY = "primary"
"""The stream in which bluesky's plans record the points."""
LISTED = 8
"""Data keys that a message names."""
ONCE = Retry()
LAST_LOOKS = Retry(attempts=4, pause=0.1)
"""Attempts when the run has stopped; frames that come later are read from Tiled."""


class Collector:
    """Frames by point, whatever the order in which they arrive.

    Attributes
    ----------
    expected
        How many points the plan announced; None if it did not.
    in_events
        Whether frames came in Events.
    """

    def __init__(self, settings: Settings) -> None:
        self.expected: int | None = None
        self.in_events = False
        self._settings = settings
        self._documents = RunDocuments()
        self._announced: deque[FramesInEvent | FramesInFile] = deque()
        self._next_look = 0.0
        self._source: tuple[str, str] | None = None
        self._array: NDArray[np.number] = np.empty((0, 0, 0, 0))
        self._arrived: NDArray[np.float64] = np.empty(0)
        self._revised: set[int] = set()
        self._file: FramesInFile | None = None
        """The first one with frames."""
        self._pixels = PixelFacts()

    @property
    def record(self) -> RunRecord:
        """What the documents hold besides frames."""
        return self._documents.run

    @property
    def points(self) -> int:
        """Number of consecutive points that are there, from the first one on."""
        absent = np.flatnonzero(np.isnan(self._arrived))
        return int(absent[0]) if absent.size else len(self._arrived)

    @property
    def voxels(self) -> int:
        """How many voxels a point has."""
        return math.prod(self._array.shape[1:])

    @property
    def waiting(self) -> bool:
        """Whether frames have been announced that are not there yet."""
        return bool(self._announced)

    def arrived(self, point: int) -> float:
        """When the frames of a point came, seconds of `time.monotonic`."""
        return float(self._arrived[point])

    def take(self, name: str, doc: Mapping[str, object]) -> None:
        """Take a document.

        Raises
        ------
        CannotFollowError
            If its frames can't be read while the run goes on, or there can't be such.
        """
        if name not in DocumentNames.__members__:  # of a schema newer than ours
            return
        try:
            self._documents(name, dict(doc))
        except ValueError as error:  # they announce what can't be
            raise CannotFollowError(str(error)) from error
        if name == "start":
            self.expected = RunStart.of(doc).num_points
        self._announced.extend(self._documents.take())

    def look(self, *, last: bool = False) -> bool:
        """Fetch frames that have been announced; whether some came.

        Raises
        ------
        CannotFollowError
            If they can't be read while the run goes on.
        """
        came = False
        while self._announced and (last or time.monotonic() >= self._next_look):
            location = self._announced.popleft()
            rest = self._fetch(location, last=last)
            came |= rest is not location
            if rest is not None:
                self._announced.appendleft(rest)
                self._next_look = time.monotonic() + LOOK_EVERY
                break
        if last and self._file is not None:
            self._look_at_pixels(self._file)
        return came

    def _look_at_pixels(self, file: FramesInFile) -> None:
        """Take the detector's own mask; what was filled with another one is to be filled again."""
        before, self._pixels = self._pixels, announced_pixels([file], self._settings.file_roots)
        if not before.same_pixels(self._pixels):
            self._revised.update(range(len(self._arrived)))

    def revised(self) -> set[int]:
        """Points that are not what they were when this was last asked: taken again, or under another mask."""
        revised, self._revised = self._revised, set()
        return revised

    def part(self, start: int, stop: int) -> RockingScan:
        """The scan of these points, all of which must be there."""
        return self._assemble(np.arange(start, stop), self.record)

    def whole(self) -> RockingScan:
        """The scan, once the run has stopped.

        Raises
        ------
        NoImagesError
            If the run has none.
        CannotFollowError
            If not all of it came; it must be read from Tiled then.
        """
        if self._source is None and not self._announced:
            _refuse_without_images(self.record)
        if self._announced:
            raise CannotFollowError("not all announced frames could be read before the run stopped")
        try:
            record = with_numbers(
                self.record, self._documents, roots=self._settings.file_roots, retry=LAST_LOOKS
            )
        except (OSError, ValueError) as error:
            raise CannotFollowError(str(error)) from error
        return self._assemble(np.flatnonzero(~np.isnan(self._arrived)), record)

    def _assemble(self, points: NDArray[np.intp], record: RunRecord) -> RockingScan:
        if self._source is None or not len(points):
            raise CannotFollowError("no frames came")
        first, last = int(points[0]), int(points[-1]) + 1
        array = self._array[first:last] if last - first == len(points) else self._array[points]
        stream, data_key = self._source
        frames = PointFrames(
            stream, data_key, array, seq_nums=(points + 1).astype(np.int64), pixels=self._pixels
        )
        return assemble(record, frames, self._settings)

    def _fetch(
        self, location: FramesInEvent | FramesInFile, *, last: bool
    ) -> FramesInEvent | FramesInFile | None:
        """Fetch frames; returns those that are not there yet."""
        if not self._is_ours(location):
            if isinstance(location, FramesInEvent):
                self._documents.forget(location)
            return None
        if isinstance(location, FramesInFile) and not location.dataset:
            raise CannotFollowError(f"{location.uri} is no HDF5 file whose frames can be read")
        try:
            points, numbers = read_points(
                location,
                roots=self._settings.file_roots,
                retry=LAST_LOOKS if last else ONCE,
                largest=self._settings.largest_stack,
            )
        except (PermissionError, ValueError) as error:  # not ours to read, or no frames
            raise CannotFollowError(str(error)) from error
        except OSError:  # not written yet, or locked by its writer
            return location
        if len(points):
            if self._file is None and isinstance(location, FramesInFile):
                self._file = location
                self._look_at_pixels(location)
            self._put(numbers[0], points)
        if isinstance(location, FramesInEvent):
            self.in_events = True
            self._documents.forget(location)
            return None
        return location.after(len(points)) if len(points) < len(numbers) else None

    def _is_ours(self, location: FramesInEvent | FramesInFile) -> bool:
        """Whether these are frames of the detector that is filled."""
        source, wanted = (location.stream, location.data_key), self._settings.data_key
        if wanted not in (None, location.data_key):
            return False
        if self._source is None:
            run = self.record
            images = list(dict.fromkeys([*declared_images(run), source]))
            try:
                self._source = choose_image(run, images, self._settings)
            except ValueError as error:
                raise CannotFollowError(str(error)) from error
        if location.stream != self._source[0] != PRIMARY:
            raise CannotFollowError(f"frames came in the streams {self._source[0]} and {source[0]}")
        return source == self._source

    def _put(self, seq_num: int, frames: NDArray[np.number]) -> None:
        """Keep the frames ``(point, frame of the point, row, col)`` of points from `seq_num` on."""
        start, stop = seq_num - 1, seq_num - 1 + len(frames)
        if start < 0:
            raise CannotFollowError(f"points count from 1, and frames came of point {seq_num}")
        if self._array.shape[1:] != frames.shape[1:]:
            if len(self._arrived):
                raise CannotFollowError(
                    f"frames of shape {frames.shape[1:]} came after some of {self._array.shape[1:]}"
                )
            self._array = self._room(max(self.expected or 0, stop), frames)
        if not np.can_cast(frames.dtype, self._array.dtype):  # counts would be wrapped or cut off
            raise CannotFollowError(
                f"frames of {frames.dtype} came after some of {self._array.dtype}"
            )
        if stop > len(self._array):
            more = self._room(stop, self._array, spare=True)
            more[: len(self._array)] = self._array
            self._array = more
        if stop > len(self._arrived):
            beyond = np.full(stop - len(self._arrived), np.nan)
            self._arrived = np.concatenate([self._arrived, beyond])
        known = np.flatnonzero(~np.isnan(self._arrived[start:stop])) + start
        self._revised.update(known.tolist())
        self._array[start:stop] = frames
        self._arrived[start:stop] = time.monotonic()

    def _room(
        self, points: int, like: NDArray[np.number], *, spare: bool = False
    ) -> NDArray[np.number]:
        """Memory for the frames of so many points, for as many again if there may be `spare` ones."""
        largest, frames = self._settings.largest_stack, like.shape[1:]
        try:
            check_points(points)
            check_size((points, *frames), like.dtype, largest)
        except ValueError as error:
            raise CannotFollowError(str(error)) from error
        if spare:
            point = max(math.prod(frames) * like.dtype.itemsize, 1)
            points = min(2 * points, largest // point, MOST_POINTS)
        return np.empty((points, *frames), like.dtype)


def _refuse_without_images(run: RunRecord) -> None:
    """Raise `NoImagesError` for a run that has announced none at all."""
    if not declared_images(run):
        recorded = [key for stream in run.streams.values() for key in stream.data_keys]
        raise NoImagesError(f"it recorded {', '.join(recorded[:LISTED]) or 'nothing'}")
