"""What the console says: on the terminal and in the log, when something has happened."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from rich.markup import escape

from bcdi_inpaint.filling import Verdict
from bcdi_inpaint.live import wording
from bcdi_inpaint.live.guard import GuardedLogger
from bcdi_inpaint.live.logs import LogFile
from bcdi_inpaint.scans import SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from bcdi_inpaint.live import RunStatus, Status

    from .toggles import Toggles

logger = GuardedLogger("bcdi_inpaint")


def write_log(file: Path) -> LogFile:
    """Have what is logged appended to a file."""
    handler = LogFile(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.logger.addHandler(handler)
    logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    return handler


def last_lines(file: Path, count: int = 20) -> list[str]:
    """The last lines of a file, with their ends; none if there is no file."""
    try:
        with file.open(encoding="utf-8") as opened:
            return list(deque(opened, count))
    except (FileNotFoundError, NotADirectoryError):
        return []


class Say:
    """Says a line to the operator on the terminal and writes it to the log."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, text: str, *, bad: bool = False) -> None:
        """Say it; `bad` if something is wrong."""
        logger.log(logging.WARNING if bad else logging.INFO, text)
        style = wording.BAD if bad else None
        self.console.print(escape(f"inpaint: {text}"), style=style, soft_wrap=True)


class Announcements:
    """Reports the result of each run once.

    Runs that are not to be filled are written to the log only, but for the first one that is left
    alone because inpainting is off. `doubtful` is called with each run whose fill can't be trusted as it is.
    """

    def __init__(self, say: Say, doubtful: Callable[[RunStatus], None]) -> None:
        self._say = say
        self._doubtful = doubtful
        self._done: set[tuple[str, float | None]] = set()
        self._last_error = ""
        self._off_is_known = False
        """Whether it has been said of a scan that inpainting is off, since it is."""

    def begin(self, toggles: Toggles) -> None:
        """Say what keeps scans from being filled since an earlier session."""
        if not toggles.on:
            off = "off since an earlier session: new scans are not filled (%inpaint on)"
            self._say(off, bad=True)
        elif toggles.paused:
            self._say("paused since an earlier session: scans wait (%inpaint resume)", bad=True)

    def toggled(self, toggles: Toggles) -> None:
        """Toggles have come into force."""
        self._off_is_known &= not toggles.on

    def announce(self, status: Status, toggles: Toggles) -> None:
        """Say what is new in `status`."""
        for run in (*reversed(status.skipped), *reversed(status.last)):
            mark = (run.uid, run.completed)
            if mark in self._done:
                continue
            self._done.add(mark)
            if run in status.skipped:
                self._skipped(run)
            else:
                self._filled(run, toggles.threshold)
        if status.last_error != self._last_error:
            self._last_error = status.last_error
            self._say(status.last_error, bad=True)

    def _skipped(self, run: RunStatus) -> None:
        if run.reason == SkipReason.OFF and not self._off_is_known:
            self._off_is_known = True
            self._say(f"{run.name} is not filled: inpainting is off (%inpaint on)", bad=True)
        else:
            logger.info("%s is not filled: %s", run.name, run.reason)

    def _filled(self, run: RunStatus, threshold: float | None) -> None:
        text = wording.line(run, threshold)
        logger.info(text.plain)
        self._say.console.print(text, soft_wrap=True)
        if run.result and wording.verdict(run.result, threshold) != Verdict.TRUSTED:
            if run.result.get("self_check_verdict", Verdict.TRUSTED) != Verdict.TRUSTED:
                self._say(f"{run.name}: {run.result.get('self_check_reason')}", bad=True)
            self._doubtful(run)
