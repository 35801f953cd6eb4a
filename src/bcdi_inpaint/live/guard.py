"""Loggers that don't raise and steps that may fail, so that neither our threads nor the RunEngine end.

``logging`` raises a handler's exception in the logging call: that of a user's handler, or of a file on a full disk. Here
it would abort a scan, or end a thread for good.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, MutableMapping

_said: set[str] = set()
"""Complaints that were printed; none is printed twice."""


class GuardedLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose calls never raise, whatever its handlers do; that is said once on stderr."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.getLogger(name), {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message."""
        # This frame is not where the message comes from.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            super().log(level, msg, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 (whatever a handler raises)
            complain(f"a line could not be logged: {type(error).__name__}", error)

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Leave ``extra`` as it was given."""
        return msg, kwargs


def complain(text: str, error: BaseException | None = None) -> None:
    """Say something on stderr, once for each `text`; with `error` as a detail. Never raises."""
    with suppress(Exception):
        if text not in _said:
            _said.add(text)
            detail = "" if error is None else f": {' '.join(str(error).split())}"
            sys.stderr.write(f"bcdi-inpaint: {text}{detail}\n")
            sys.stderr.flush()


@contextmanager
def going_on(logger: GuardedLogger, doing: str) -> Iterator[None]:
    """Log an exception raised in the ``with`` block as what could not be done (`doing`, a sentence), and go on after it."""
    try:
        yield
    except Exception:
        logger.exception("%s", doing)


def repeat(
    step: Callable[[], object],
    closing: threading.Event,
    logger: GuardedLogger,
    doing: str,
    *,
    rest: float = 1.0,
) -> None:
    """Do `step` again and again until `closing` is set, whatever it raises; it must wait by itself when there is nothing to do.

    After a step that failed come `rest` seconds, doubled up to 32 times as much while all fail, so that what can't be
    mended doesn't fill the log. What the system refuses, such as a file when no descriptor is left, is a line, and
    logged once while it goes on.
    """
    pause, said = rest, ""
    while not closing.is_set():
        try:
            step()
            pause, said = rest, ""
        except OSError as error:
            text = f"{doing}: {error}"
            logger.log(logging.DEBUG if text == said else logging.WARNING, "%s", text)
            said = text
            closing.wait(pause)
            pause = min(2 * pause, 32 * rest)
        except Exception:
            # The next step may succeed, and without it this thread would end.
            logger.exception("%s", doing)
            closing.wait(pause)
            pause = min(2 * pause, 32 * rest)
