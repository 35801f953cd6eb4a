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
LOOK_EVERY = 0.5
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


class Comparison(threading.Thread):
    """Compares a filled run with the raw run, which is read in this thread beside other work.

    A run that is not in Tiled yet, or that goes on there, is looked for again and again. `note` describes a difference.
    """

    def __init__(self, catalogs: Catalogs, uid: str, settings: Settings) -> None:
        super().__init__(name="raw-run", daemon=True)
        self.note = ""
        self.settings = settings
        self._catalogs = catalogs
        self._uid = uid
        self._filled: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._raw: NDArray[np.uint32] | None = None
        self._without = Agreement.PENDING
        """The result as long as the raw run has not been read."""
        self._tried = threading.Event()
        self.start()

    def run(self) -> None:
        """Read the raw run; keep its checksums only."""
        pause, until = FIRST_PAUSE, time.monotonic() + PATIENCE
        while not self._read(last=time.monotonic() > until):
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _read(self, *, last: bool) -> bool:
        """Try to read the raw run; whether that need not be tried again."""
        try:
            scan = read_finished(self._catalogs, self._uid, self.settings)
            self._raw = checksums(scan.frames, scan.mask)
        except Exception as error:  # noqa: BLE001 (most of them pass)
            if not last and cause_of(error) is not Cause.RUN:
                return False
            self._without = Agreement.IMPOSSIBLE
            logger.warning("run %s is not compared with Tiled: %s", self._uid, reason(error))
        finally:
            self._tried.set()
        return True

    def expect(self, filled: Inpainted) -> None:
        """Say what the raw run is compared with."""
        self._filled = checksums(filled.intensity, filled.mask)

    def look(self, seconds: float = 0.0) -> Agreement:
        """The result; waits for so long while the raw run is read for the first time."""
        self._tried.wait(seconds)
        if self._raw is None:
            return self._without
        self.note = _difference(self._filled, self._raw)
        return Agreement.DIFFERENT if self.note else Agreement.SAME


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
