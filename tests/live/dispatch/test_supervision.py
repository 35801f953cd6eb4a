"""The supervisor's part: queue, run table and pipe are real, the worker's process does what a test says."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bcdi_inpaint.live import Limits, Settings
from bcdi_inpaint.live.dispatch import supervision, worker_process
from bcdi_inpaint.live.dispatch.document_queue import DocumentQueue
from bcdi_inpaint.live.dispatch.run_table import RunTable
from bcdi_inpaint.live.dispatch.supervision import Supervisor
from bcdi_inpaint.live.errors import Cause
from bcdi_inpaint.live.messages import (
    Close,
    Document,
    Done,
    Drop,
    Failed,
    Fill,
    Hello,
    InHand,
    MarkedFailed,
    MarkFailed,
    Open,
    Released,
)
from bcdi_inpaint.live.pipe import receive, send
from bcdi_inpaint.scans import RunStart
from tests.helpers.bad_runs import ThreadAsProcess
from tests.helpers.waiting import WAIT, until

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LIMITS = Limits(attempts=2, retry_seconds=0.01, absent_seconds=0.05, stall_seconds=0.3)
HOW = Settings(method="linear")
Behaviour = Callable[["Stub", Any], object]


class Stub(ThreadAsProcess):
    """A process that answers orders as `behave` does; it dies when that returns "die"."""

    def __init__(self, connection: Connection, behave: Behaviour) -> None:
        self.orders: list[Any] = []
        self.killed = threading.Event()
        self._behave = behave
        super().__init__(connection)

    def say(self, *news: Any) -> None:
        for one in news:
            send(self._connection, one)

    def kill(self) -> None:
        self.killed.set()
        super().kill()

    def _serve(self) -> None:
        with self._line, self._connection as connection, suppress(EOFError, OSError):
            self.orders.append(receive(connection))
            self.say(InHand(""))
            while not isinstance(order := receive(connection), Close):
                self.orders.append(order)
                if self._behave(self, order) == "die":
                    self.returncode = 3
                    return
            self.orders.append(order)


def good(process: Stub, order: Any) -> None:
    match order:
        case Fill(uid):
            process.say(InHand(uid), Done(uid, f"processed/{uid}", {"frames": 8}), InHand(""))
        case MarkFailed(uid):
            process.say(InHand(uid), MarkedFailed(uid), InHand(""))
        case Drop(uid, reason) if reason:
            process.say(Released(uid))


def failing(fault: Cause) -> Behaviour:
    def behave(process: Stub, order: Any) -> None:
        process.say(InHand(order.uid), Failed(order.uid, "ValueError: odd", fault), InHand(""))

    return behave


def dying(process: Stub, order: Any) -> str:
    process.say(InHand(order.uid))
    return "die"


def freezing(process: Stub, order: Any) -> None:
    process.say(InHand(order.uid))
    process.killed.wait(WAIT)


def dying_unnoticed(process: Stub, order: Any) -> str:
    """Before it has said that it is at something."""
    return "die"


class Live:
    """A supervisor, and what it works with."""

    def __init__(self, limits: Limits, behaviours: Iterator[Behaviour]) -> None:
        self.processes: list[Stub] = []
        self.queue = DocumentQueue(1000, 2**20)
        self.table = RunTable(limits)
        self._behaviours = behaviours
        self.supervisor = Supervisor(self.queue, self.table, b"clients", "owner", limits)

    def start(self, connection: Connection, _: Limits) -> Stub:
        self.processes.append(Stub(connection, self._behave))
        return self.processes[-1]

    def _behave(self, process: Stub, order: Any) -> object:
        """What comes next for orders to fill; all others are followed."""
        behave = next(self._behaviours, good) if isinstance(order, Fill) else good
        return behave(process, order)

    def fill(self, *uids: str) -> None:
        for uid in uids:
            self.table.submit(uid, HOW, again=False)
        self.queue.nudge()

    def settle(self) -> dict[str, str]:
        """States of all runs, once there is nothing left to do."""
        assert self.table.wait(WAIT), self.table.runs()
        return {run.uid: str(run.state) for run in self.table.last()}

    def orders(self, kind: type) -> list[Any]:
        return [one for each in self.processes for one in each.orders if isinstance(one, kind)]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Live]]:
    made: list[Live] = []
    monkeypatch.setattr(supervision, "REST", 0.01)
    monkeypatch.setattr(supervision, "LONGEST_REST", 0.01)

    def start(connection: Connection, limits: Limits) -> Stub:
        return made[-1].start(connection, limits)

    monkeypatch.setattr(worker_process, "start_process", start)

    def build(*behaviours: Behaviour, limits: Limits = LIMITS) -> Live:
        live = Live.__new__(Live)
        made.append(live)
        live.__init__(limits, iter(behaviours))  # type: ignore[misc] # its thread starts a process
        until(lambda: live.processes and live.supervisor.pid)
        return live

    yield build
    for live in made:
        live.supervisor.close(1.0)


def test_a_worker_is_told_who_it_is_first_and_documents_in_their_order(make):
    live = make()
    live.table.begin(RunStart("a"), HOW, live=True)
    live.queue.insist(Open("a", HOW))
    for number in range(5):
        live.queue.offer(Document("a", "event", {"seq_num": number}), 100)
    until(lambda: len(live.processes[0].orders) == 7)
    hello, opened, *documents = live.processes[0].orders
    assert isinstance(hello, Hello)
    assert (hello.clients, hello.owner) == (b"clients", "owner")
    assert (opened.uid, opened.settings.method) == ("a", "linear")
    assert [one.doc["seq_num"] for one in documents] == list(range(5))
    assert (live.queue.entries, live.queue.bytes) == (0, 0)


def test_documents_of_a_run_that_is_not_filled_live_are_not_passed_on(make):
    live = make()
    live.queue.offer(Document("unknown", "event", {}), 1)
    live.queue.insist(Drop("unknown"))
    until(lambda: len(live.processes[0].orders) == 2)
    assert isinstance(live.processes[0].orders[1], Drop)


def test_runs_are_filled_one_at_a_time_in_their_order(make):
    live = make()
    live.fill("a", "b", "c")
    assert live.settle() == dict.fromkeys("abc", "complete")
    assert [order.uid for order in live.orders(Fill)] == ["a", "b", "c"]
    assert {run.path for run in live.table.last()} == {f"processed/{uid}" for uid in "abc"}


def test_a_run_that_fails_too_often_is_marked_as_failed(make):
    live = make(failing(Cause.RUN), failing(Cause.RUN))
    live.fill("a")
    live.settle()
    live.fill("b")
    assert live.settle() == {"a": "failed", "b": "complete"}
    (order,) = live.orders(MarkFailed)
    assert (order.uid, order.reason, order.proved) == ("a", "ValueError: odd", True)
    assert live.supervisor.restarts == 0


def test_an_outage_is_waited_out_and_counts_for_nothing(make):
    live = make(*[failing(Cause.OUTAGE)] * 10)
    live.fill("a")
    assert live.settle() == {"a": "complete"}
    assert live.orders(MarkFailed) == []


@pytest.mark.parametrize(
    ("lose", "says"),
    [
        (dying, "the worker ended with code 3"),
        (freezing, "the worker was silent for 0.3 s"),
    ],
)
def test_the_run_that_a_lost_worker_had_in_hand_has_failed_and_is_tried_again(make, lose, says):
    live = make(lose)
    live.fill("a", "b")
    assert live.settle() == dict.fromkeys("ab", "complete")
    assert says in live.table.last_error
    assert live.supervisor.restarts == 1
    assert [type(process.orders[0]) for process in live.processes] == [Hello, Hello]


def test_a_run_over_which_every_worker_dies_is_given_up_by_one_that_lives(make):
    live = make(dying, dying)
    live.fill("a")
    live.settle()
    live.fill("b")
    assert live.settle() == {"a": "failed", "b": "complete"}
    assert live.supervisor.restarts == 2


def test_workers_that_die_before_they_begin_cost_no_run_anything(make):
    live = make(*[dying_unnoticed] * 5)
    live.fill("a")
    assert live.settle() == {"a": "complete"}
    (run,) = live.table.last()
    assert run.failures == 0
    assert live.supervisor.restarts == 5


def test_a_live_run_of_a_lost_worker_is_filled_when_it_has_stopped(make):
    live = make()
    live.table.begin(RunStart("a"), HOW, live=True)
    live.queue.insist(Open("a", HOW))
    until(lambda: len(live.processes[0].orders) == 2)
    live.processes[0].kill()
    until(lambda: live.supervisor.restarts == 1)
    assert not live.table.filled_live("a")
    live.table.stop("a")
    live.queue.nudge()
    assert live.settle() == {"a": "complete"}


def test_nothing_is_begun_while_paused(make):
    live = make()
    live.supervisor.paused = True
    live.fill("a")
    live.table.begin(RunStart("b"), HOW, live=True)
    live.queue.insist(Open("b", HOW))
    until(lambda: live.orders(Open))
    assert live.orders(Fill) == []
    live.table.fail("b")
    live.supervisor.paused = False
    live.queue.nudge()
    assert live.settle()["a"] == "complete"


def test_what_is_held_of_a_silent_run_is_released(make):
    live = make(limits=replace(LIMITS, silent_seconds=0.1))
    live.table.begin(RunStart("a"), HOW, live=True)
    live.queue.insist(Open("a", HOW))
    live.queue.nudge()
    until(lambda: live.orders(Drop))
    assert "no document of the run has come for 0.1 s" in live.orders(Drop)[0].reason
    live.table.stop("a")
    live.queue.nudge()
    assert live.settle() == {"a": "complete"}


def test_a_worker_is_told_to_end_and_killed_if_it_does_not(make):
    live = make()
    live.supervisor.close(WAIT)
    assert isinstance(live.processes[0].orders[-1], Close)
    assert live.processes[0].wait(0) == 0
    live = make(freezing, limits=replace(LIMITS, stall_seconds=WAIT))
    live.fill("a")
    until(lambda: live.supervisor.in_hand == "a")
    live.supervisor.close(0.1)
    assert live.processes[0].killed.is_set()
    with suppress(subprocess.TimeoutExpired):
        live.processes[0].wait(1)


BEHAVIOURS = [good, failing(Cause.RUN), failing(Cause.OUTAGE), dying, freezing, dying_unnoticed]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(BEHAVIOURS), max_size=8), st.integers(1, 4))
def test_whatever_workers_do_every_run_comes_to_an_end(make, behaviours, runs):
    live = make(*behaviours)
    uids = [str(number) for number in range(runs)]
    live.fill(*uids)
    states = live.settle()
    assert set(states) == set(uids)
    given_up = {order.uid for order in live.orders(MarkFailed)}
    assert {uid for uid, state in states.items() if state == "failed"} == given_up
    proofs = sum(behave in (*BEHAVIOURS[1:2], dying, freezing) for behave in behaviours)
    assert len(given_up) <= proofs // LIMITS.attempts
    live.supervisor.close(1.0)
