"""What is known of every run that was taken: the one place where live filling keeps state."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from dataclasses import replace
from threading import Condition
from typing import TYPE_CHECKING, Any

from ..background_logger import BackgroundLogger
from ..errors import kind_of
from ..messages import Fill, MarkFailed
from ..status import GOING_ON, TO_DO, DropReason, RunStatus, State
from .known_run import KnownRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from bcdi_inpaint.export.layout import NodeMetadata
    from bcdi_inpaint.scans import RunStart, Skip

    from ..errors import Cause
    from ..messages import Progress
    from ..settings import Limits, Settings

logger = BackgroundLogger(__name__)

KEPT = 50
"""Done runs that are remembered, and silent ones that may still stop."""
PATIENCE = 30.0
"""Seconds for which a finished run waits while another one is being measured."""


class RunTable:
    """Runs and their states. Safe to use from several threads; no method waits but `wait`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[str, KnownRun] = {}
        self._done: deque[RunStatus] = deque(maxlen=KEPT)
        self._skipped: deque[RunStatus] = deque(maxlen=KEPT)
        self._changed = Condition()
        self.complete = 0
        self.failed_by: Counter[str] = Counter()
        self.dropped_by: Counter[str] = Counter()
        self.skipped_by: Counter[str] = Counter()
        self.last_error = ""

    # What happens to a run, in this order.

    def begin(self, start: RunStart, settings: Settings, *, live: bool) -> None:
        """A run has started."""
        status = RunStatus(
            uid=start.uid,
            scan_id=start.scan_id,
            sample=start.sample,
            state=State.MEASURING if live else State.LEFT,
            method=settings.method,
            started=start.time,
        )
        with self._changed:
            self._open[status.uid] = KnownRun(status, settings, live)

    def submit(
        self, uid: str, settings: Settings, *, again: bool, stopped: float | None = None
    ) -> None:
        """A run that has finished some time ago is to be filled."""
        with self._changed:
            if uid not in self._open:
                status = RunStatus(uid=uid, method=settings.method, stopped=stopped)
                self._open[uid] = KnownRun(status, settings, live=False, again=again)
                self._changed.notify_all()

    def skip(self, start: RunStart, skip: Skip) -> None:
        """A run is not to be filled."""
        with self._changed:
            run = self._open.pop(start.uid, None)
            status = (
                RunStatus(start.uid, start.scan_id, start.sample) if run is None else run.status
            )
            self.skipped_by[skip.reason] += 1
            self._skipped.appendleft(
                replace(status, state=State.SKIPPED, reason=str(skip), completed=time.time())
            )
            self._changed.notify_all()
        logger.debug("%s (%s) is not filled: %s", status.name, status.uid, skip)

    def drop(self, uid: str, reason: str, why: DropReason) -> None:
        """Live filling of a run ends before the run does."""
        with self._changed:
            run = self._open.get(uid)
            if run is not None and run.live:
                self.dropped_by[why] += 1
                self._defer(run, reason)

    def document_came(self, uid: str) -> None:
        """A document of a run has arrived."""
        run = self._open.get(uid)
        if run is not None:
            run.last_document = time.monotonic()

    def release(self, uid: str, reason: str) -> bool:
        """Release the frames and the node of a silent run; returns whether it has not stopped yet."""
        with self._changed:
            run = self._open.get(uid)
            if run is None or run.status.state not in GOING_ON:
                return False
            self.dropped_by[DropReason.SILENT] += run.live
            run.releasing = True
            self._defer(run, reason)
            return True

    def released(self, uid: str) -> None:
        """A silent run is released; the latest such runs are remembered."""
        with self._changed:
            run = self._open.get(uid)
            if run is None:
                return
            run.releasing, run.released = False, True
            silent = [
                one.status.uid
                for one in self._open.values()
                if one.released and one.status.state in GOING_ON
            ]
            if len(silent) > KEPT:
                self.fail(silent[0], "it never stopped; left to catching up")

    def progress(self, news: Progress) -> None:
        """Frames have arrived or have been filled."""
        with self._changed:
            run = self._open.get(news.uid)
            if run is not None:
                self._note(
                    run,
                    frames=news.frames,
                    filled=news.filled,
                    final=news.final,
                    expected=news.expected,
                    seconds_behind=news.seconds_behind,
                )

    def stop(self, uid: str) -> None:
        """A run has finished."""
        with self._changed:
            run = self._open.get(uid)
            if run is not None:
                state = State.FILLING if run.live else State.WAITING
                self._note(run, state=state, stopped=time.time())

    def next_order(self) -> Fill | MarkFailed | None:
        """What to do with the next finished run, if there is one; it is being filled from now on.

        One at a time, and none while a run is filled live unless it has waited for long.
        """
        now = time.monotonic()
        with self._changed:
            runs = self._open.values()
            if any(run.status.state == State.FILLING and not run.live for run in runs):
                return None
            due_by = now - (PATIENCE if any(run.live for run in runs) else 0.0)
            for run in runs:
                if run.status.state == State.WAITING and run.due <= due_by:
                    self._note(run, state=State.FILLING)
                    uid, reason = run.status.uid, run.status.reason
                    if run.status.failures >= self._limits.attempts:
                        return MarkFailed(uid, run.settings, reason, run.proved)
                    return Fill(uid, run.settings, run.again)
        return None

    def complete_run(self, uid: str, path: str, metadata: NodeMetadata) -> None:
        """A run has a complete node, perhaps in place of an earlier one."""
        with self._changed:
            run = self._open.pop(uid, None)
            if run is None:
                for place, status in enumerate(self._done):
                    if status.uid == uid and status.state == State.COMPLETE:
                        self._done[place] = replace(status, path=path, result=dict(metadata))
                        break
                return
            self.complete += 1
            self._note(
                run,
                state=State.COMPLETE,
                path=path,
                result=dict(metadata),
                frames=metadata.get("frames", run.status.frames),
                filled=metadata.get("frames", run.status.filled),
                seconds_behind=0.0,
                completed=time.time(),
            )
            self._done.appendleft(run.status)

    def attempt_failed(self, uid: str, reason: str, cause: Cause) -> None:
        """A run could not be filled; it is tried again, or fails after too many times."""
        with self._changed:
            run = self._open.get(uid)
            if run is None:
                return
            run.has_failed(cause, self._limits)
            if run.status.failures > self._limits.attempts:
                self.fail(uid, reason)  # not even a node can be made that says so
            else:
                self._defer(run, reason)

    def fail(self, uid: str, reason: str = "") -> None:
        """A run is not tried again; without a node that says so, catching up will fill it."""
        with self._changed:
            run = self._open.pop(uid, None)
            if run is not None:
                if reason:
                    self.last_error = f"{run.status.name}: {reason}"
                reason = reason or run.status.reason
                self.failed_by[kind_of(reason)] += 1
                self._note(run, state=State.FAILED, reason=reason, completed=time.time())
                self._done.appendleft(run.status)
            self._changed.notify_all()

    # What can be asked.

    def filled_live(self, uid: str) -> bool:
        """Whether the documents of a run go to the worker."""
        run = self._open.get(uid)
        return run is not None and run.live

    def live(self) -> tuple[str, ...]:
        """Runs whose documents go to the worker."""
        return self._those(lambda run: run.live)

    def with_worker(self) -> tuple[str, ...]:
        """Runs that the worker has, live or to be filled."""
        return self._those(
            lambda run: run.live or run.releasing or run.status.state == State.FILLING
        )

    def silent(self) -> tuple[str, ...]:
        """Unfinished runs without a document for long, whose frames or node are not released."""
        now, seconds = time.monotonic(), self._limits.silent_seconds
        return self._those(lambda run: run.silent_at(seconds) <= now)

    def seconds_to_silence(self) -> float | None:
        """Until the next run counts as silent; None if none goes on."""
        seconds = self._limits.silent_seconds
        with self._changed:
            next_one = min(
                (run.silent_at(seconds) for run in self._open.values()), default=math.inf
            )
        return None if math.isinf(next_one) else max(0.0, next_one - time.monotonic())

    def seconds_to_next(self) -> float | None:
        """Until a waiting run is due; None if none waits."""
        with self._changed:
            due = [run.due for run in self._open.values() if run.status.state == State.WAITING]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def runs(self) -> tuple[RunStatus, ...]:
        """Runs that are not done, oldest first."""
        with self._changed:
            return tuple(run.status for run in self._open.values())

    def last(self) -> tuple[RunStatus, ...]:
        """Runs that are done, newest first."""
        with self._changed:
            return tuple(self._done)

    def skipped(self) -> tuple[RunStatus, ...]:
        """Runs that are not to be filled, newest first."""
        with self._changed:
            return tuple(self._skipped)

    def wait(self, timeout: float | None) -> bool:
        """Wait until no finished run is left to fill; whether that came in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(run.status.state in TO_DO for run in self._open.values()), timeout
            )

    def _those(self, wanted: Callable[[KnownRun], bool]) -> tuple[str, ...]:
        with self._changed:
            return tuple(uid for uid, run in self._open.items() if wanted(run))

    def _defer(self, run: KnownRun, reason: str) -> None:
        run.live = False
        self.last_error = f"{run.status.name}: {reason}"
        state = State.LEFT if run.status.state in GOING_ON else State.WAITING
        self._note(run, state=state, reason=reason, seconds_behind=0.0)

    def _note(self, run: KnownRun, **changes: Any) -> None:
        run.status = replace(run.status, **changes)
        self._changed.notify_all()
