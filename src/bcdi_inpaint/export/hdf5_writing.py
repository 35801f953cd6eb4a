"""HDF5 files that are whole or not there, also where the disk is full."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bcdi_inpaint.atomic_writing import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import h5py
    from typing_extensions import Buffer


@contextmanager
def whole_hdf5(path: Path | str) -> Iterator[h5py.File]:
    """A new HDF5 file, which takes its name when the block ends well.

    Raises
    ------
    OSError
        If it can't be written.
    """
    import h5py

    with whole_file(path) as part, part.open("w+b", buffering=0) as file:
        target = _Target(file.fileno())
        with h5py.File(target, "w") as hdf5:
            yield hdf5
        if target.error is not None:
            raise target.error


class _Target(io.RawIOBase):
    """A file that hides from HDF5 that it can't be written, and keeps the error.

    HDF5 can't close a file that it failed to write, and ends the process with a segmentation fault when the
    objects in it are released.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._descriptor = descriptor
        self._place = 0
        self._end = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._end}[whence]
        self._place = begin + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def write(self, data: Buffer) -> int:
        part = memoryview(data).cast("B")
        written = 0
        while self.error is None and written < len(part):
            try:
                written += os.pwrite(self._descriptor, part[written:], self._place + written)
            except OSError as error:
                self.error = error
        self._place += len(part)
        self._end = max(self._end, self._place)
        return len(part)

    def readinto(self, buffer: Buffer) -> int:
        into = memoryview(buffer).cast("B")
        data = os.pread(self._descriptor, len(into), self._place)
        into[: len(data)] = data
        into[len(data) :] = bytes(len(into) - len(data))
        self._place += len(into)
        return len(into)

    def truncate(self, size: int | None = None) -> int:
        self._end = self._place if size is None else size
        try:
            os.ftruncate(self._descriptor, self._end)
        except OSError as error:
            self.error = self.error or error
        return self._end
