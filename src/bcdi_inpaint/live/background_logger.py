"""A logger for code that the RunEngine calls, which must not wait for a handler."""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from .guard import GuardedLogger, complain


class BackgroundLogger(GuardedLogger):
    """A logger whose calls neither raise nor wait: a thread of its own passes the lines on to handlers.

    A handler may wait for a disk, a network or a paused terminal.
    """

    def log(
        self,
        level: int,
        msg: object,
        *args: object,
        exc_info: Any = None,
        stacklevel: int = 1,
        **_: object,
    ) -> None:
        """Log a message soon; it is left out if `Lines.MOST` others wait."""
        if not self.isEnabledFor(level):
            return
        with suppress(Exception):
            if exc_info and not isinstance(exc_info, tuple):
                exc_info = sys.exc_info()
            file, line, function, stack = self.logger.findCaller(False, stacklevel + 1)
            record = self.logger.makeRecord(
                self.name, level, file, line, msg, args, exc_info or None, function, None, stack
            )
            LINES.put(record)


class Lines:
    """Log records on their way to handlers that may take long."""

    MOST = 1000
    AT_EXIT = 1.0
    """Seconds for which the end of the program waits for them."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[logging.LogRecord] = queue.Queue(self.MOST)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(self, record: logging.LogRecord) -> None:
        """Take a record, or drop it if too many wait."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            complain("lines are missing in the log: a handler takes too long")
        with self._starting:
            if self._thread is None:
                atexit.register(self.wait)
            if self._thread is None or not self._thread.is_alive():  # as in a forked process
                self._thread = threading.Thread(target=self._pass_on, name="log", daemon=True)
                self._thread.start()

    def _pass_on(self) -> None:
        while True:
            record = self._waiting.get()
            try:
                logging.getLogger(record.name).handle(record)
            except Exception as error:  # noqa: BLE001 (whatever a handler raises)
                complain(f"a line could not be logged: {type(error).__name__}", error)
            finally:
                self._waiting.task_done()

    def wait(self, seconds: float = AT_EXIT) -> None:
        """Wait until all are passed on, but no longer than this."""
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)


LINES = Lines()
"""Of this process."""
