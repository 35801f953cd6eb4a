"""States of runs: what happens to a run, and what is to be done next."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bcdi_inpaint.live import Limits, Settings
from bcdi_inpaint.live.dispatch.run_table import KEPT, RunTable
from bcdi_inpaint.live.errors import Cause
from bcdi_inpaint.live.messages import Fill, MarkFailed
from bcdi_inpaint.live.status import DropReason, State
from bcdi_inpaint.scans import RunStart

LIMITS = Limits(attempts=2, retry_seconds=1e-6, absent_seconds=0.05, silent_seconds=0.05)
SETTINGS = Settings(method="linear")


@pytest.fixture
def table() -> RunTable:
    return RunTable(LIMITS)


def begin(table: RunTable, uid: str = "a", *, live: bool = True) -> None:
    table.begin(RunStart(uid, 7, sample="Pt"), SETTINGS, live=live)


def state(table: RunTable) -> State:
    (run,) = (*table.runs(), *table.last())
    return State(run.state)


def test_a_run_that_is_filled_live(table: RunTable) -> None:
    begin(table)
    assert table.filled_live("a")
    assert (state(table), table.next_order()) == (State.MEASURING, None)
    table.stop("a")
    assert (state(table), table.next_order()) == (State.FILLING, None)
    assert not table.wait(0)
    table.complete_run("a", "processed/a", {"frames": 8})
    assert table.wait(0)
    assert (state(table), table.complete, table.last()[0].frames) == (State.COMPLETE, 1, 8)


def test_a_run_that_is_dropped_is_filled_when_it_has_stopped(table: RunTable) -> None:
    begin(table)
    table.drop("a", "slow", DropReason.LOST)
    table.drop("a", "slow", DropReason.LOST)
    assert (state(table), table.dropped_by.total()) == (State.LEFT, 1)
    assert table.next_order() is None
    table.stop("a")
    assert table.next_order() == Fill("a", SETTINGS)
    assert table.next_order() is None  # one at a time


def fail(table: RunTable, cause: Cause) -> None:
    assert table.next_order() is not None
    table.attempt_failed("a", "odd", cause)
    time.sleep(0.001)


def test_a_run_that_fails_again_and_again_is_marked_as_at_fault(table: RunTable) -> None:
    table.submit("a", SETTINGS, again=False)
    for _ in range(2):
        fail(table, Cause.RUN)
    assert table.next_order() == MarkFailed("a", SETTINGS, "odd", proved=True)
    table.attempt_failed("a", "can't be marked", Cause.RUN)
    assert (state(table), table.last_error) == (State.FAILED, "scan a: can't be marked")


def test_an_outage_never_counts(table: RunTable) -> None:
    table.submit("a", SETTINGS, again=False)
    for _ in range(50):
        table.attempt_failed("a", "down", Cause.OUTAGE)
    (run,) = table.runs()
    assert (run.failures, run.reason) == (0, "down")


def test_what_is_absent_for_too_long_fails_without_being_the_cause(table: RunTable) -> None:
    table.submit("a", SETTINGS, again=False)
    fail(table, Cause.ABSENT)
    time.sleep(0.06)
    table.attempt_failed("a", "down", Cause.OUTAGE)  # whatever was absent may have come meanwhile
    table.attempt_failed("a", "absent", Cause.ABSENT)
    assert table.runs()[0].failures == 0
    time.sleep(0.06)
    table.attempt_failed("a", "absent", Cause.ABSENT)
    time.sleep(0.001)
    assert table.next_order() == MarkFailed("a", SETTINGS, "absent", proved=False)


def test_attempts_come_ever_more_rarely() -> None:
    table = RunTable(replace(LIMITS, retry_seconds=10))
    table.submit("a", SETTINGS, again=False)
    waits = []
    for _ in range(8):
        table.attempt_failed("a", "down", Cause.OUTAGE)
        waits.append(table.seconds_to_next() or 0)
    assert waits == pytest.approx([10, 20, 40, 80, 160, 320, 320, 320], abs=1)


def test_silent_runs_are_let_go_and_the_last_ones_remembered(table: RunTable) -> None:
    for number in range(KEPT + 1):
        begin(table, f"run-{number}")
    assert table.silent() == ()
    time.sleep(0.06)
    table.document_came("run-0")
    assert "run-0" not in table.silent()
    for uid in table.silent():
        assert table.release(uid, "silent")
        assert uid in table.with_worker()
        table.released(uid)
    assert len(table.runs()) == KEPT + 1
    time.sleep(0.06)
    assert table.silent() == ("run-0",)
    table.release("run-0", "silent")
    table.released("run-0")
    assert len(table.runs()) == KEPT
    assert table.last()[0].reason == "it never stopped; left to catching up"


def test_a_finished_run_makes_way_for_one_that_is_measured(table: RunTable) -> None:
    table.submit("a", SETTINGS, again=False)
    begin(table, "b")
    table._open["a"].due = time.monotonic()
    assert table.next_order() is None
    table.drop("b", "slow", DropReason.LOST)
    assert table.next_order() is not None


@pytest.mark.parametrize("uid", ["unknown", ""])
def test_news_of_runs_that_are_not_known_change_nothing(uid: str, table: RunTable) -> None:
    table.document_came(uid)
    table.stop(uid)
    table.released(uid)
    table.fail(uid, "odd")
    table.attempt_failed(uid, "odd", Cause.RUN)
    table.complete_run(uid, "", {})
    table.drop(uid, "odd", DropReason.LOST)
    assert not table.release(uid, "odd")
    assert (table.runs(), table.last(), table.complete) == ((), (), 0)


def test_a_node_that_is_replaced_later_is_not_what_is_shown(table: RunTable) -> None:
    for uid in "ab":
        table.submit(uid, SETTINGS, again=False)
        table.complete_run(uid, f"{uid}-1", {"method_used": "patching"})
    table.complete_run("a", "a-2", {"method_used": "kriging"})
    assert [run.path for run in table.last()] == ["b-1", "a-2"]
    assert table.last()[1].result == {"method_used": "kriging"}
    assert table.complete == 2
