"""Logs: one JSON object a line, without secrets; and a log file that may be unwritable for a while."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .guard import complain

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable
    from pathlib import Path

VARIABLE = "BCDI_INPAINT_LOG_JSON"
"""Set to the level in the environment of worker processes, whose lines go to the same place."""
HIDDEN = "[hidden]"
CHATTY = ("httpx", "httpcore", "uvicorn.access", "matplotlib")
"""Loggers of libraries that write a line for each request; only their warnings are kept."""


TRY_AGAIN = 30.0
"""Seconds after which a log file that could not be written is tried again."""


class LogFile(logging.Handler):
    """Appends lines to a file; never raises, also while the file can't be opened or written.

    ``logging.FileHandler`` raises out of the logging call when the file can't be opened, and out of
    ``close`` when the disk is full. This one says once on stderr what is wrong, leaves lines out,
    tries again after a while, and then writes how many are missing. Programs may share the file, which is opened
    with the first line.
    """

    def __init__(self, path: Path, *, try_again: float = TRY_AGAIN) -> None:
        super().__init__()
        self.path = path
        self._try_again = try_again
        self._file: io.FileIO | None = None
        self._next_attempt = 0.0
        self._missing = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, if possible."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 (arguments that don't fit the message)
            with suppress(Exception):
                self.handleError(record)
            return
        if self._missing and time.monotonic() < self._next_attempt:
            self._missing += 1
            return
        try:
            if self._missing:
                self._write(f"({self._missing} lines are missing: the file could not be written)")
                self._missing = 0
            self._write(line)
        except Exception as error:  # noqa: BLE001 (nothing that concerns a file may reach who logs)
            self._missing += 1
            self._next_attempt = time.monotonic() + self._try_again
            self._shut()
            complain(f"the log {self.path} can't be written", error)

    def close(self) -> None:
        """Close the file."""
        self._shut()
        super().close()

    def _write(self, line: str) -> None:
        if self._file is None:
            # Unbuffered: what could not be written is not tried again by `close`.
            self._file = self.path.open("ab", buffering=0)
        rest = memoryview(f"{line}\n".encode("utf-8", "backslashreplace"))
        while rest:
            rest = rest[self._file.write(rest) :]

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; what was logged with ``extra={"run": ...}`` is a field.

    `secrets` are replaced everywhere, in tracebacks, too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if (run := getattr(record, "run", None)) is not None:
            line["run"] = run
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        text = json.dumps(line, ensure_ascii=False, default=str)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def set_up(level: str, secrets: Iterable[str] = ()) -> None:
    """Log as JSON to stderr, in this process and in the workers that it starts."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    os.environ[VARIABLE] = level


def set_up_worker(secret: str) -> None:
    """Log as the process does that started this one: as JSON below a service, else as text. The key is hidden."""
    level = os.environ.get(VARIABLE)
    if level:
        set_up(level, [secret])
    else:
        logging.basicConfig(format="bcdi-inpaint worker: %(levelname)s: %(message)s")
