"""A handler that waits keeps nobody waiting who logs."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from bcdi_inpaint.live import background_logger, guard
from bcdi_inpaint.live.background_logger import LINES, BackgroundLogger, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 60


class Waiting(logging.Handler):
    """Somebody's handler, whose disk doesn't answer until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.lines: list[str] = []
        self.waited_in_vain = False

    def emit(self, record: logging.LogRecord) -> None:
        self.waited_in_vain |= not self.go_on.wait(WAIT)
        self.lines.append(record.getMessage())


@pytest.fixture
def waiting(request: pytest.FixtureRequest) -> Iterator[tuple[BackgroundLogger, Waiting]]:
    logger = BackgroundLogger(f"test.{request.node.name}")
    logger.setLevel(logging.INFO)
    handler = Waiting()
    logger.logger.addHandler(handler)
    yield logger, handler
    handler.go_on.set()
    LINES.wait(WAIT)
    logger.logger.removeHandler(handler)


def test_whoever_logs_does_not_wait_for_a_handler(
    waiting: tuple[BackgroundLogger, Waiting],
) -> None:
    logger, handler = waiting
    logger.info("%s line", "one")
    logger.debug("not of this level")
    logger.warning("another")
    assert handler.lines == []
    handler.go_on.set()
    LINES.wait(WAIT)
    assert handler.lines == ["one line", "another"]
    assert not handler.waited_in_vain


def test_a_line_says_where_it_comes_from_and_what_was_raised(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    logger = BackgroundLogger("test.where")
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("it failed")
    LINES.wait(WAIT)
    (record,) = caplog.records
    assert (record.funcName, record.levelno) == (request.node.name, logging.ERROR)
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "odd"


def test_lines_are_left_out_when_too_many_wait(
    waiting: tuple[BackgroundLogger, Waiting],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger, handler = waiting
    monkeypatch.setattr(Lines, "MOST", 3)
    monkeypatch.setattr(background_logger, "LINES", few := Lines())
    monkeypatch.setattr(guard, "_said", set())
    for number in range(20):
        logger.info("line %d", number)
    assert "lines are missing in the log" in capsys.readouterr().err
    handler.go_on.set()
    few.wait(WAIT)
    assert 3 <= len(handler.lines) <= 4
    assert handler.lines[0] == "line 0"


def test_a_handler_that_raises_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.getMessage())

    monkeypatch.setattr(guard, "_said", set())
    logger = BackgroundLogger("test.raising")
    handler = Raising()
    logger.logger.addHandler(handler)
    logger.error("one")
    logger.error("two")
    LINES.wait(WAIT)
    logger.logger.removeHandler(handler)
    assert capsys.readouterr().err == (
        "bcdi-inpaint: a line could not be logged: RuntimeError: one\n"
    )
