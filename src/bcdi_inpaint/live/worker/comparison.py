"""Whether the frames that were filled live are those of the raw run.

Frames in Events reach this package and Tiled separately, so that a lost or changed document would not be
noticed otherwise. Frames in files need no comparison: both read the same file.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Cause, cause_of, reason
from .pipeline import read_finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bcdi_inpaint.filling import Inpainted

    from ..settings import Settings
    from .pipeline import Catalogs

logger = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
"""Seconds before a raw run that is not there yet is looked for again; doubles."""
LONGEST_PAUSE = 32.0
PATIENCE = 300.0
"""Seconds for which a raw run may be missing from Tiled."""
LOOK_EVERY = 0.1
"""Seconds between looks whether it has been read."""


class Agreement(StrEnum):
    """The result of a comparison."""

    PENDING = "pending"
    SAME = "same"
    DIFFERENT = "different"
    IMPOSSIBLE = "impossible"


def checksums(frames: NDArray[np.number], mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Checksums of the measured voxels of each frame, the same for equal counts of any dtype.

    Parameters
    ----------
    frames
        ``(frame, row, col)`` real numbers.
    mask
        ``(row, col)`` or ``(frame, row, col)``, True = missing. It is part of the checksum.

    Returns
    -------
    uint32 array
        ``(frame,)``.
    """
    sums = np.empty(len(frames), np.uint32)
    counts = np.empty(frames.shape[1:], np.float64)
    masks = np.broadcast_to(mask, frames.shape) if mask.ndim == 2 else mask
    for number, (frame, missing) in enumerate(zip(frames, masks, strict=True)):
        np.copyto(counts, frame, casting="unsafe")
        counts[missing] = np.nan
        counts += 0.0  # no negative zeros
        sums[number] = zlib.crc32(counts.data)
    return sums


class Comparison:
    """Compares a filled run with the raw run, which is read in a thread beside other work.

    Parameters
    ----------
    catalogs, uid, settings
        The run, and with what it is filled. Reading begins at once.

    Attributes
    ----------
    note
        Description of a difference.
    """

    def __init__(self, catalogs: Catalogs, uid: str, settings: Settings) -> None:
        self.note = ""
        self._catalogs = catalogs
        self._uid = uid
        self._settings = settings
        self._filled: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._wait = FIRST_PAUSE
        self._next = 0.0
        self._until = time.monotonic() + PATIENCE
        self._reading = _Reading(catalogs, uid, settings)

    @property
    def due(self) -> bool:
        """Whether `look` has something to do."""
        return not self._reading.is_alive() and time.monotonic() >= self._next

    @property
    def pause(self) -> float:
        """Seconds until that may be so."""
        return LOOK_EVERY if self._reading.is_alive() else max(0.0, self._next - time.monotonic())

    def expect(self, filled: Inpainted) -> None:
        """Say what the raw run is compared with."""
        self._filled = checksums(filled.intensity, filled.mask)

    def look(self, seconds: float = 0.0) -> Agreement:
        """The result; waits for so long while the raw run is being read.

        A run that is not in Tiled yet, or that goes on there, is looked for again.
        """
        reading = self._reading
        reading.join(seconds)
        if not self.due:
            return Agreement.PENDING
        if reading.error is not None:
            return self._try_again(reading.error)
        self.note = _difference(self._filled, reading.sums)
        return Agreement.DIFFERENT if self.note else Agreement.SAME

    def _try_again(self, error: Exception) -> Agreement:
        now = time.monotonic()
        if cause_of(error) is Cause.RUN or now > self._until:
            logger.warning("run %s is not compared with Tiled: %s", self._uid, reason(error))
            return Agreement.IMPOSSIBLE
        if self._next:
            self._reading = _Reading(self._catalogs, self._uid, self._settings)
            self._next = 0.0
        else:
            self._next = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_PAUSE)
        return Agreement.PENDING


class _Reading(threading.Thread):
    """Reads a finished run; keeps its checksums only."""

    def __init__(self, catalogs: Catalogs, uid: str, settings: Settings) -> None:
        super().__init__(name="raw-run", daemon=True)
        self.sums: NDArray[np.uint32] = np.empty(0, np.uint32)
        self.error: Exception | None = None
        self._run = catalogs, uid, settings
        self.start()

    def run(self) -> None:
        try:
            scan = read_finished(*self._run)
            self.sums = checksums(scan.frames, scan.mask)
        except Exception as error:  # noqa: BLE001 (whoever asks for the verdict judges it)
            self.error = error


def _difference(filled: NDArray[np.uint32], raw: NDArray[np.uint32]) -> str:
    """Description of the difference; empty if there is none."""
    if len(filled) != len(raw):
        return (
            f"{len(filled)} frames came live, the raw run has {len(raw)}: filled from the raw run"
        )
    wrong = np.flatnonzero(filled != raw)
    if not wrong.size:
        return ""
    return (
        f"{wrong.size} of {len(raw)} frames that came live differ from the raw run, "
        f"the first is {wrong[0]}: filled from the raw run"
    )
