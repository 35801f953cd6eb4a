"""Runs that never stop."""

import time
from typing import Any

import httpx
import pytest

from bcdi_inpaint.live import InpaintCallback
from bcdi_inpaint.live.dispatch import run_table
from bcdi_inpaint.live.worker import main as worker
from tests.helpers.bad_runs import (
    ThreadAsProcess,
    fate,
    run_of,
    states,
)
from tests.helpers.scans import feed
from tests.helpers.waiting import until


@pytest.mark.slow
def test_runs_that_never_stop_are_let_go(
    short_of_time: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_table, "KEPT", 3)
    for number in range(6):
        feed(run_of(f"silent-{number}")[:6], short_of_time)
    until(lambda: states(short_of_time) == ["left"] * 3)
    for number in range(3):
        until(lambda uid=f"silent-{number}": fate(short_of_time, uid) == "failed")
    assert short_of_time.status().queue_documents == 0
    feed(run_of("good"), short_of_time)
    until(lambda: fate(short_of_time, "good") == "complete")
    assert set(short_of_time._router._run_of.values()) == {f"silent-{i}" for i in (3, 4, 5)}


def test_a_run_that_goes_on_after_a_long_silence_is_filled_when_it_has_stopped(
    short_of_time: InpaintCallback,
) -> None:
    documents = run_of("late")
    feed(documents[:6], short_of_time)
    until(lambda: states(short_of_time) == ["left"])
    (run,) = short_of_time.status().runs
    assert run.reason.startswith("no document of the run has come for 0.3 s")
    feed(documents[6:], short_of_time)
    until(lambda: fate(short_of_time, "late") == "complete")


def test_a_run_whose_documents_come_slowly_is_filled_live(short_of_time: InpaintCallback) -> None:
    for document in run_of("slow"):
        feed([document], short_of_time)
        time.sleep(0.1)
    until(lambda: fate(short_of_time, "slow") == "complete")
    assert short_of_time.status().dropped == 0


@pytest.mark.parametrize(
    ("error", "times"),
    # What could be the node's fault is not tried again: it might fail for ever.
    [(httpx.ConnectError("down"), 5), (ValueError("odd"), 1), (SystemExit(), 1)],
    ids=["outage", "odd", "killed"],
)
@pytest.mark.slow
def test_a_silent_run_is_released_although_that_fails_at_first(
    error: BaseException,
    times: int,
    short_of_time: InpaintCallback,
    in_threads: list[ThreadAsProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def release_nodes(_catalogs: Any, uid: str, _why: str) -> None:
        asked.append(uid)
        if len(asked) <= times:
            if isinstance(error, SystemExit):
                in_threads[-1].kill()
            raise error

    monkeypatch.setattr(worker, "release_nodes", release_nodes)
    documents = run_of("late")
    feed(documents[:6], short_of_time)
    until(lambda: short_of_time._run_table._open["late"].released)
    assert len(asked) == times + (not isinstance(error, ValueError))
    assert states(short_of_time) == ["left"]
    feed(documents[6:], short_of_time)
    until(lambda: fate(short_of_time, "late") == "complete")
