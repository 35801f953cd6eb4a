"""Files that may be read: below the allowed folders, regular, and complete."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import h5py

from bcdi_inpaint.base_error import BcdiInpaintError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIGNATURE = b"\x89HDF\r\n\x1a\n"
OPEN_FOR_SWMR = 0b100
"""Of the consistency flags in a superblock of version 3."""


class OutsideRootsError(BcdiInpaintError, PermissionError):
    """A document or a file names a file that is not below an allowed folder."""


def allowed_path(uri: str, roots: Sequence[str | Path]) -> Path:
    """Turn a ``file:`` URI or a path into the real path of a file that must be `below` one of ``roots``.

    The URI of anything but a local file is a `ValueError`.
    """
    parsed = urlparse(uri)
    if parsed.scheme not in ("", "file") or parsed.netloc not in ("", "localhost"):
        raise ValueError(f"{uri} is not a local file")
    path = Path(parsed.path)
    if not path.exists():  # writers differ in whether they quote
        path = Path(unquote(parsed.path))
    return below(path, roots)


def below(path: Path, roots: Sequence[str | Path]) -> Path:
    """The real path of a file, links followed; an `OutsideRootsError` if it isn't below one of ``roots``."""
    real = path.resolve()
    if not any(real.is_relative_to(Path(root).resolve()) for root in roots):
        listed = ", ".join(map(str, roots)) or "none is configured"
        raise OutsideRootsError(
            f"{real} may not be read: it is not below an allowed folder (file_roots: {listed})"
        )
    return real


def check_regular(path: Path) -> None:
    """Raise a `ValueError` for what may block when it is opened (a pipe without a writer), and for a folder."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a regular file")


@contextmanager
def open_hdf5(path: Path, roots: Sequence[str | Path] | None = None) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, whether or not it is being written, with any known filter.

    What is opened must lie below one of the roots, whatever the name led to before; None = anywhere.

    Raises
    ------
    OutsideRootsError, ValueError
        If it doesn't; if it is no regular file.
    BlockingIOError, OSError
        If its writer must close it first; if it can't be opened for another reason.
    """
    import hdf5plugin  # noqa: F401 (registers the filters)

    check_regular(path)
    with _open(path, swmr=_is_written_for_swmr(path)) as file:
        if roots is not None:
            below(_opened(file), roots)
        yield file


def _opened(file: h5py.File) -> Path:
    """Where a file lies that is open: its name may lead to another one by now."""
    descriptor = Path("/proc/self/fd", str(file.id.get_vfd_handle()))
    return descriptor.readlink() if descriptor.is_symlink() else Path(file.filename)


def _open(path: Path, *, swmr: bool, locking: bool | None = None) -> h5py.File:
    try:
        libver = "latest" if swmr else None
        return h5py.File(path, "r", libver=libver, swmr=swmr, locking=locking)
    except (OSError, RuntimeError) as error:  # h5py has both
        text = str(error)
        if isinstance(error, BlockingIOError) or "already open for write" in text:
            kind: type[OSError] = BlockingIOError
        elif "lock file" in text and locking is None:  # a file system that can't lock
            return _open(path, swmr=swmr, locking=False)
        else:
            kind = OSError
        raise kind(f"{path} can't be read as HDF5: {error}") from error


def _is_written_for_swmr(path: Path) -> bool:
    """Whether a writer has the file open, for SWMR.

    Only then it is opened for SWMR. If a checksum is wrong then, HDF5 assumes that the writer is just
    changing it and reads again for ever, holding all of its locks, and Python's: a file that is shorter than it
    says is an `OSError`.
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
