"""A run that is filled while it is measured."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import httpx
import numpy as np

from bcdi_inpaint.catalog import ClaimedError, ClaimLostError
from bcdi_inpaint.catalog.node import STATUS_EVERY

from ..errors import NotThereYetError, reason
from ..guard import GuardedLogger
from ..messages import Progress
from .comparison import Agreement, Comparison
from .filled_windows import FilledWindows
from .frames import LOOK_EVERY, Collector
from .pipeline import fill_whole, finish, read_finished
from .points import Points
from .stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiled.client.container import Container

    from bcdi_inpaint.catalog import Fill
    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.scans import RockingScan

    from ..settings import Settings
    from .pipeline import Catalogs

logger = GuardedLogger(__name__)

CLAIM_EVERY = 3.0
"""Seconds between attempts to begin a node."""
LONGER = 0.5
"""Seconds by which the comparison with the raw run may delay a node."""


class LiveRun:
    """Collects frames, fills windows as soon as their frames are there, writes them.

    Frames are kept whatever becomes of Tiled: without it, windows are filled and wait for a node. `comparison` is that
    with the raw run, if it goes on when the node is complete.
    """

    def __init__(
        self, catalogs: Catalogs, uid: str, settings: Settings, progress: Callable[[Progress], None]
    ) -> None:
        self.settings = settings
        self.comparison: Comparison | None = None
        self._catalogs = catalogs
        self._uid = uid
        self._notify = progress
        self._collector = Collector(settings)
        self._points = Points(self._collector, settings.region)
        self._windows = FilledWindows(self._points, settings)
        self._fill: Fill | None = None
        self._next_claim = 0.0

    @property
    def pause(self) -> float:
        """Seconds for which there is nothing to do unless a document comes."""
        return LOOK_EVERY if self._collector.waiting else STATUS_EVERY

    def take(self, name: str, doc: Mapping[str, object]) -> None:
        """Take a document."""
        self._collector.take(name, doc)

    def advance(self) -> bool:
        """Do the next piece of work; whether there was one.

        Raises
        ------
        CannotFollowError
            If the run can't be filled while it goes on.
        """
        worked = self._fetch()
        if self._points.find_region():
            worked = self._write_next() or self._windows.fill_next() or worked
        if worked:
            self._report()
        return worked

    def finish(self) -> Container:
        """Complete the node, the run having stopped.

        Raises
        ------
        CannotFollowError
            If frames are missing; the run must be read from Tiled then.
        """
        done = Stages()
        self._fetch(last=True)
        whole = self._with_provenance(self._collector.whole())
        if self._collector.in_events:
            self.comparison = Comparison(self._catalogs, self._uid, self.settings)
        scan, settings = self._points.cut(whole), self.settings
        done("fetch")
        filled = self._windows.fill_rest(scan, done)
        fill = self._fill or self._catalogs.claim(scan.metadata, settings, again=False)
        fill.write(filled, frames_per_block=settings.portion, progress=self._wrote)
        done("send")
        if note := self._difference(filled):
            logger.warning("run %s: %s", self._uid, note)
            scan = read_finished(self._catalogs, self._uid, settings)
            filled = fill_whole(scan, settings)
            settings = replace(settings, notes=(*settings.notes, note))
            fill.write(filled, frames_per_block=settings.portion, progress=self._wrote)
        done("compare")
        node = finish(fill, scan, filled, settings)
        done("finish")
        logger.debug("run %s: after its stop: %s", self._uid, done)
        return node

    def _difference(self, filled: Inpainted) -> str:
        """How the frames differ from the raw run's; empty if they don't, or if it is not known in time."""
        if self.comparison is None:
            return ""
        self.comparison.expect(filled)
        agreement = self.comparison.look(LONGER)
        note = self.comparison.note
        if agreement is not Agreement.PENDING:
            self.comparison = None
        return note

    # Frames.

    def _fetch(self, *, last: bool = False) -> bool:
        came = self._collector.look(last=last)
        self._windows.forget(self._collector.revised())
        return came

    # Writing.

    def _write_next(self) -> bool:
        """Write the first window that is not written yet; whether there was one."""
        expected = self._collector.expected
        if expected is None or time.monotonic() < self._next_claim:
            return False
        try:
            return self._try_to_write(expected)
        except (httpx.HTTPError, ClaimedError, ClaimLostError, NotThereYetError) as error:
            logger.warning("run %s: %s; filling goes on without Tiled", self._uid, reason(error))
            self._fill = None
            for known in self._windows.by_window.values():
                known.written = False
            self._next_claim = time.monotonic() + CLAIM_EVERY
            return False

    def _try_to_write(self, expected: int) -> bool:
        if self._fill is None:
            scan = self._with_provenance(self._points.part(0, 1))
            self._fill = self._catalogs.claim(scan.metadata, self.settings, again=False)
            n, rows, cols = scan.frames.shape
            self._fill.allocate((n * expected, rows, cols), frames_per_block=self.settings.portion)
        for window, known in self._windows.by_window.items():
            if not known.written:
                per_point, filled = self._windows.frames_per_point(window), known.filled
                self._fill.write_frames(
                    window.start * per_point,
                    filled.intensity[:].astype(np.float32, copy=False),
                    filled.sigma[:],
                    filled.mask[:],
                    seconds_behind=self._seconds_behind(),
                    final=self._windows.final_points * per_point,
                )
                known.written = True
                return True
        self._fill.renew_when_due(seconds_behind=self._seconds_behind())
        return False

    @cached_property
    def _provenance(self) -> tuple[str, tuple[str, ...]]:
        """Path and access tags of the run, which must be in Tiled before its node is created."""
        return self._catalogs.provenance(self._uid)

    def _with_provenance(self, scan: RockingScan) -> RockingScan:
        path, access_tags = self._provenance
        return replace(
            scan, metadata=replace(scan.metadata, raw_path=path, access_tags=access_tags)
        )

    # Telling.

    def _seconds_behind(self) -> float:
        filled = self._windows.filled_points
        if filled >= self._collector.points:
            return 0.0
        return time.monotonic() - self._collector.arrived(filled)

    def _report(self) -> None:
        self._notify(
            Progress(
                self._uid,
                self._collector.points,
                self._windows.filled_points,
                self._collector.expected,
                self._seconds_behind(),
                self._windows.final_points,
            )
        )

    def _wrote(self, _what: str, done: float, of: float = 1.0) -> None:
        frames, total = int(done), int(of)
        self._notify(Progress(self._uid, total, frames, total, 0.0, frames))
