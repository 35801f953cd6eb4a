"""Whatever logging does, nothing raises and no thread ends."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bcdi_inpaint.live import guard
from bcdi_inpaint.live.guard import GuardedLogger, going_on, repeat
from bcdi_inpaint.live.logs import LogFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Raising(logging.Handler):
    """Somebody's handler, which raises."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError(f"no place for {record.getMessage()}")


@pytest.fixture
def logger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GuardedLogger:
    monkeypatch.setattr(guard, "_said", set())
    made = GuardedLogger(f"test.{request.node.name}")
    made.setLevel(logging.INFO)
    return made


@pytest.fixture
def raising(logger: GuardedLogger) -> Iterator[GuardedLogger]:
    handler = Raising()
    logger.logger.addHandler(handler)
    yield logger
    logger.logger.removeHandler(handler)


def log_with(logger: GuardedLogger, path: Path, try_again: float = 0.0) -> LogFile:
    handler = LogFile(path, try_again=try_again)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.logger.addHandler(handler)
    return handler


def test_a_handler_that_raises_is_complained_of_once(
    raising: GuardedLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    for call in (raising.info, raising.warning, raising.exception):
        call("one %s", "line")
    said = capsys.readouterr().err.splitlines()
    assert said == ["bcdi-inpaint: a line could not be logged: RuntimeError: no place for one line"]


@pytest.mark.parametrize("stderr", ["closed", "none"])
def test_not_even_stderr_is_needed(
    raising: GuardedLogger, stderr: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = (tmp_path / "stderr").open("w")
    file.close()
    monkeypatch.setattr("sys.stderr", file if stderr == "closed" else None)
    raising.warning("one line")
    log_with(raising, tmp_path / "stderr" / "log").emit(logging.makeLogRecord({"msg": "x"}))


def test_a_line_says_where_it_comes_from_and_keeps_what_is_added(
    logger: GuardedLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger.info("one line", extra={"run": {"uid": "a"}})
    (record,) = caplog.records
    assert record.funcName == "test_a_line_says_where_it_comes_from_and_keeps_what_is_added"
    assert record.__dict__["run"] == {"uid": "a"}


def test_steps_that_fail_are_repeated(raising: GuardedLogger) -> None:
    closing, steps = threading.Event(), iter(range(5))

    def step() -> None:
        if next(steps) == 4:
            closing.set()
        raise ValueError

    repeat(step, closing, raising, "a step failed", rest=0.0)
    assert next(steps, None) is None


def test_pauses_grow_while_all_steps_fail(raising: GuardedLogger) -> None:
    outcomes: Iterator[Any] = iter([ValueError] * 8 + [None, ValueError])
    pauses: list[float] = []

    class Closing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            return False

    closing = Closing()

    def step() -> None:
        outcome: Any = next(outcomes, "end")
        if outcome == "end":
            closing.set()
        elif outcome is not None:
            raise outcome

    repeat(step, closing, raising, "a step failed", rest=0.5)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 16, 16, 0.5]


def test_it_goes_on_after_a_step_that_fails(raising: GuardedLogger) -> None:
    with going_on(raising, "it failed"):
        raise ValueError


def test_lines_go_to_a_file(logger: GuardedLogger, tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = log_with(logger, path)
    assert not path.exists()
    # Not through the logger: pytest would pass it on to processes that can't take it.
    handler.handle(
        logging.makeLogRecord({"msg": "crystal \udcff %s", "args": ("é",), "levelname": "INFO"})
    )
    logger.warning("a second line")
    handler.close()
    assert path.read_text() == "INFO crystal \\udcff é\nWARNING a second line\n"
    logger.info("after closing")  # as logging's own handler does
    handler.close()


@pytest.mark.parametrize("obstacle", ["no folder", "a file as folder", "a folder as file", "full"])
def test_a_file_that_can_not_be_written_is_tried_again(
    obstacle: str, logger: GuardedLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    path = folder / "log"
    if obstacle == "a file as folder":
        folder.touch()
    elif obstacle == "a folder as file":
        path.mkdir(parents=True)
    elif obstacle == "full":
        folder.mkdir()
        path.symlink_to("/dev/full")
    handler = log_with(logger, path)
    logger.info("first")
    logger.info("second")
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"bcdi-inpaint: the log {path} can't be written: ")

    if obstacle == "a folder as file":
        path.rmdir()
    elif obstacle != "no folder":
        (path if obstacle == "full" else folder).unlink()
    folder.mkdir(exist_ok=True)
    logger.info("third")
    assert path.read_text() == (
        "(2 lines are missing: the file could not be written)\nINFO third\n"
    )
    handler.close()


def test_a_full_disk_is_not_asked_for_every_line(logger: GuardedLogger, tmp_path: Path) -> None:
    handler = log_with(logger, tmp_path / "folder" / "log", try_again=1000.0)
    logger.info("first")
    (tmp_path / "folder").mkdir()
    logger.info("second")
    assert not handler.path.exists()
    handler.close()


def test_a_line_that_can_not_be_made_does_no_harm(
    logger: GuardedLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = log_with(logger, tmp_path / "log")
    record = logging.makeLogRecord({"msg": "%d", "args": ("x",)})
    handler.handle(record)
    assert "not str" in capsys.readouterr().err  # logging's own words
    handler.close()


def test_threads_of_others_may_log_at_the_same_time(logger: GuardedLogger, tmp_path: Path) -> None:
    one, other = log_with(logger, tmp_path / "log"), log_with(logger, tmp_path / "log")

    def work(name: Any) -> None:
        for i in range(50):
            logger.info("%s %s", name, i)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(lines) == sorted([f"INFO {a} {b}" for a in range(4) for b in range(50)] * 2)
    one.close()
    other.close()
