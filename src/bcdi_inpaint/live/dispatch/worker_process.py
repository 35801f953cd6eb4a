"""One worker process, and the thread that listens to it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING

from bcdi_inpaint.base_error import BcdiInpaintError
from bcdi_inpaint.scans import RunStart

from ..errors import Cause, reason
from ..guard import GuardedLogger, going_on
from ..messages import Done, Failed, InHand, MarkedFailed, Progress, Released, Skipped
from ..pipe import UnreadableError, receive, send

if TYPE_CHECKING:
    from ..messages import News, Order
    from ..settings import Limits
    from .document_queue import DocumentQueue
    from .run_table import RunTable

logger = GuardedLogger(__name__)

BEAT = 10.0
"""Seconds between signs of life of a worker that has nothing to do."""
IDLE_SECONDS = 60.0
"""Seconds without one after which such a worker is taken to hang."""
START_SECONDS = 300.0
"""The same for one that starts; it imports much, perhaps over a network."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def start_process(connection: Connection, limits: Limits) -> subprocess.Popen[bytes]:
    """Start a worker process that gets its orders through `connection`, its end of a pipe."""
    return subprocess.Popen(  # noqa: S603 (this interpreter, our own module)
        # -P: nothing is imported from the working directory.
        [sys.executable, "-P", "-m", "bcdi_inpaint.live.worker.main", str(connection.fileno())],
        pass_fds=[connection.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={
            **os.environ,
            **dict.fromkeys(THREADS, str(limits.threads)),
            # Waiting threads must not use the processor.
            "OMP_WAIT_POLICY": "PASSIVE",
            # The supervisor tries again itself; a worker that waits for Tiled can't do anything else.
            "TILED_RETRY_ATTEMPTS": "3",
            "TILED_RETRY_TIMEOUT": "5",
        },
    )


class WorkerLostError(BcdiInpaintError, RuntimeError):
    """The worker's end of the pipe is closed."""


class WorkerProcess:
    """A worker process and the thread that listens to it; both end when it is silent for too long.

    The worker is another interpreter rather than a fork or a ``multiprocessing`` child: it inherits
    neither locks nor the user's ``__main__``, and lives in a session of its own, so that Ctrl-C in
    the terminal doesn't reach it. It ends when its end of the pipe closes.

    Its news update `run_table`; `queue` is nudged at each.

    Attributes
    ----------
    alive
        Whether it is listened to.
    in_hand
        Uid of the run that it works on; empty while it waits.
    was_useful
        Whether it has begun to work on a run.
    """

    def __init__(self, run_table: RunTable, queue: DocumentQueue, limits: Limits) -> None:
        ours, theirs = Pipe()
        try:
            self.process = start_process(theirs, limits)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.alive = True
        self.in_hand = ""
        self.was_useful = False
        self._connection: Connection = ours
        self._run_table = run_table
        self._queue = queue
        self._stall_seconds = limits.stall_seconds
        self._started = False
        self._silence = ""
        """How long it was silent, if that was too long."""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, order: Order) -> None:
        """Send an order.

        Raises
        ------
        WorkerLostError
            If the worker is gone.
        """
        try:
            send(self._connection, order)
        except OSError as error:
            raise WorkerLostError(self.how_it_ended()) from error

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
        """Why it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.returncode
        if self._silence:
            return self._silence
        if code is None:
            return "the worker closed its pipe"
        if code < 0:
            return f"the worker was killed by signal {-code}" + (
                " (out of memory?)" if code == -9 else ""
            )
        return f"the worker ended with code {code}"

    def _listen(self) -> None:
        lost = "the thread that listens to the worker has ended; the worker is replaced"
        with going_on(logger, lost), suppress(EOFError, OSError):
            while True:
                seconds, doing = self._patience()
                if not self._connection.poll(seconds):
                    self._silence = f"the worker was silent for {seconds:g} s{doing}"
                    self.process.kill()
                    break
                self._take_news()
                self._queue.nudge()
        self.alive = False  # first: who is woken up looks at that
        with going_on(logger, "the supervisor could not be woken up"):
            self._queue.nudge()

    def _patience(self) -> tuple[float, str]:
        """How long it may be silent, and while doing what if that is no run."""
        if self.in_hand:
            return self._stall_seconds, ""
        if self._started:
            return IDLE_SECONDS, " with nothing to do"
        return START_SECONDS, " when it was started"

    def _take_news(self) -> None:
        """Take a message of the worker; if that fails, only the run that it is about is affected."""
        try:
            news: News = receive(self._connection)
        except UnreadableError as error:
            news = Failed(error.uid, reason(error), Cause.RUN)
        try:
            self._hear(news)
        except Exception as error:
            logger.exception("run %s: news of it could not be taken", news.uid)
            if not isinstance(news, InHand | Progress):  # it would wait for ever for what is known
                with going_on(logger, "the run could not be let go"):
                    self._run_table.fail(news.uid, f"news of it were lost: {reason(error)}")

    def _hear(self, news: News) -> None:
        run_table = self._run_table
        match news:
            case InHand(uid):
                self.in_hand = uid
                self._started = True
                self.was_useful = self.was_useful or bool(uid)
            case Progress():
                run_table.progress(news)
            case Done(uid, path, metadata):
                run_table.complete_run(uid, path, metadata)
            case Failed(uid, reason, cause):
                run_table.attempt_failed(uid, reason, cause)
            case Skipped(uid, skip):
                run_table.skip(RunStart(uid), skip)
            case MarkedFailed(uid):
                run_table.fail(uid)
            case Released(uid):
                run_table.released(uid)
