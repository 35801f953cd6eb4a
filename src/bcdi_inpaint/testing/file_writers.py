"""Frames written to HDF5 by another process, as an areaDetector IOC writes them."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from typing import TYPE_CHECKING, Any

import h5py

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

DATASET = "/entry/data/data"


class FrameWriter:
    """An HDF5 file writer that lives in a process of its own.

    The process starts with the first :meth:`open`, writes any number of files one after the other,
    and ends with :meth:`shutdown`, with this process, or when this object's end of the pipe is lost.
    It is spawned, so a script that uses it has to guard its main part by ``__name__``.

    Parameters
    ----------
    swmr
        Write in HDF5's single-writer-multiple-readers mode, which lets others read along.
    flush_every
        Flush after this many frames; 0 = only when the file is closed.
    """

    def __init__(self, *, swmr: bool = True, flush_every: int = 1) -> None:
        self._options = (swmr, flush_every)
        self._lock = threading.Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def open(self, path: Path, frame_shape: tuple[int, int], dtype: str) -> None:
        """Create ``path`` with an empty dataset for frames of this shape; its folder must exist."""
        with self._lock:
            if self._pipe is None:
                self._start()
        self._ask("open", str(path), frame_shape, dtype)

    def write(self, frame: NDArray[Any]) -> int:
        """Append one frame; return how many the file has."""
        written = self._ask("write", frame)
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
            self._process.join(timeout=10)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = self._pipe = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, childs_end = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(childs_end, *self._options), name="frame-writer", daemon=True
        )
        self._process.start()
        childs_end.close()

    def _ask(self, *request: Any) -> int | None:
        with self._lock:
            if self._pipe is None:
                raise RuntimeError("the frame writer has not been opened, or was shut down")
            self._pipe.send(request)
            answer: int | Exception | None = self._pipe.recv()
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
                    answer = _append(file[DATASET], arguments[0], flush_every)
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


def _create(path: str, frame_shape: tuple[int, int], dtype: str, *, swmr: bool) -> h5py.File:
    file = h5py.File(path, "x", libver="latest" if swmr else None)
    file.create_dataset(
        DATASET,
        shape=(0, *frame_shape),
        maxshape=(None, *frame_shape),
        chunks=(1, *frame_shape),
        dtype=dtype,
    )
    if swmr:
        file.swmr_mode = True
    return file


def _append(dataset: h5py.Dataset, frame: NDArray[Any], flush_every: int) -> int:
    written = len(dataset) + 1
    dataset.resize(written, axis=0)
    dataset[-1] = frame
    if flush_every and written % flush_every == 0:
        dataset.flush()
    return written
