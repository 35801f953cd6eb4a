"""A rocking scan from a run's documents and the files that they announce, without Tiled."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .assembly import assemble
from .hdf5 import ONCE, read_frames, read_numbers
from .images import choose_image
from .locations import FramesInEvent, FramesInFile
from .pixel_facts import PixelFacts, read_pixel_facts
from .points import count
from .reading import AS_RECORDED
from .sizes import LARGEST_STACK
from .streams import PointFrames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .documents import RunDocuments
    from .hdf5 import Retry
    from .locations import Location
    from .reading import ReadingOptions
    from .rocking_scan import RockingScan
    from .streams import RunRecord


def from_documents(
    documents: RunDocuments,
    reading: ReadingOptions = AS_RECORDED,
    *,
    retry: Retry = ONCE,
    **options: Any,
) -> RockingScan:
    """Make a rocking scan of what a run's documents have said so far.

    Parameters
    ----------
    documents
        The documents of the run so far.
    reading
        As in `bcdi_inpaint.scans.from_run`, and with the same result; files are read from its ``file_roots``.
    retry
        How often files are read again while frames are absent.
    **options
        Single fields of `ReadingOptions`, before those of ``reading``.

    Raises
    ------
    ValueError
        If there are no frames, or a choice is missing or doesn't fit.
    OutsideRootsError
        If a file lies outside ``file_roots``.
    OSError
        If a file can't be read.
    """
    reading, run = replace(reading, **options), documents.run
    stream, key = choose_image(run, documents.images, reading)
    parts: list[tuple[NDArray[np.number], range]] = []
    n_points: Counter[tuple[int, ...]] = Counter()
    notes: list[str] = []
    located = documents.located(stream, key)
    for location in located:
        points, numbers = read_points(
            location, roots=reading.file_roots, retry=retry, largest=reading.largest_stack
        )
        if len(points) < len(numbers):
            notes.append(f"a file has {len(points)} of {len(numbers)} points")
        parts.append((points, numbers[: len(points)]))
        n_points[points.shape[1:]] += len(points)
    usual, n_usual = n_points.most_common(1)[0]
    if odd := n_points.total() - n_usual:
        notes.append(f"{count(odd, 'point')} of another shape than {usual[1:]} left out")
    parts = [(points, numbers) for points, numbers in parts if points.shape[1:] == usual]
    frames = PointFrames(
        stream,
        key,
        parts[0][0] if len(parts) == 1 else np.concatenate([points for points, _ in parts]),
        np.concatenate([np.array(numbers, dtype=np.int64) for _, numbers in parts]),
        tuple(notes),
        announced_pixels(located, reading.file_roots),
    )
    run = with_numbers(run, documents, roots=reading.file_roots, retry=retry)
    return assemble(run, frames, reading)


def announced_pixels(located: Sequence[Location], roots: Sequence[str | Path]) -> PixelFacts:
    """What the first file with frames says of the detector's pixels, if files may be read."""
    files = (location for location in located if isinstance(location, FramesInFile))
    first = next(files, None)
    if first is None or not roots:
        return PixelFacts()
    return read_pixel_facts(first.uri, first.dataset, roots)


def with_numbers(
    run: RunRecord,
    documents: RunDocuments,
    *,
    roots: Sequence[str | Path],
    retry: Retry = ONCE,
) -> RunRecord:
    """The record with the columns that a device wrote to files, such as a motor's positions in a fly scan.

    As when a run is read from Tiled, that is so in streams without Events. Errors are those of `read_numbers`.
    """
    streams = dict(run.streams)
    for (name, key), locations in documents.numbers.items():
        if run.streams[name].columns:
            continue
        parts = [
            read_numbers(location.uri, location.dataset, location.frames, roots=roots, retry=retry)
            for location in locations
            if isinstance(location, FramesInFile)
        ]
        columns = {**streams[name].columns, key: np.concatenate(parts)}
        streams[name] = replace(streams[name], columns=columns)
    return replace(run, streams=streams)


def read_points(
    location: Location,
    *,
    roots: Sequence[str | Path],
    retry: Retry = ONCE,
    largest: int = LARGEST_STACK,
) -> tuple[NDArray[np.number], range]:
    """Frames ``(point, frame of the point, row, col)`` at a location, and the points' ``seq_num``.

    There are fewer points than numbers if a file doesn't have them all at the last attempt. Parameters and errors
    are those of `read_frames`, with an `OSError` too for what can be read only through Tiled.
    """
    numbers = range(*location.seq_nums)
    if isinstance(location, FramesInEvent):
        rows, cols = location.array.shape[-2:]
        return location.array.reshape(1, -1, rows, cols), numbers
    if not location.dataset:
        raise OSError(f"{location.uri} is not a plain HDF5 dataset; read the finished run")
    frames = read_frames(
        location.uri,
        location.dataset,
        location.frames,
        roots=roots,
        retry=retry,
        largest=largest,
    )
    n_points = len(frames) // location.per_point
    points = frames[: n_points * location.per_point].reshape(
        n_points, location.per_point, *frames.shape[1:]
    )
    return points, numbers
