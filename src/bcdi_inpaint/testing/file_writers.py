"""Frames written to HDF5 by another process, as an areaDetector IOC writes them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING

import h5py

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

DATASET = "/entry/data/data"
ATTRIBUTES = "/entry/instrument/NDAttributes"
"""Where areaDetector puts numbers that it records with each frame."""


class FrameWriter:
    """An HDF5 file writer that lives in a process of its own.

    The process starts with the first :meth:`open`, writes any number of files one after the other,
    and ends with :meth:`shutdown`, with this process, or when this object's end of the pipe is lost.
    It is another interpreter, not a ``multiprocessing`` child, which would run the user's script again
    where its main part isn't guarded by ``__name__``.

    Parameters
    ----------
    swmr
        Write in HDF5's single-writer-multiple-readers mode, which lets others read along.
    flush_every
        Flush after this many frames; 0 = only when the file is closed.

    Attributes
    ----------
    suffix
        Of the files' names.
    dataset
        Where a file has its frames.
    """

    suffix = ".h5"
    dataset = DATASET

    def __init__(self, *, swmr: bool = True, flush_every: int = 1) -> None:
        self._options = (swmr, flush_every)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def open(
        self,
        path: Path,
        frame_shape: tuple[int, int],
        dtype: str,
        attributes: tuple[str, ...] = (),
    ) -> None:
        """Create ``path`` with an empty dataset for frames of this shape; its folder must exist.

        ``attributes`` names the numbers that are written with each frame.
        """
        with self._lock:
            if self._pipe is None:
                self._start()
        self._ask("open", str(path), frame_shape, dtype, attributes)

    def write(self, frame: NDArray[np.number], **attributes: float) -> int:
        """Append one frame with its attributes; return how many the file has."""
        written = self._ask("write", frame, attributes)
        assert isinstance(written, int)
        return written

    def close(self) -> None:
        """Close the file; nothing happens if none is open."""
        if self._pipe is not None:
            self._ask("close")

    def shutdown(self) -> None:
        """Close the file and end the process."""
        with self._lock:
            if self._pipe is None or self._process is None:
                return
            self._pipe.close()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = self._pipe = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _start(self) -> None:
        self._pipe, childs_end = Pipe()
        with childs_end:
            swmr, flush_every = self._options
            self._process = subprocess.Popen(  # noqa: S603 (this interpreter, this module)
                [
                    *(sys.executable, "-P", "-m", __name__),
                    *(str(childs_end.fileno()), str(int(swmr)), str(flush_every)),
                ],
                pass_fds=[childs_end.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def _ask(self, *request: object) -> int | None:
        with self._lock:
            if self._pipe is None:
                raise RuntimeError("the frame writer has not been opened, or was shut down")
            try:
                self._pipe.send(request)
                answer: int | Exception | None = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise RuntimeError(
                    "the process that writes the detector's files has died"
                ) from error
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(pipe: Connection, swmr: bool, flush_every: int) -> None:
    """What the process does: answer requests until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the scan; an IOC would not see it
    file: h5py.File | None = None
    while True:
        try:
            request, *arguments = pipe.recv()
        except EOFError:
            break
        answer: int | Exception | None = None
        try:
            match request:
                case "open":
                    file = _create(*arguments, swmr=swmr)
                case "write" if file:
                    frame, attributes = arguments
                    answer = _append(file, frame, attributes, flush_every)
                case "close":
                    if file:
                        file.close()
                case _:
                    answer = RuntimeError(f"can't {request}: no file is open")
        except Exception as error:  # noqa: BLE001 (the other side must hear of it)
            answer = error
        pipe.send(answer)
    if file:
        file.close()


def _create(
    path: str, frame_shape: tuple[int, int], dtype: str, attributes: tuple[str, ...], *, swmr: bool
) -> h5py.File:
    file = h5py.File(path, "x", libver="latest" if swmr else None)
    file.create_dataset(
        DATASET,
        shape=(0, *frame_shape),
        maxshape=(None, *frame_shape),
        chunks=(1, *frame_shape),
        dtype=dtype,
    )
    for name in attributes:
        file.create_dataset(f"{ATTRIBUTES}/{name}", shape=(0,), maxshape=(None,), dtype="f8")
    if swmr:
        file.swmr_mode = True
    return file


def _append(
    file: h5py.File, frame: NDArray[np.number], attributes: Mapping[str, float], flush_every: int
) -> int:
    entries = {f"{ATTRIBUTES}/{name}": value for name, value in attributes.items()}
    written = len(file[DATASET]) + 1
    for path, entry in {**entries, DATASET: frame}.items():
        file[path].resize(written, axis=0)
        file[path][-1] = entry
        if flush_every and written % flush_every == 0:
            file[path].flush()
    return written


if __name__ == "__main__":
    descriptor, in_swmr, every = map(int, sys.argv[1:])
    _serve(Connection(descriptor), swmr=bool(in_swmr), flush_every=every)
