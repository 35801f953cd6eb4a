"""A logging handler that waits, for a disk or a terminal, delays no scan."""

import logging
import threading
from collections.abc import Iterator

import pytest
from bluesky import RunEngine
from bluesky.plans import scan
from ophyd.sim import SynAxis, det

from bcdi_inpaint.live import InpaintCallback
from bcdi_inpaint.live import callback as callback_module
from tests.helpers.bad_runs import OddError, fate
from tests.helpers.waiting import WAIT, until


class Waiting(logging.Handler):
    """Somebody's handler, whose disk doesn't answer until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert self.go_on.wait(WAIT), "it was waited for"
        self.lines.append(record.getMessage())


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    handler, logger = Waiting(), logging.getLogger("bcdi_inpaint")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    handler.go_on.set()
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_scans_end_while_the_handler_waits(
    RE: RunEngine,
    callback: InpaintCallback,
    waiting: Waiting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    motor = SynAxis(name="eta")
    taken = callback_module.snapshot  # type: ignore[attr-defined]
    failures = iter([OddError])

    def snapshot(*args: object) -> object:
        for failure in failures:
            raise failure  # which is logged
        return taken(*args)  # type: ignore[arg-type]

    RE.subscribe(callback)
    RE(scan([det], motor, 0, 1, 4))  # too few points, which is logged, too
    monkeypatch.setattr(callback_module, "snapshot", snapshot)
    (uid,) = RE(scan([det], motor, 0, 1, 8)).run_start_uids  # type: ignore[union-attr]
    assert waiting.lines == []
    waiting.go_on.set()
    until(lambda: fate(callback, uid) == "complete")
    until(lambda: len(waiting.lines) >= 2)
    assert "too few points" in waiting.lines[0]
    assert "document could not be taken; the scan goes on" in waiting.lines[1]
