"""The worker process: takes orders from the supervisor, fills runs, reports.

Run as ``python -m bcdi_inpaint.live.worker FD`` by `bcdi_inpaint.live.supervisor`. It does one
thing after the other, so that it never works on more than it can be asked to redo, and ends when
the other end of the pipe is closed.
"""

from __future__ import annotations

import logging
import pickle
import sys
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from .faults import Fault, fault, reason
from .messages import (
    Close,
    Document,
    Done,
    Failed,
    Fill,
    GivenUp,
    GiveUp,
    Hello,
    InHand,
    Leave,
    Open,
    Progress,
    receive,
    send,
)
from .road import Desk, fill_finished, give_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .messages import News, Order
    from .settings import Settings

logger = logging.getLogger(__name__)


class Worker:
    """Fills runs; a fault of one never reaches another."""

    def __init__(self, connection: Connection, desk: Desk) -> None:
        self._connection = connection
        self._desk = desk
        self._live: dict[str, Settings] = {}

    def serve(self) -> None:
        """Do what is ordered until the supervisor closes or is gone."""
        while not isinstance(order := receive(self._connection), Close):
            self.do(order)

    def do(self, order: Order) -> None:
        """Carry out one order."""
        match order:
            case Open(uid, settings):
                self._live[uid] = settings
            case Leave(uid):
                self._live.pop(uid, None)
            case Document(uid, "stop") if uid in self._live:
                self._fill(uid, self._live.pop(uid), again=False)
            case Fill(uid, settings, again):
                self._fill(uid, settings, again=again)
            case GiveUp(uid, settings, why):
                with self._in_hand(uid):
                    give_up(self._desk, uid, settings, why)
                    self._tell(GivenUp(uid))

    def _fill(self, uid: str, settings: Settings, *, again: bool) -> None:
        def heard(done: int, total: int) -> None:
            self._tell(Progress(uid, total, done, total, 0.0))

        with self._in_hand(uid):
            node = fill_finished(self._desk, uid, settings, again=again, heard=heard)
            self._tell(Done(uid, "/".join(node.path_parts), dict(node.metadata)))

    @contextmanager
    def _in_hand(self, uid: str) -> Iterator[None]:
        """Say what is being worked on; turn an exception into a report."""
        self._tell(InHand(uid))
        try:
            yield
        except Exception as error:
            whose = fault(error)
            logger.warning("run %s: %s", uid, reason(error), exc_info=whose is Fault.RUN)
            self._tell(Failed(uid, reason(error), whose))
            if _broke_device(error):
                sys.exit("the GPU's context is broken: a new process is needed")
        finally:
            self._tell(InHand(""))

    def _tell(self, news: News) -> None:
        # A supervisor that is gone doesn't keep us from finishing what we are at.
        with suppress(OSError):
            send(self._connection, news)


def _broke_device(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "CUDA" in str(error)


def main(descriptor: int) -> None:
    """Serve the supervisor at the other end of a pipe."""
    logging.basicConfig(format="bcdi-inpaint worker: %(levelname)s: %(message)s")
    connection = Connection(descriptor)
    with suppress(EOFError, OSError):
        hello: Hello = receive(connection)
        raw, processed = pickle.loads(hello.clients)  # noqa: S301 (made by the process that started us)
        Worker(connection, Desk(raw, processed, hello.owner, hello.lease_seconds)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
