"""Frames in HDF5 files, also while another process is writing them."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .linked_files import check_sources, find_dataset
from .local_files import OutsideRootsError, allowed_path, open_hdf5
from .sizes import LARGEST_STACK, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import h5py
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to look for frames that are not there yet, and how long to wait in between.

    Attributes
    ----------
    attempts
        1 = look once.
    pause
        Seconds before the second attempt; doubled before each further one.
    """

    attempts: int = 1
    pause: float = 0.25

    def __iter__(self) -> Iterator[int]:
        """Yield the attempts' numbers, waiting in between."""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            yield attempt


ONCE = Retry()
BROKEN = (RuntimeError, KeyError, TypeError, OverflowError)
"""What h5py raises over files whose structure is broken, beside `OSError` and `ValueError`."""


def read_frames(
    uri: str,
    dataset: str,
    frames: tuple[int, int | None] = (0, None),
    *,
    roots: Sequence[str | Path],
    retry: Retry = ONCE,
    largest: int = LARGEST_STACK,
) -> NDArray[np.number]:
    """Read frames ``[start, stop)`` of a dataset, or as many of them as the file has.

    Frames are counted over all leading axes, so that ``(point, frame, row, col)`` counts like
    ``(frame, row, col)``. Attempts go on until all frames are there; after the last one, the frames
    that are there from ``start`` on are returned, even if these are none.

    Parameters
    ----------
    uri
        ``file:`` URI or path.
    dataset
        Path of the dataset within the file; may be a link into another file.
    frames
        Half-open interval; to the last frame if ``stop`` is None.
    roots
        Folders outside of which nothing is read, through links and virtual datasets neither.
    retry
        Attempts while the file, the dataset or frames are not there.
    largest
        Bytes that the frames may take, and a chunk that they must be unpacked from.

    Returns
    -------
    (frame, row, col) array
        In the dataset's dtype.

    Raises
    ------
    OutsideRootsError
        If the file, or one that it links to, is not below the roots.
    OSError
        If the file can't be opened, or has no such dataset, at the last attempt.
    ValueError
        If it is not a regular file, or the dataset doesn't hold frames or too large ones.
    """
    start, stop = frames

    def take(found: h5py.Dataset) -> NDArray[np.number]:
        return _frames(found, start, stop, largest)

    wanted = None if stop is None else stop - start
    return _read(uri, dataset, take, wanted, 2, roots, retry)


def read_numbers(
    uri: str,
    dataset: str,
    rows: tuple[int, int],
    *,
    roots: Sequence[str | Path],
    retry: Retry = ONCE,
) -> NDArray[np.number]:
    """Read rows ``[start, stop)`` of a column, or as many of them as are there; else as `read_frames`."""

    def take(found: h5py.Dataset) -> NDArray[np.number]:
        check_size(found.chunks or (), found.dtype, LARGEST_STACK)
        if found.dtype.kind not in "iuf" or math.prod(found.shape[1:]) != 1:
            raise ValueError(f"{dataset} is no column of numbers, but {found.dtype} {found.shape}")
        stop = min(rows[1], _whole_entries(found))
        numbers: NDArray[np.number] = found[rows[0] : max(stop, rows[0])]
        return numbers.reshape(-1)

    return _read(uri, dataset, take, rows[1] - rows[0], 1, roots, retry)


def _read(
    uri: str,
    dataset: str,
    take: Callable[[h5py.Dataset], NDArray[np.number]],
    wanted: int | None,
    axes: int,
    roots: Sequence[str | Path],
    retry: Retry,
) -> NDArray[np.number]:
    """What `take` takes from a dataset of so many axes, as soon as it is as many entries as are wanted."""
    failure: OSError | None = None
    read: NDArray[np.number] | None = None
    for _ in retry:
        try:
            read = _read_once(allowed_path(uri, roots), dataset, take, axes, roots)
        except OutsideRootsError:
            raise
        except OSError as error:
            failure = error
        else:
            if wanted in (None, len(read)):
                break
    if read is None:
        raise failure or OSError(f"{uri} was not looked for")
    return read


def _read_once(
    path: Path,
    dataset: str,
    take: Callable[[h5py.Dataset], NDArray[np.number]],
    axes: int,
    roots: Sequence[str | Path],
) -> NDArray[np.number]:
    """As much as is there now."""
    try:
        with ExitStack() as opened:
            file = opened.enter_context(open_hdf5(path, roots))
            found = find_dataset(file, dataset, roots, opened, axes)
            read = take(found)
            check_sources(found, roots)
            return read
    except BROKEN as error:
        raise OSError(f"{path} is broken: {error}") from error


def _frames(
    dataset: h5py.Dataset, start: int, stop: int | None, largest: int
) -> NDArray[np.number]:
    *leading, rows, cols = dataset.shape
    per_entry = int(np.prod(leading[1:], dtype=int))
    there = _whole_entries(dataset) * per_entry if leading else 1
    stop = there if stop is None else min(stop, there)
    if stop <= start:
        return np.empty((0, rows, cols), dtype=dataset.dtype)
    first, last = start // per_entry, -(-stop // per_entry)
    check_size(((last - first) * per_entry, rows, cols), dataset.dtype, largest)
    check_size(dataset.chunks or (), dataset.dtype, largest)
    entries = dataset[first:last] if leading else dataset[()]
    flat: NDArray[np.number] = entries.reshape(-1, rows, cols)
    return flat[start - first * per_entry : stop - first * per_entry]


def _whole_entries(dataset: h5py.Dataset) -> int:
    """Entries along the first axis that lie within the file as far as it is there.

    For data beyond the end of a truncated file that is opened for SWMR, HDF5 gives zeros and no error.
    """
    entries = int(dataset.shape[0])
    if dataset.chunks is None or dataset.is_virtual or dataset.external:
        return entries
    size = Path(dataset.file.filename).stat().st_size
    beyond: list[int] = []

    def look(chunk: Any) -> None:
        if chunk.byte_offset + chunk.size > size:
            beyond.append(chunk.chunk_offset[0])

    dataset.id.chunk_iter(look)
    return min(beyond, default=entries)
