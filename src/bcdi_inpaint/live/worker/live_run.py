"""A run that is filled while it is measured."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from math import isinf
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from bcdi_inpaint.catalog import ClaimedError, ClaimLostError
from bcdi_inpaint.catalog.node import STATUS_EVERY

from ..errors import NotThereYetError, reason
from ..guard import GuardedLogger
from ..messages import Progress
from ..region import AroundPeak, PeakFinder, crop, region_of
from .comparison import Comparison, Verdict
from .frames import LOOK_EVERY, Collector
from .knowledge import Knowledge
from .pipeline import fill_whole, finish, read_finished, write
from .windows import Window, cut, filled_points, join, next_window, with_check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiled.client.container import Container

    from bcdi_inpaint.catalog import Fill
    from bcdi_inpaint.filling import Estimate, Inpainted, SelfCheck
    from bcdi_inpaint.scans import RockingScan, Span

    from ..settings import Settings
    from .pipeline import Catalogs

logger = GuardedLogger(__name__)

CLAIM_EVERY = 3.0
"""Seconds between attempts to begin a node."""
LONGER = 0.5
"""Seconds by which comparing with the raw run may make a node later."""


class LiveRun:
    """Collects frames, fills portions whose window is there, writes them.

    Frames are kept whatever becomes of Tiled: without it, portions are filled and wait for a node.

    Parameters
    ----------
    catalogs
        Where runs come from and filled scans go.
    uid
        The run's.
    settings
        With what it is filled.
    progress
        Told how far it is.

    Attributes
    ----------
    comparison
        With the raw run, if that goes on when the node is complete.
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
        self._region: tuple[Span, Span] | None = None
        self._finder = (
            PeakFinder(settings.region) if isinstance(settings.region, AroundPeak) else None
        )
        self._looked = 0
        self._portions: dict[Window, Inpainted] = {}
        self._filling = settings
        self._knowledge = Knowledge(settings)
        self._with_twins: set[Window] = set()
        """Windows that were filled when all their twins were in."""
        self._check: SelfCheck | None = None
        self._seconds_per_frame = float("inf")
        self._fill: Fill | None = None
        self._written: set[Window] = set()
        self._next_claim = 0.0

    @property
    def pause(self) -> float:
        """Seconds for which there is nothing to do unless a document comes."""
        return LOOK_EVERY if self._collector.waiting else STATUS_EVERY

    def take(self, name: str, doc: Mapping[str, Any]) -> None:
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
        if self._find_region():
            worked = self._write_next() or self._fill_next() or worked
        if worked:
            self._report()
        return worked

    def finish(self) -> Container:
        """Complete the node, the run having stopped.

        Raises
        ------
        CannotFollowError
            If something is lacking; the run must be read from Tiled then.
        """
        self._fetch(last=True)
        whole = self._with_provenance(self._collector.whole())
        self._region = self._region or region_of(whole, self.settings.region)
        if self._collector.in_events:
            self.comparison = Comparison(self._catalogs, self._uid, self.settings)
        scan, settings = crop(whole, self._region), self.settings
        filled = self._fill_rest(scan)
        fill = self._fill or self._catalogs.claim(scan.metadata, settings, again=False)
        write(fill, filled, settings, self._wrote)
        if note := self._difference(filled):
            logger.warning("run %s: %s", self._uid, note)
            scan = read_finished(self._catalogs, self._uid, settings)
            filled = fill_whole(scan, settings)
            settings = replace(settings, notes=(*settings.notes, note))
            write(fill, filled, settings, self._wrote)
        return finish(fill, scan, filled, settings)

    def _difference(self, filled: Inpainted) -> str:
        """In what the frames differ from the raw run's, if that can be told in time; else empty."""
        if self.comparison is None:
            return ""
        self.comparison.expect(filled)
        verdict = self.comparison.look(LONGER)
        note = self.comparison.note
        if verdict is not Verdict.PENDING:
            self.comparison = None
        return note

    # Frames.

    def _fetch(self, *, last: bool = False) -> bool:
        came = self._collector.look(last=last)
        for point in self._collector.revised():
            for window in [w for w in self._portions if w.first <= point < w.last]:
                del self._portions[window]
                self._written.discard(window)
                self._with_twins.discard(window)
        return came

    def _find_region(self) -> bool:
        """Whether it is known what part of the frame to fill."""
        points = self._collector.points
        if self._region is None and points > self._looked:
            scan = self._collector.part(self._looked, points)
            self._looked = points
            if self._finder is None:
                self._region = region_of(scan, self.settings.region)
            else:
                self._finder.look(scan)
                if self._finder.found:
                    self._region = self._finder.region
        return self._region is not None

    # Filling.

    def _fill_next(self) -> bool:
        """Fill the next portions that can be; whether there were some."""
        expected, points = self._collector.expected, self._collector.points
        if expected is not None:
            points = min(points, expected)
        window = self._next(points, expected) or self._provisional(points, expected)
        return window is not None and self._fill_window(window)

    def _provisional(self, points: int, total: int | None) -> Window | None:
        """A window that was filled before its twins came, which are in now; None if there is none."""
        for window in sorted(self._portions.keys() - self._with_twins):
            frames = self._frames_per_point(window)
            so_far, all_of_them = points * frames, None if total is None else total * frames
            if self._knowledge.twins_are_in(window.first * frames, so_far, all_of_them):
                return window
        return None

    def _frames_per_point(self, window: Window) -> int:
        return len(self._portions[window].intensity) // (window.stop - window.start)

    def _next(self, points: int, total: int | None) -> Window | None:
        return next_window(
            self._portions, points, total, self.settings.portion, self.settings.margin
        )

    def _fill_window(self, window: Window, *, last: bool = False) -> bool:
        """Fill what a window is for; False if the points' Events have not all come yet.

        The method is checked where the Bragg peak is. Where it loses to kriging, kriging fills what
        has been filled and what comes.
        """
        scan = self._window(window)
        per_point, rest = divmod(len(scan.frames), window.last - window.first)
        if rest or not per_point:
            return False
        check, changed = self._knowledge.learn(scan, self._so_far, last=last)
        if changed:
            self._with_twins.clear()
        filled = fill_whole(
            scan,
            self.settings if check else self._filling,
            self_check=check,
            estimate=self._estimate_for(window, per_point),
        )
        report = filled.report
        if check:
            self._check = report.self_check
            if report.method != self._filling.method:
                self._filling = self._filling_by(report.method)
                self._portions.clear()
                self._written.clear()
                self._with_twins.clear()
        points = self._collector.points
        total = points if last else self._collector.expected
        if self._knowledge.twins_are_in(
            window.first * per_point,
            points * per_point,
            None if total is None else total * per_point,
        ):
            self._with_twins.add(window)
        self._written.discard(window)
        self._portions[window] = cut(
            filled,
            (window.start - window.first) * per_point,
            (window.stop - window.first) * per_point,
        )
        self._seconds_per_frame = min(self._seconds_per_frame, report.seconds / len(scan.frames))
        return True

    def _filling_by(self, method: str) -> Settings:
        if method == self.settings.method:
            return self.settings
        kept = {name: value for name, value in self.settings.options.items() if name == "twin"}
        return replace(self.settings, method=method, options=kept)

    def _estimate_for(self, window: Window, per_point: int) -> Estimate | None:
        """What is known of the whole scan, with the frames that hold the window's twins."""
        first, last = window.first * per_point, window.last * per_point
        start, stop = self._knowledge.opposite(first, last, self._collector.points * per_point)
        if start == stop:
            return self._knowledge.estimate_for(first, None, start)
        begin, end = start // per_point, -(-stop // per_point)
        opposite = self._window(Window(begin, end, begin, end))
        return self._knowledge.estimate_for(first, opposite, begin * per_point)

    def _so_far(self) -> RockingScan:
        points = self._collector.points
        return self._window(Window(0, points, 0, points))

    def _window(self, window: Window) -> RockingScan:
        assert self._region is not None
        return crop(self._collector.part(window.first, window.last), self._region)

    def _fill_rest(self, scan: RockingScan) -> Inpainted:
        """Fill the whole at once if that is fast enough, else only what is not filled yet."""
        seconds = self._seconds_per_frame * len(scan.frames)
        if self._portions and seconds > self.settings.final_seconds and self._fill_portions():
            parts = [self._portions[window] for window in sorted(self._portions)]
            filled = join(parts, self._check)
            if filled.intensity.shape == scan.frames.shape:
                return filled
        self._portions.clear()
        if not self._knowledge.checked or isinf(self.settings.final_seconds):
            return fill_whole(scan, self.settings)
        filled = fill_whole(scan, self._filling, self_check=False)
        return with_check(filled, self._check)

    def _fill_portions(self) -> bool:
        """Fill the portions that are left; False if that can't be done."""
        total, margin = self._collector.points, self.settings.margin
        for filled in list(self._portions):
            if filled.last < min(filled.stop + margin, total):  # there were to be fewer points
                del self._portions[filled]
        while (window := self._next(total, total)) is not None:
            if not self._fill_window(window, last=True):
                return False
        while (window := self._provisional(total, total)) is not None:
            if not self._fill_window(window, last=True):
                return False
        return True

    # Writing.

    def _write_next(self) -> bool:
        """Write the first portion that is not written yet; whether there was one."""
        expected = self._collector.expected
        if expected is None or time.monotonic() < self._next_claim:
            return False
        try:
            return self._try_to_write(expected)
        except (httpx.HTTPError, ClaimedError, ClaimLostError, NotThereYetError) as error:
            logger.warning("run %s: %s; filling goes on without Tiled", self._uid, reason(error))
            self._fill = None
            self._written.clear()
            self._next_claim = time.monotonic() + CLAIM_EVERY
            return False

    def _try_to_write(self, expected: int) -> bool:
        if self._fill is None:
            scan = self._with_provenance(self._collector.part(0, 1))
            assert self._region is not None
            scan = crop(scan, self._region)
            self._fill = self._catalogs.claim(scan.metadata, self.settings, again=False)
            n, rows, cols = scan.frames.shape
            self._fill.allocate((n * expected, rows, cols), frames_per_block=self.settings.portion)
        for window, part in self._portions.items():
            if window not in self._written:
                per_point = self._frames_per_point(window)
                self._fill.write_frames(
                    window.start * per_point,
                    part.intensity.astype(np.float32, copy=False),
                    part.sigma,
                    part.mask,
                    seconds_behind=self._seconds_behind(),
                    final=self._final_points() * per_point,
                )
                self._written.add(window)
                return True
        self._fill.renew_when_due(seconds_behind=self._seconds_behind())
        return False

    @cached_property
    def _provenance(self) -> tuple[str, tuple[str, ...]]:
        """Path and access tags of the run, which must be in Tiled before anything is made of it."""
        return self._catalogs.provenance(self._uid)

    def _with_provenance(self, scan: RockingScan) -> RockingScan:
        path, access_tags = self._provenance
        return replace(
            scan, metadata=replace(scan.metadata, raw_path=path, access_tags=access_tags)
        )

    # Telling.

    def _seconds_behind(self) -> float:
        filled = filled_points(self._portions)
        if filled >= self._collector.points:
            return 0.0
        return time.monotonic() - self._collector.arrived(filled)

    def _report(self) -> None:
        self._notify(
            Progress(
                self._uid,
                self._collector.points,
                filled_points(self._portions),
                self._collector.expected,
                self._seconds_behind(),
                self._final_points(),
            )
        )

    def _final_points(self) -> int:
        """How many points are filled as they will stay."""
        if not self._knowledge.checked:
            return 0
        windows = self._with_twins if self._knowledge.symmetric else self._portions.keys()
        return sum(window.stop - window.start for window in windows)

    def _wrote(self, _what: str, done: float, of: float = 1.0) -> None:
        frames, total = int(done), int(of)
        self._notify(Progress(self._uid, total, frames, total, 0.0, frames))
