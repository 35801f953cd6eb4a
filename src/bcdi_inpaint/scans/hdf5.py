"""Frames in HDF5 files, also while another process is writing them."""

from __future__ import annotations

import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import h5py
import numpy as np

from .sizes import LARGEST_STACK, check_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

SIGNATURE = b"\x89HDF\r\n\x1a\n"
OPEN_FOR_SWMR = 0b100
"""Of the consistency flags in a superblock of version 3."""


class OutsideRootsError(PermissionError):
    """A document or a file names a file that is not below an allowed folder."""


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


def allowed_path(uri: str, roots: Sequence[str | Path]) -> Path:
    """Turn a ``file:`` URI or a path into the real path of a file below one of ``roots``.

    Symbolic links are followed on both sides before they are compared.

    Raises
    ------
    ValueError
        If the URI is not one of a local file.
    OutsideRootsError
        If the file is not below any of the roots.
    """
    parsed = urlparse(uri)
    if parsed.scheme not in ("", "file") or parsed.netloc not in ("", "localhost"):
        raise ValueError(f"{uri} is not a local file")
    path = Path(parsed.path)
    if not path.exists():  # writers differ in whether they quote
        path = Path(unquote(parsed.path))
    real = path.resolve()
    if not any(real.is_relative_to(Path(root).resolve()) for root in roots):
        listed = ", ".join(map(str, roots)) or "none is configured"
        raise OutsideRootsError(
            f"{real} may not be read: it is not below an allowed folder (file_roots: {listed})"
        )
    return real


def check_regular(path: Path) -> None:
    """Refuse what opening may wait for without end, as for somebody who writes into a pipe.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If it is a pipe, a device or a folder.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a regular file")


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, whether or not it is being written, with any known filter.

    Raises
    ------
    BlockingIOError
        If who writes it must close it first.
    OSError
        If it can't be opened for another reason.
    ValueError
        If it is a pipe, a device or a folder.
    """
    import hdf5plugin  # noqa: F401 (registers the filters)

    check_regular(path)
    options = {"libver": "latest", "swmr": True} if _is_written_for_swmr(path) else {}
    with _open(path, **options) as file:
        yield file


def _open(path: Path, **options: Any) -> h5py.File:
    try:
        return h5py.File(path, "r", **options)
    except (OSError, RuntimeError) as error:  # h5py has both
        text = str(error)
        if isinstance(error, BlockingIOError) or "already open for write" in text:
            kind: type[OSError] = BlockingIOError
        elif "lock file" in text and "locking" not in options:  # a file system that can't lock
            return _open(path, **options, locking=False)
        else:
            kind = OSError
        raise kind(f"{path} can't be read as HDF5: {error}") from error


def _is_written_for_swmr(path: Path) -> bool:
    """Whether a writer has a file open to which it may be read along.

    Only then it is opened for SWMR: where a checksum is wrong, HDF5 believes in a writer who is
    just at it and looks again for ever, holding all of its locks and Python's.

    Raises
    ------
    OSError
        If the file is not there or is shorter than it says.
    """
    with path.open("rb") as file:
        block = file.read(48)
    if len(block) < 48 or block[:8] != SIGNATURE or block[8] < 3 or not block[11] & OPEN_FOR_SWMR:
        return False
    width = block[9]  # of an offset; the base's, the extension's and the end's follow
    end = int.from_bytes(block[12 + 2 * width : 12 + 3 * width], "little")
    size = path.stat().st_size
    if end > size:
        raise OSError(f"{path} can't be read as HDF5: it ends after {size} of {end} bytes")
    return True


def read_frames(
    uri: str,
    dataset: str,
    frames: tuple[int, int | None] = (0, None),
    *,
    roots: Sequence[str | Path],
    retry: Retry = ONCE,
    largest: int = LARGEST_STACK,
) -> NDArray[Any]:
    """Read frames ``[start, stop)`` of a dataset, or as many of them as are there.

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
    failure: OSError | None = None
    read: NDArray[Any] | None = None
    for _ in retry:
        path = allowed_path(uri, roots)
        try:
            with open_hdf5(path) as file:
                read = _frames(_dataset(file, dataset, roots), start, stop, largest)
        except OutsideRootsError:
            raise
        except OSError as error:
            failure = error
        else:
            if stop is None or len(read) == stop - start:
                break
    if read is None:
        raise failure or OSError(f"{uri} was not looked for")
    return read


def _dataset(file: h5py.File, name: str, roots: Sequence[str | Path]) -> h5py.Dataset:
    try:
        dataset = file[name]
    except KeyError as error:
        raise OSError(f"{file.filename} has no dataset {name!r}: {error}") from error
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim < 2 or dataset.dtype.hasobject:
        raise ValueError(f"{name!r} in {file.filename} is not a dataset of frames")
    home = Path(dataset.file.filename)
    elsewhere = (
        [source.file_name for source in dataset.virtual_sources()] if dataset.is_virtual else []
    )
    elsewhere += [name for name, _, _ in dataset.external or ()]
    for other in (home, *(home if source == "." else home.parent / source for source in elsewhere)):
        allowed_path(str(other), roots)
    return dataset


def _frames(dataset: h5py.Dataset, start: int, stop: int | None, largest: int) -> NDArray[Any]:
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
    flat: NDArray[Any] = entries.reshape(-1, rows, cols)
    return flat[start - first * per_entry : stop - first * per_entry]


def _whole_entries(dataset: h5py.Dataset) -> int:
    """Entries along the first axis that lie within the file as far as it is there.

    HDF5 gives zeros, and no error, for what a truncated file lacks if it is opened for SWMR.
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
