"""Structured logs: one JSON object a line, without secrets."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE = "BCDI_INPAINT_LOG_JSON"
"""Set to the level in the environment of worker processes, whose lines go to the same place."""
HIDDEN = "[hidden]"
CHATTY = ("httpx", "httpcore", "uvicorn.access", "matplotlib")
"""Loggers of libraries that write a line for each request; only their warnings are kept."""


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; what was logged with ``extra={"run": ...}`` is a field.

    Parameters
    ----------
    secrets
        Texts that are replaced wherever they turn up, in tracebacks too.
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
    """Log as the process does that started this one: as JSON below a service, else as text.

    Parameters
    ----------
    secret
        The key, which is hidden.
    """
    level = os.environ.get(VARIABLE)
    if level:
        set_up(level, [secret])
    else:
        logging.basicConfig(format="bcdi-inpaint worker: %(levelname)s: %(message)s")
