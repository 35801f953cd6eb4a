"""Passes documents and finished runs to a worker process, which is replaced when it is lost."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import Cause, reason
from ..guard import GuardedLogger, going_on, repeat
from ..messages import Close, Drop, Hello
from ..status import DropReason
from .worker_process import BEAT, WorkerLostError, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..messages import Document, Open
    from ..settings import Limits
    from .document_queue import DocumentQueue
    from .run_table import RunTable

logger = GuardedLogger(__name__)

REST = 1.0
"""Seconds between attempts after a failure that no run has caused."""
LONGEST_REST = 30.0
"""Seconds between attempts to start a worker that dies at its start."""


class Supervisor:
    """A thread that passes documents and finished runs to a worker process, for as long as it lives.

    `clients` are the pickled Tiled clients of raw and processed data; nodes are claimed in the name of `owner`.
    """

    def __init__(
        self, queue: DocumentQueue, run_table: RunTable, clients: bytes, owner: str, limits: Limits
    ) -> None:
        self.paused = False
        self.restarts = -1
        self._queue = queue
        self._run_table = run_table
        self._hello = Hello(clients, owner, limits.lease_seconds, BEAT)
        self._limits = limits
        self._worker: WorkerProcess | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bcdi-inpaint", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The worker's process id, or None while there is none."""
        worker = self._worker
        return worker.process.pid if worker is not None and worker.alive else None

    @property
    def in_hand(self) -> str:
        """Uid of the run that the worker works on, or empty."""
        worker = self._worker
        return worker.in_hand if worker is not None and worker.alive else ""

    def close(self, timeout: float) -> None:
        """Let the worker finish what it has in hand, or end it after `timeout` seconds."""
        self._closing.set()
        self._queue.nudge()
        deadline = time.monotonic() + timeout
        self._thread.join(timeout)
        worker = self._worker
        if worker is not None:
            with going_on(logger, "the worker could not be ended"):
                worker.end(max(0.1, deadline - time.monotonic()))
        self._thread.join(1.0)

    def _run(self) -> None:
        doing = "a step of passing orders to the worker failed, it is tried again"
        repeat(self._step, self._closing, logger, doing, rest=REST)
        if self._worker is not None:
            with going_on(logger, "the worker was not asked to end"), suppress(WorkerLostError):
                self._worker.send(Close())

    def _step(self) -> None:
        worker = self._worker
        if worker is None or not worker.alive:
            self._replace(worker)
            return
        entry = self._queue.take(self._seconds_to_wait())
        if entry is not None:
            with self._one_run(entry.uid, self._drop):
                self._pass_on(worker, entry)
            return
        self._let_go_of_silent_runs(worker)
        if not self.paused:
            order = self._run_table.next_order()
            if order is not None:
                with self._one_run(order.uid, self._run_table.fail):
                    worker.send(order)

    def _seconds_to_wait(self) -> float | None:
        """Until there is something to do, unless a document comes; None if there is nothing."""
        table = self._run_table
        waits = [table.seconds_to_silence(), None if self.paused else table.seconds_to_next()]
        return min((wait for wait in waits if wait is not None), default=None)

    def _let_go_of_silent_runs(self, worker: WorkerProcess) -> None:
        """Release runs that may never stop, since the process that published them may be gone."""
        for uid in self._run_table.silent():
            with self._one_run(uid, self._run_table.fail):
                why = (
                    f"no document of the run has come for {self._limits.silent_seconds:g} s; "
                    "it is filled when it has stopped"
                )
                if self._run_table.release(uid, why):
                    logger.warning("run %s: %s", uid, why)
                    self._queue.discard(uid)
                    worker.send(Drop(uid, why))

    def _pass_on(self, worker: WorkerProcess, entry: Open | Document | Drop) -> None:
        if isinstance(entry, Drop) or self._run_table.filled_live(entry.uid):
            worker.send(entry)

    @contextmanager
    def _one_run(self, uid: str, let_go: Callable[[str, str], None]) -> Iterator[None]:
        """If an exception is raised, only this run is affected; the others go on."""
        try:
            yield
        except WorkerLostError:
            pass  # the next step replaces it
        except Exception as error:
            logger.exception("run %s: an order could not be passed to the worker", uid)
            why = f"it could not be passed to the worker: {reason(error)}"
            try:
                let_go(uid, why)
            except Exception:
                logger.exception("run %s could not be let go", uid)
                self._run_table.fail(uid, why)

    def _drop(self, uid: str, why: str) -> None:
        """Drop the live filling of a run, since the worker lacks some of its documents."""
        self._run_table.drop(uid, why, DropReason.LOST)
        self._queue.discard(uid)
        worker = self._worker
        if worker is not None:
            with suppress(WorkerLostError):
                worker.send(Drop(uid))

    def _replace(self, lost: WorkerProcess | None) -> None:
        """Start a worker, in place of one that was lost if there was one."""
        if lost is not None:
            how = lost.how_it_ended()
            logger.warning("the worker was lost: %s; it is replaced", how)
            # The run that it worked on has failed, the others are delayed only.
            for uid in self._run_table.with_worker():
                with self._one_run(uid, self._run_table.fail):
                    whose = Cause.RUN if uid == lost.in_hand else Cause.OUTAGE
                    self._run_table.attempt_failed(uid, how, whose)
            self._worker = None
            lost.end(0.0)
            if not lost.was_useful:
                self._closing.wait(_rest(self.restarts))
        try:
            worker = WorkerProcess(self._run_table, self._queue, self._limits)
        except OSError as error:
            raise OSError(f"no worker process can be started ({reason(error)})") from error
        try:
            with suppress(WorkerLostError):  # the next step replaces it
                worker.send(self._hello)
        except BaseException:  # it would take the first order for that
            worker.end(0.0)
            raise
        self.restarts += 1
        self._worker = worker


def _rest(restarts: int) -> float:
    """Seconds before the next worker, after so many that were replaced."""
    return min(2.0 ** min(max(restarts, 0), 10), LONGEST_REST)
