"""A scan that is filled window by window while its frames arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import isinf
from typing import TYPE_CHECKING

from .knowledge import Knowledge
from .pipeline import fill_whole
from .windows import Window, cut, filled_points, join, next_window, with_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bcdi_inpaint.filling import Estimate, Inpainted, SelfCheck
    from bcdi_inpaint.scans import RockingScan

    from ..settings import Settings
    from .points import Points

LARGEST_WINDOW = 2**25
"""Voxels that are filled at a time, however far filling has fallen behind; each takes some 30 bytes meanwhile."""


@dataclass(slots=True)
class FilledWindow:
    """Frames that were filled together: those of the window's own points.

    `final` says whether all their Friedel twins were in, `written` whether the node has them.
    """

    filled: Inpainted
    final: bool
    written: bool = False


class FilledWindows:
    """The windows of a scan that are filled.

    The method is checked on the window with the Bragg peak. If it is worse than kriging there, kriging fills all
    windows: those that were filled before once more, each when its twins are in.
    """

    def __init__(self, points: Points, settings: Settings) -> None:
        self.by_window: dict[Window, FilledWindow] = {}
        self._points = points
        self._settings = settings
        self._filling = settings
        self._knowledge = Knowledge(settings)
        self._check: SelfCheck | None = None
        self._seconds_per_frame = float("inf")

    @property
    def filled_points(self) -> int:
        """How many points are filled without a gap, from the first one on."""
        return filled_points(self.by_window)

    @property
    def final_points(self) -> int:
        """How many points are filled as they will stay."""
        if not self._knowledge.checked:
            return 0
        return sum(
            window.stop - window.start
            for window, known in self.by_window.items()
            if (known.final or not self._knowledge.symmetric) and not self._by_another(known)
        )

    def frames_per_point(self, window: Window) -> int:
        """How many frames each point has."""
        return len(self.by_window[window].filled.intensity) // (window.stop - window.start)

    def forget(self, points: Iterable[int]) -> None:
        """Forget what was filled from the frames of these points."""
        for point in points:
            for window in [w for w in self.by_window if w.first <= point < w.last]:
                del self.by_window[window]

    def fill_next(self) -> bool:
        """Fill the next window that can be filled; whether there was one."""
        expected, points = self._points.expected, len(self._points)
        if expected is not None:
            points = min(points, expected)
        window = self._next(points, expected) or self._once_more(points, expected)
        return window is not None and self._fill(window)

    def fill_rest(self, scan: RockingScan, done: Callable[[str], None]) -> Inpainted:
        """Fill a scan that is complete: at once if that is fast enough, else only what is not filled yet.

        `done` is told what has been done, ``"fill"`` and ``"join"``.
        """
        seconds = self._seconds_per_frame * len(scan.frames)
        in_windows = self.by_window or scan.frames.size > LARGEST_WINDOW
        if in_windows and seconds > self._settings.final_seconds and self._fill_left():
            parts = [self.by_window[window].filled for window in sorted(self.by_window)]
            done("fill")
            filled = join(parts, self._check)
            done("join")
            if filled.intensity.shape == scan.frames.shape:
                return filled
        self.by_window.clear()
        if not self._knowledge.checked or isinf(self._settings.final_seconds):
            filled = fill_whole(scan, self._settings)
        else:
            filled = with_check(fill_whole(scan, self._filling, self_check=False), self._check)
        done("fill")
        return filled

    def _next(self, points: int, total: int | None) -> Window | None:
        settings, most = self._settings, LARGEST_WINDOW // max(self._points.voxels, 1)
        return next_window(self.by_window, points, total, settings.portion, settings.margin, most)

    def _once_more(self, points: int, total: int | None) -> Window | None:
        """A window that is to be filled once more: by another method, or with twins that are in now."""
        return next((w for w in sorted(self.by_window) if self._is_due(w, points, total)), None)

    def _is_due(self, window: Window, points: int, total: int | None) -> bool:
        known = self.by_window[window]
        if not self._knowledge.symmetric:
            return self._by_another(known)
        if known.final and not self._by_another(known):
            return False
        return self._twins_are_in(window, self.frames_per_point(window), points, total)

    def _by_another(self, known: FilledWindow) -> bool:
        """Whether another method has filled a window than the one that fills now."""
        return known.filled.report.method != self._filling.method

    def _twins_are_in(self, window: Window, per_point: int, points: int, total: int | None) -> bool:
        return self._knowledge.twins_are_in(
            window.first * per_point,
            points * per_point,
            None if total is None else total * per_point,
        )

    def _fill(self, window: Window, *, last: bool = False) -> bool:
        """Fill what a window is for; False if the points' Events have not all come yet."""
        scan = self._points.part(window.first, window.last)
        per_point, rest = divmod(len(scan.frames), window.last - window.first)
        if rest or not per_point:
            return False
        points = len(self._points)
        so_far = partial(self._points.part, 0, points)
        check, changed = self._knowledge.update(scan, so_far, last=last)
        if changed:
            for known in self.by_window.values():
                known.final = False
        filled = fill_whole(
            scan,
            self._settings if check else self._filling,
            self_check=check,
            estimate=self._estimate_for(window, per_point),
        )
        report = filled.report
        if check:
            self._check = report.self_check
            self._filling = self._filling_by(report.method)
        total = points if last else self._points.expected
        self.by_window[window] = FilledWindow(
            cut(
                filled,
                (window.start - window.first) * per_point,
                (window.stop - window.first) * per_point,
                scan.frames,
            ),
            final=self._twins_are_in(window, per_point, points, total),
        )
        self._seconds_per_frame = min(self._seconds_per_frame, report.seconds / len(scan.frames))
        return True

    def _filling_by(self, method: str) -> Settings:
        if method == self._settings.method:
            return self._settings
        kept = {name: value for name, value in self._settings.options.items() if name == "twin"}
        return replace(self._settings, method=method, options=kept)

    def _estimate_for(self, window: Window, per_point: int) -> Estimate | None:
        """What is known of the whole scan, with the frames that hold the window's twins."""
        first, last = window.first * per_point, window.last * per_point
        start, stop = self._knowledge.opposite(first, last, len(self._points) * per_point)
        if start == stop:
            return self._knowledge.estimate_for(first, None, start)
        begin, end = start // per_point, -(-stop // per_point)
        return self._knowledge.estimate_for(first, self._points.part(begin, end), begin * per_point)

    def _fill_left(self) -> bool:
        """Fill the windows that are not filled yet; False if that can't be done."""
        total, margin = len(self._points), self._settings.margin
        for filled in list(self.by_window):
            if filled.last < min(filled.stop + margin, total):  # there were to be fewer points
                del self.by_window[filled]
        while (window := self._next(total, total) or self._once_more(total, total)) is not None:
            if not self._fill(window, last=True):
                return False
        return True
