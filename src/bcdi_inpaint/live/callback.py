"""The callback that a RunEngine is subscribed to."""

from __future__ import annotations

import atexit
import pickle
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from bcdi_inpaint.catalog.claims import unique_owner
from bcdi_inpaint.scans import RockingScanRule, RunStart, Skip, SkipReason, why_skipped

from .background_logger import BackgroundLogger
from .dispatch.buffers import Buffers
from .dispatch.document_queue import DocumentQueue
from .dispatch.routing import Router
from .dispatch.run_table import RunTable
from .dispatch.snapshot import TooDeepError, TooLargeError, snapshot
from .dispatch.supervision import Supervisor
from .guard import going_on
from .messages import Document, Drop, Open
from .pipe import copy_settings
from .settings import Limits, Settings
from .status import DropReason, Status

if TYPE_CHECKING:
    from tiled.client.container import Container

logger = BackgroundLogger(__name__)


class InpaintCallback(AbstractContextManager["InpaintCallback"]):
    """Fill rocking scans while they are measured, at next to no cost for the RunEngine.

    >>> RE.subscribe(TiledWriter(raw))  # doctest: +SKIP
    >>> inpaint = InpaintCallback(raw, processed)  # doctest: +SKIP
    >>> RE.subscribe(inpaint)  # doctest: +SKIP

    A call takes a copy of the document, puts it in a bounded queue and returns. All work is done in a worker
    process, which is replaced when it dies. Whatever goes wrong, a call never raises and never
    waits; a run that can't be filled live is filled from Tiled after it has finished.

    Parameters
    ----------
    raw
        Tiled client of the catalogue that holds the runs.
    processed
        Tiled client of the container of filled scans.
    settings
        With what runs are filled. `settings` may be set at any time and counts from the next run on.
    rule
        What makes a run a rocking scan to be filled; other runs are ignored.
    limits
        Bounds of live filling.
    owner
        In whose name nodes are claimed; a service that keeps its name takes over at once what it
        had begun before it was restarted.

    Attributes
    ----------
    raw, processed
        The clients it was given.
    enabled
        Whether new runs are taken.
    settings
        How the next run is filled.

    Raises
    ------
    ValueError
        If a client belongs to a server inside this process, which the worker can't reach, or the
        worker can't be given the settings.
    """

    def __init__(
        self,
        raw: Container,
        processed: Container,
        *,
        settings: Settings | None = None,
        rule: RockingScanRule | None = None,
        limits: Limits | None = None,
        owner: str = "",
    ) -> None:
        limits = limits or Limits()
        self.raw = raw
        self.processed = processed
        self.enabled = True
        self.settings = settings or Settings()
        self._rule = rule or RockingScanRule()
        self._router = Router(self._is_taken)
        self._queue = DocumentQueue(limits.max_documents, limits.max_bytes)
        self._buffers = Buffers()
        self._run_table = RunTable(limits)
        self._supervisor = Supervisor(
            self._queue, self._run_table, _pickled(raw, processed), owner or unique_owner(), limits
        )
        atexit.register(self.close, 0.0)

    @property
    def settings(self) -> Settings:
        """How the next run is filled.

        Raises
        ------
        ValueError
            When it is set to something that the worker process can't be given.
        """
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = copy_settings(settings)

    def __call__(self, name: str, doc: Mapping[str, object]) -> None:
        """Take a document. Never raises, never waits."""
        uid = None
        try:
            uid = self._whose(name, doc)
            if uid is not None:
                self._take(uid, name, doc)
        except Exception:
            # An exception here would abort the scan.
            logger.exception("a %s document could not be taken; the scan goes on", name)
            with going_on(logger, "live filling could not be ended"):
                self._go_on_without(uid, name)

    def submit(
        self,
        uid: str,
        *,
        again: bool = False,
        settings: Settings | None = None,
        stopped: float | None = None,
    ) -> None:
        """Fill a finished run.

        Parameters
        ----------
        uid
            The run.
        again
            Even if it is filled already.
        settings
            By default those of the next run.
        stopped
            When it stopped, seconds since 1970, if its filling is to be timed from then on.

        Raises
        ------
        ValueError
            If the worker process can't be given these settings.
        """
        settings = self.settings if settings is None else copy_settings(settings)
        self._run_table.submit(uid, settings, again=again, stopped=stopped)
        self._queue.nudge()

    def pause(self) -> None:
        """Pause filling. New runs wait; what is being filled is finished."""
        self._supervisor.paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._supervisor.paused = False
        self._queue.nudge()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every run that has finished is filled or has failed.

        Returns
        -------
        bool
            Whether that came within `timeout` seconds.
        """
        return self._run_table.wait(timeout)

    def status(self) -> Status:
        """What is going on."""
        run_table, queue, supervisor = self._run_table, self._queue, self._supervisor
        return Status(
            enabled=self.enabled,
            paused=supervisor.paused,
            worker=supervisor.pid,
            restarts=supervisor.restarts,
            queue_documents=queue.entries,
            queue_bytes=queue.bytes,
            runs=run_table.runs(),
            last=run_table.last(),
            skipped=run_table.skipped(),
            complete=run_table.complete,
            failed=run_table.failed_by.total(),
            dropped=run_table.dropped_by.total(),
            failed_by=dict(run_table.failed_by),
            dropped_by=dict(run_table.dropped_by),
            skipped_by=dict(run_table.skipped_by),
            last_error=run_table.last_error,
            in_hand=supervisor.in_hand,
        )

    def close(self, timeout: float = 30.0) -> bool:
        """Take no more runs, wait for finished ones, end the worker.

        Returns
        -------
        bool
            Whether all runs were done within `timeout` seconds; the others will be filled by catching up.
        """
        self.enabled = False
        atexit.unregister(self.close)
        done = self.wait(timeout)
        self._supervisor.close(1.0)
        return done

    def __exit__(self, *_: object) -> None:
        self.close()

    def _whose(self, name: object, doc: object) -> str | None:
        """Uid of the run that a document belongs to, if that is followed."""
        if not isinstance(name, str) or not isinstance(doc, Mapping):
            return None
        return self._router.route(name, doc)

    def _is_taken(self, start: Mapping[str, object]) -> bool:
        skip = why_skipped(start, self._rule)
        if skip is None and not self.enabled:
            skip = Skip(SkipReason.OFF)
        if skip is not None:
            self._run_table.skip(RunStart.of(start), skip)
        return skip is None

    def _take(self, uid: str, name: str, doc: Mapping[str, object]) -> None:
        if name == "start":
            settings = self.settings
            live = not self._supervisor.paused
            self._run_table.begin(RunStart.of(doc), settings, live=live)
            self._router.forget_all_but({run.uid for run in self._run_table.runs()})
            if live:
                self._queue.insist(Open(uid, settings))
        self._run_table.document_came(uid)
        if self._run_table.filled_live(uid):
            self._pass_on(Document(uid, name, doc))
        if name == "stop":
            self._run_table.stop(uid)
            self._queue.nudge()

    def _pass_on(self, document: Document) -> None:
        """Queue a copy of a document; one that the queue has no room for is not copied."""
        last = document.name == "stop"
        most = self._queue.max_bytes if last else self._queue.room
        try:
            doc, nbytes = snapshot(document.doc, most, self._buffers)
        except TooDeepError as error:
            self._drop(document.uid, f"{error}; filled after the scan", DropReason.DEEP)
            return
        except TooLargeError:
            taken = False
        else:
            copied = replace(document, doc=doc)
            if last:  # small, and without it the worker would wait for it
                self._queue.insist(copied)
                return
            taken = self._queue.offer(copied, nbytes)
        if not taken:
            why = "the worker could not keep up; filled after the scan"
            self._drop(document.uid, why, DropReason.SLOW)

    def _go_on_without(self, uid: str | None, name: str) -> None:
        """Go on without a document that could not be taken.

        If its run is not known, all runs that are filled live are dropped.
        """
        why = f"a {name} document could not be taken"
        for lacking in self._run_table.live() if uid is None else (uid,):
            try:
                self._drop(lacking, f"{why}; filled after the scan", DropReason.LOST)
                if lacking == uid and name == "stop":
                    self._run_table.stop(uid)
            except Exception:
                logger.exception("run %s is left to catching up", lacking)
                self._run_table.fail(lacking, f"{why}; left to catching up")

    def _drop(self, uid: str, reason: str, why: DropReason) -> None:
        """Drop the live filling of a run."""
        self._queue.discard(uid)
        self._run_table.drop(uid, reason, why)
        self._queue.insist(Drop(uid))


def _pickled(raw: Container, processed: Container) -> bytes:
    try:
        return pickle.dumps((raw, processed))
    except TypeError as error:
        raise ValueError(
            f"the worker process needs a Tiled server that it can reach by its address, "
            f"such as tiled.server.SimpleTiledServer; {raw.uri} is inside this process"
        ) from error
