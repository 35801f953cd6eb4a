"""The worker process: takes orders from the supervisor, fills runs, reports.

Run as ``python -m bcdi_inpaint.live.worker.main FD`` by `bcdi_inpaint.live.dispatch.worker_process`. It does
one thing after the other, and ends when the other end of the pipe is closed.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from bcdi_inpaint.catalog import AlreadyFilledError
from bcdi_inpaint.scans import NoImagesError, Skip, SkipReason

from .. import logs
from ..errors import CannotFollowError, Cause, cause_of, is_expected, reason
from ..guard import GuardedLogger, going_on
from ..messages import (
    Close,
    Document,
    Done,
    Drop,
    Failed,
    Fill,
    Hello,
    InHand,
    MarkedFailed,
    MarkFailed,
    Open,
    Progress,
    Released,
    Skipped,
)
from ..pipe import UnreadableError, receive, send
from .comparison import LOOK_EVERY, Agreement, Comparison
from .live_run import LiveRun
from .pipeline import Catalogs, fill_finished, mark_failed, release_nodes, warm_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiled.client.container import Container

    from ..messages import News, RunOrder
    from ..settings import Settings

logger = GuardedLogger("bcdi_inpaint.live.worker.main")  # __name__ is __main__ here

LOOK_AGAIN = 1.0
"""Seconds before work on open runs goes on after an exception."""
NICENESS = 5
"""The RunEngine, the detector and Tiled come first on a machine that they share with the worker."""


class Worker:
    """Fills runs; an error of one does not affect the others."""

    def __init__(self, connection: Connection, catalogs: Catalogs, beat: float) -> None:
        self._connection = connection
        self._catalogs = catalogs
        self._beat = beat
        """Seconds between signs of life while there is nothing to do."""
        self._live: dict[str, LiveRun] = {}
        self._to_compare: dict[str, Comparison] = {}
        """Complete runs that are yet to be compared with the raw run."""
        self._said = ""
        """What was reported last."""

    def serve(self) -> None:
        """Carry out orders until the supervisor closes; in between, work on open runs."""
        pause = 0.0
        while True:
            if self._connection.poll(pause):
                pause = 0.0
                try:
                    order: RunOrder | Close = receive(self._connection)
                except UnreadableError as error:
                    self._refuse(error)
                    continue
                if isinstance(order, Close):
                    for uid in self._to_compare:
                        logger.warning("run %s was not compared with Tiled before the end", uid)
                    return
                if isinstance(order, Document) and order.uid not in self._live:
                    continue  # it was on its way when the run was dropped
                with self._in_hand(order.uid):
                    self._do(order)
            else:
                pause = LOOK_AGAIN
                with going_on(logger, "open runs could not be gone on with"):
                    if not self._live:
                        self._tell(InHand(""))
                    pause = self._advance()

    def _refuse(self, error: UnreadableError) -> None:
        """Report the run that an order was about which can't be read here."""
        with self._in_hand(error.uid):
            raise error

    def _advance(self) -> float:
        """Do a piece of work on every open run; seconds for which there is no more to do."""
        pauses = []
        for uid, run in list(self._live.items()):
            with self._in_hand(uid):
                pauses.append(0.0 if run.advance() else run.pause)
        for uid, comparison in list(self._to_compare.items()):
            if comparison.look() is not Agreement.PENDING:
                with self._in_hand(uid):
                    self._compare(uid)
        if self._to_compare:
            pauses.append(LOOK_EVERY)
        return min([*pauses, self._beat])

    def _do(self, order: RunOrder) -> None:
        match order:
            case Open(uid, settings):
                self._live[uid] = LiveRun(self._catalogs, uid, settings, self._tell)
                warm_up(settings.method, settings.device)
            case Document(uid, "stop", doc):
                self._live[uid].take("stop", doc)
                self._finish(uid)
            case Document(uid, name, doc):
                self._live[uid].take(name, doc)
            case Drop(uid, why):
                self._live.pop(uid, None)
                if why:
                    self._release(uid, why)
            case Fill(uid, settings, again):
                self._done(uid, self._fill(uid, settings, again=again))
            case MarkFailed(uid, settings, why, proved):
                mark_failed(self._catalogs, uid, settings, why, proved=proved)
                self._tell(MarkedFailed(uid))

    def _finish(self, uid: str) -> None:
        """Complete an open run that has stopped, from Tiled if it could not be followed."""
        run = self._live.pop(uid)
        try:
            node = run.finish()
        except (CannotFollowError, AlreadyFilledError) as error:
            logger.warning("run %s is read from Tiled: %s", uid, reason(error))
            node = self._fill(uid, run.settings, again=False)
        else:
            if run.comparison is not None:
                self._to_compare[uid] = run.comparison
        self._done(uid, node)

    def _release(self, uid: str, why: str) -> None:
        """Release the node of a run that goes on."""
        try:
            release_nodes(self._catalogs, uid, why)
        except Exception as error:
            if cause_of(error) is Cause.OUTAGE:
                raise  # tried again, unlike what would count as the run's failure
            logger.warning("run %s: its node is left to expire: %s", uid, reason(error))
        self._tell(Released(uid))

    def _compare(self, uid: str) -> None:
        """Fill a complete run again if its frames turn out to differ from the raw run's."""
        comparison = self._to_compare.pop(uid)
        if comparison.look() is Agreement.DIFFERENT:
            logger.warning("run %s: %s", uid, comparison.note)
            notes = (*comparison.settings.notes, comparison.note)
            settings = replace(comparison.settings, notes=notes)
            self._done(uid, self._fill(uid, settings, again=True))

    def _fill(self, uid: str, settings: Settings, *, again: bool) -> Container:
        def progress(_what: str, done: float, total: float = 1.0) -> None:
            self._tell(Progress(uid, int(total), int(done), int(total), 0.0))

        return fill_finished(self._catalogs, uid, settings, again=again, progress=progress)

    def _done(self, uid: str, node: Container) -> None:
        self._tell(Done(uid, "/".join(node.path_parts), dict(node.metadata)))

    @contextmanager
    def _in_hand(self, uid: str) -> Iterator[None]:
        """Say what is being worked on; turn an exception into a report and forget the run."""
        with going_on(logger, "it could not be said what is being worked on"):
            self._tell(InHand(uid))
        try:
            yield
        except Exception as error:  # noqa: BLE001 (whatever it is, it is this run's)
            self._live.pop(uid, None)
            self._report(uid, error)
            if isinstance(error, RuntimeError) and "CUDA" in reason(error):
                sys.exit("the GPU's context is broken: a new process is needed")
        finally:
            with going_on(logger, "it could not be said that work is done"):
                self._tell(InHand(""))
            if uid not in self._live and uid not in self._to_compare:
                # Tiled's client leaves exceptions in reference cycles, and these hold frames of the run.
                gc.collect()

    def _report(self, uid: str, error: Exception) -> None:
        """Say that a run has failed; without that, the supervisor would wait for it for ever."""
        try:
            if isinstance(error, NoImagesError):
                self._tell(Skipped(uid, Skip(SkipReason.NO_IMAGES, str(error))))
                return
            said = f"run {uid}: {reason(error)}"
            # Each attempt fails in the same way.
            level = logging.DEBUG if said == self._said else logging.WARNING
            self._said = said
            logger.log(level, said, exc_info=not is_expected(error))
            self._tell(Failed(uid, reason(error), cause_of(error)))
        except Exception as reporting:  # noqa: BLE001 (the supervisor notices that the worker is gone)
            sys.exit(f"it can't be said what became of run {uid}: {reason(reporting)}")

    def _tell(self, news: News) -> None:
        # Without a supervisor, the current work is still finished.
        with suppress(OSError):
            send(self._connection, news)


def _step_back() -> None:
    """Lower this process' priority."""
    os.nice(NICENESS)
    with suppress(OSError):  # Linux shares it out among sessions first, and this is one of its own
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def main(descriptor: int) -> None:
    """Serve the supervisor at the other end of a pipe."""
    _step_back()
    connection = Connection(descriptor)
    with suppress(EOFError, OSError):
        hello: Hello = receive(connection)
        raw, processed = pickle.loads(hello.clients)  # noqa: S301 (made by the process that started us)
        logs.set_up_worker(raw.context.api_key or "")
        catalogs = Catalogs(raw, processed, hello.owner, hello.lease_seconds)
        Worker(connection, catalogs, hello.beat_seconds).serve()
    gc.freeze()  # whoever closed waits for us, and needs no search through all that is loaded


if __name__ == "__main__":
    main(int(sys.argv[1]))
