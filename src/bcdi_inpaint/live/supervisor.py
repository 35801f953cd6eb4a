"""The worker process: started, fed, watched, replaced."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING

from .messages import (
    Close,
    Done,
    Failed,
    Fill,
    GivenUp,
    GiveUp,
    Hello,
    InHand,
    Leave,
    Progress,
    receive,
    send,
)

if TYPE_CHECKING:
    from .backlog import Backlog
    from .ledger import Ledger
    from .messages import Order
    from .settings import Limits

logger = logging.getLogger(__name__)

LONGEST_REST = 30.0
"""Seconds between attempts to start a worker that dies before it does anything."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Supervisor:
    """A thread that passes documents and finished runs to a worker process, for as long as it lives.

    The worker is another interpreter rather than a fork or a ``multiprocessing`` child: it inherits
    neither locks nor the user's ``__main__``, and lives in a session of its own, so that Ctrl-C in
    the terminal doesn't reach it. It ends when its end of the pipe closes.

    Parameters
    ----------
    backlog
        Where documents come from.
    ledger
        What is known of the runs; finished ones are taken from there.
    clients
        Pickled Tiled clients of raw and processed data.
    owner
        In whose name nodes are claimed.
    limits
        Bounds.
    """

    def __init__(
        self, backlog: Backlog, ledger: Ledger, clients: bytes, owner: str, limits: Limits
    ) -> None:
        self.paused = False
        self.restarts = -1
        self._backlog = backlog
        self._ledger = ledger
        self._hello = Hello(clients, owner, limits.lease_seconds)
        self._limits = limits
        self._worker: _Worker | None = None
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
        """Uid of the run that the worker is at, or empty."""
        worker = self._worker
        return worker.in_hand if worker is not None and worker.alive else ""

    def close(self, timeout: float) -> None:
        """Let the worker finish what it has in hand, or end it after `timeout` seconds."""
        self._closing.set()
        self._backlog.nudge()
        deadline = time.monotonic() + timeout
        self._thread.join(timeout)
        worker = self._worker
        if worker is not None:
            worker.end(max(0.1, deadline - time.monotonic()))
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._step()
            except _WorkerLostError:
                pass  # the next step replaces it
            except Exception:
                # Whatever this was, the next order may be fine, and nobody else would go on.
                logger.exception("an order could not be passed to the worker")
                self._closing.wait(1.0)
        if self._worker is not None:
            with suppress(_WorkerLostError):
                self._worker.tell(Close())

    def _step(self) -> None:
        worker = self._worker
        if worker is None or not worker.alive:
            self._replace("not started" if worker is None else worker.how_it_ended())
            return
        entry = self._backlog.take(self._ledger.seconds_to_next() if not self.paused else None)
        if entry is not None:
            if isinstance(entry, Leave) or self._ledger.filled_live(entry.uid):
                worker.tell(entry)
        elif not self.paused:
            job = self._ledger.next_job()
            if job is not None and job.given_up:
                worker.tell(GiveUp(job.uid, job.settings, job.given_up))
            elif job is not None:
                worker.tell(Fill(job.uid, job.settings, job.again))

    def _replace(self, reason: str) -> None:
        """Start a worker, in place of the one that was lost for `reason` if there was one."""
        if self._worker is not None:
            logger.warning("the worker was lost: %s; it is replaced", reason)
            self._ledger.lose_worker(self._worker.in_hand, reason)
            self._worker.end(0.0)
            if not self._worker.was_useful:
                self._closing.wait(min(2.0 ** max(self.restarts, 0), LONGEST_REST))
        self.restarts += 1
        self._worker = _Worker(self._ledger, self._backlog, self._limits)
        self._worker.tell(self._hello)


class _WorkerLostError(RuntimeError):
    """The worker's end of the pipe is closed."""


class _Worker:
    """One worker process and the thread that listens to it."""

    def __init__(self, ledger: Ledger, backlog: Backlog, limits: Limits) -> None:
        ours, theirs = Pipe()
        threads = str(limits.threads)
        self.process = subprocess.Popen(  # noqa: S603 (this interpreter, our own module)
            [sys.executable, "-m", "bcdi_inpaint.live.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={
                **os.environ,
                **dict.fromkeys(THREADS, threads),
                # Threads that wait for each other leave the processor to those who need it.
                "OMP_WAIT_POLICY": "PASSIVE",
                # The supervisor tries again itself; a worker that waits for Tiled does nothing else.
                "TILED_RETRY_ATTEMPTS": "3",
                "TILED_RETRY_TIMEOUT": "5",
            },
        )
        theirs.close()
        self.in_hand = ""
        self.was_useful = False
        self._connection: Connection = ours
        self._ledger = ledger
        self._backlog = backlog
        self._stall_seconds = limits.stall_seconds
        self._stalled = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        return self._listener.is_alive()

    def tell(self, order: Order) -> None:
        try:
            send(self._connection, order)
        except OSError as error:
            raise _WorkerLostError(self.how_it_ended()) from error

    def end(self, timeout: float) -> None:
        """Wait for the process to end by itself, kill it after `timeout` seconds."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._listener.join()
        self._connection.close()

    def how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.returncode
        if self._stalled:
            return f"the worker was silent for {self._stall_seconds:g} s"
        if code is None:
            return "the worker closed its pipe"
        if code < 0:
            return f"the worker was killed by signal {-code}" + (
                " (out of memory?)" if code == -9 else ""
            )
        return f"the worker ended with code {code}"

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                if not self._connection.poll(self._stall_seconds):
                    if self.in_hand:
                        self._stalled = True
                        self.process.kill()
                    continue
                self._hear(receive(self._connection))
                self._backlog.nudge()
        self._backlog.nudge()

    def _hear(self, news: InHand | Progress | Done | Failed | GivenUp) -> None:
        ledger = self._ledger
        match news:
            case InHand(uid):
                self.in_hand = uid
                self.was_useful = True
            case Progress():
                ledger.progress(news)
            case Done(uid, path, metadata):
                ledger.complete_run(uid, path, metadata)
            case Failed(uid, reason, fault):
                ledger.trouble(uid, reason, fault)
            case GivenUp(uid):
                ledger.give_up(uid)
