"""One bad run doesn't hold up the next: an exception at each step of each thread.

Callback, queue, run table, supervisor, pipe and worker are the real ones; the worker runs in a thread
instead of a process, and what it does with Tiled and numbers is replaced. So a case takes a fraction of
a second.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from tiled.structures.core import Spec

from bcdi_inpaint import inpaint
from bcdi_inpaint.catalog import find
from bcdi_inpaint.live import InpaintCallback, Limits, Settings, messages
from bcdi_inpaint.live import callback as callback_module
from bcdi_inpaint.live.dispatch import run_table
from bcdi_inpaint.live.dispatch import supervision as supervisor
from bcdi_inpaint.live.dispatch.document_queue import DocumentQueue
from bcdi_inpaint.live.dispatch.routing import Router
from bcdi_inpaint.live.dispatch.run_table import RunTable
from bcdi_inpaint.live.messages import receive
from bcdi_inpaint.live.worker import main as worker
from bcdi_inpaint.live.worker import pipeline
from bcdi_inpaint.live.worker.main import Worker
from bcdi_inpaint.scans import RockingScanRule
from bcdi_inpaint.service import catching_up as catchup
from bcdi_inpaint.service import seen_runs, tiled_source, zmq_source
from bcdi_inpaint.service import sources as intake
from bcdi_inpaint.service.backfill import Query, matching
from bcdi_inpaint.service.config import ServiceConfig
from bcdi_inpaint.service.sources import Intake
from bcdi_inpaint.service.tiled_source import TiledSource
from bcdi_inpaint.service.zmq_source import ZmqSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BAD = f"bad-{uuid.uuid4()}"
LIMITS = Limits(attempts=2, retry_seconds=0.02, absent_seconds=0.1)
WAIT = 60
"""Seconds; only a fault makes a test wait so long."""


def until(done: Callable[[], Any], seconds: float = WAIT) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := done()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)
    return result


class OddError(Exception):
    """An exception that can't even be printed."""

    def __str__(self) -> str:
        raise RuntimeError


class LiveRun:
    """In the place of a `LiveRun`: counts Events; complete if all came."""

    comparison = None

    def __init__(
        self, catalogs: Any, uid: str, settings: Any, progress: Callable[..., None]
    ) -> None:
        self.uid, self.settings, self.events, self.progress = uid, settings, 0, progress
        self.expected = 0

    @property
    def pause(self) -> float:
        return 0.05

    def take(self, name: str, doc: Any) -> None:
        if name == "start":
            self.expected = int(doc["num_points"])
        self.events += name == "event"

    def advance(self) -> bool:
        self.progress(messages.Progress(self.uid, self.events, 0, None, 0.0))
        return False

    def finish(self) -> Any:
        assert self.events == self.expected, "an event was lost, and nobody noticed"
        return filled(self.uid)


def fill_finished(
    catalogs: Any, uid: str, settings: Any, *, again: bool, progress: Callable[[int, int], None]
) -> Any:
    progress(1, 8)
    return filled(uid)


def filled(uid: str) -> Any:
    return SimpleNamespace(path_parts=("processed", uid), metadata={"frames": 8})


class ThreadAsProcess:
    """A worker in a thread of this process, which dies when it is killed."""

    def __init__(self, connection: Connection) -> None:
        descriptor = os.dup(connection.fileno())
        self._line = socket.socket(fileno=os.dup(descriptor))
        self._connection = Connection(descriptor)
        self.pid = id(self)
        self.returncode: int | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._line, self._connection as connection, suppress(Exception, SystemExit):
            receive(connection)  # Hello
            Worker(connection, SimpleNamespace()).serve()

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        self.returncode = self.returncode or 0
        return self.returncode

    def kill(self) -> None:
        self.returncode = -signal.SIGKILL
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[ThreadAsProcess]:
    """Workers run in threads, and fill without Tiled; those that were started."""
    started: list[ThreadAsProcess] = []

    def start(connection: Connection, _limits: Limits) -> ThreadAsProcess:
        started.append(ThreadAsProcess(connection))
        return started[-1]

    monkeypatch.setattr(supervisor, "start_process", start)
    monkeypatch.setattr(supervisor, "REST", 0.02)
    monkeypatch.setattr(supervisor, "LONGEST_REST", 0.05)
    monkeypatch.setattr(worker, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(worker, "LiveRun", LiveRun)
    monkeypatch.setattr(worker, "warm_up", lambda method, device: None)
    monkeypatch.setattr(worker, "fill_finished", fill_finished)
    monkeypatch.setattr(worker, "give_up", lambda catalogs, uid, *_: None)
    monkeypatch.setattr(worker, "leave", lambda catalogs, uid, *_: None)
    monkeypatch.setattr(callback_module, "_pickled", lambda *_: pickle.dumps(("raw", "processed")))
    return started


@pytest.fixture
def callback(in_threads: list[ThreadAsProcess]) -> Iterator[InpaintCallback]:
    raw = SimpleNamespace(uri="raw")
    callback = InpaintCallback(raw, raw, settings=Settings(method="linear"), limits=LIMITS)
    until(lambda: callback.status().worker)
    yield callback
    callback.close(0.5)


def run_of(uid: str, **start: Any) -> list[tuple[str, dict[str, Any]]]:
    """Documents of a run of eight points."""
    begun = {"uid": uid, "plan_name": "scan", "num_points": 8, "time": 1.0, **start}
    described = {"uid": f"{uid}/descriptor", "run_start": uid, "name": "primary", "data_keys": {}}
    events = [
        {"descriptor": f"{uid}/descriptor", "seq_num": i, "data": {"det": np.ones((4, 4))}}
        for i in range(1, 9)
    ]
    return [
        ("start", begun),
        ("descriptor", described),
        *(("event", event) for event in events),
        ("stop", {"uid": f"{uid}/stop", "run_start": uid, "exit_status": "success"}),
    ]


def feed(callback: Callable[..., Any], documents: list[tuple[str, Any]]) -> None:
    for name, doc in documents:
        callback(name, doc)


def fate(callback: InpaintCallback, uid: str) -> str | None:
    return next((run.state for run in callback.status().last if run.uid == uid), None)


def fails_for_bad(finish: Callable[[LiveRun], Any]) -> Callable[[LiveRun], Any]:
    def raising(run: LiveRun) -> Any:
        if run.uid == BAD:
            raise ValueError("bad")
        return finish(run)

    return raising


def is_about(arguments: tuple[Any, ...], uid: str) -> bool:
    return any(uid in repr(argument) for argument in arguments)


def fail_for(
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str,
    which: str,
    error: type[Exception] = OddError,
) -> list[str]:
    """Let a function raise for one run, or the first times; which calls raised."""
    raised: list[str] = []
    wrapped = getattr(place, name)

    def raising(*args: Any, **kwargs: Any) -> Any:
        wanted = is_about((*args, *kwargs.values()), BAD) if which == "bad" else len(raised) < 3
        if wanted:
            raised.append(name)
            raise error
        return wrapped(*args, **kwargs)

    monkeypatch.setattr(place, name, raising)
    return raised


STEPS = [
    # The RunEngine's thread.
    (Router, "route", "bad"),
    (RunTable, "begin", "bad"),
    (RunTable, "filled_live", "bad"),
    (RunTable, "stop", "bad"),
    (RunTable, "live", "first"),
    (RunTable, "heard", "bad"),
    (Router, "forget_all_but", "bad"),
    (DocumentQueue, "insist", "bad"),
    (DocumentQueue, "offer", "bad"),
    (DocumentQueue, "nudge", "first"),
    (InpaintCallback, "_pass_on", "first"),
    # The supervisor's.
    (DocumentQueue, "take", "first"),
    (RunTable, "seconds_to_next", "first"),
    (RunTable, "next_job", "first"),
    (RunTable, "silent", "first"),
    (RunTable, "seconds_to_silence", "first"),
    (RunTable, "with_worker", "first"),
    (RunTable, "trouble", "bad"),
    (supervisor, "start_process", "first"),
    (supervisor._Worker, "how_it_ended", "first"),
    (supervisor._Worker, "end", "first"),
    (supervisor._Worker, "tell", "bad"),
    (supervisor._Worker, "tell", "first"),
    (supervisor, "_order", "bad"),
    # The listener's.
    (supervisor, "receive", "first"),
    (supervisor._Worker, "_hear", "bad"),
    (RunTable, "progress", "bad"),
    (RunTable, "complete_run", "bad"),
    # The worker's.
    (worker, "receive", "first"),
    (Worker, "_do", "bad"),
    (Worker, "_advance", "first"),
    (Worker, "_done", "bad"),
    (Worker, "_finish", "bad"),
    (Worker, "_fill", "bad"),
    (Worker, "_tell", "bad"),
    (worker, "warm_up", "first"),
    (worker, "LiveRun", "bad"),
    (worker, "fill_finished", "bad"),
    (worker, "give_up", "bad"),
    (worker, "fault", "first"),
]


LATER = ("progress", "_fill", "fill_finished", "give_up", "fault", "_order")
"""Steps that come only when a run could not be filled live."""


LOSS = ("with_worker", "trouble", "start_process", "how_it_ended", "end", "tell")
"""Steps that come when a worker is lost."""


def place_name(place: Any) -> str:
    return str(place.__name__).rpartition(".")[2]


@pytest.mark.parametrize(
    ("place", "name", "which"),
    STEPS,
    ids=[f"{place_name(place)}.{name}-{which}" for place, name, which in STEPS],
)
def test_a_step_that_fails_for_one_run_costs_no_other(
    place: Any,
    name: str,
    which: str,
    callback: InpaintCallback,
    in_threads: list[ThreadAsProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name in LATER:
        monkeypatch.setattr(LiveRun, "finish", fails_for_bad(LiveRun.finish))
    if name == "give_up":
        fail_for(monkeypatch, worker, "fill_finished", "bad")
    if (place, name) == (RunTable, "live"):
        fail_for(monkeypatch, Router, "route", "bad")
    raised = fail_for(monkeypatch, place, name, which)
    bad = run_of(BAD)
    feed(callback, bad[:6])
    if name in LOSS:
        in_threads[-1].kill()
    feed(callback, bad[6:])
    for number in range(2):
        good = f"good-{number}"
        feed(callback, run_of(good))
        until(lambda good=good: fate(callback, good) == "complete")
    until(lambda: raised)
    until(lambda: callback.status().worker)
    assert "bcdi-inpaint" in {thread.name for thread in threading.enumerate()}
    if name != "_tell":  # then nobody knows whether it is filled, and it is tried again and again
        until(lambda: BAD not in {run.uid for run in callback.status().runs})


class OfTheSession:
    """As if it were defined in a user's session."""


def test_values_that_only_the_session_knows_cost_nothing(callback: InpaintCallback) -> None:
    documents = run_of(BAD, operator=threading.Lock(), sample=OfTheSession())
    documents[3][1]["data"]["camera"] = (i for i in range(3))
    feed(callback, documents)
    until(lambda: fate(callback, BAD) == "complete")
    assert callback.status().dropped == 0


def test_a_document_that_can_not_be_sent_costs_its_run_no_more_than_live_filling(
    callback: InpaintCallback,
) -> None:
    documents = run_of(BAD)
    documents[3][1]["data"]["camera"] = pickle.PickleBuffer(memoryview(bytes(9))[::2])
    good = run_of("good")
    for one, other in zip(documents, good, strict=True):
        feed(callback, [one, other])
    until(lambda: fate(callback, BAD) == "complete" and fate(callback, "good") == "complete")
    assert callback.status().dropped == 1
    assert "could not be passed to the worker" in callback.status().last_error


@pytest.mark.parametrize("which", [0, 1, 5, -1], ids=["start", "descriptor", "event", "stop"])
def test_a_document_nested_beyond_measure_costs_its_run_no_more_than_live_filling(
    which: int, callback: InpaintCallback, caplog: pytest.LogCaptureFixture
) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    documents = run_of(BAD)
    documents[which][1]["note"] = deep
    good = run_of("good")
    for one, other in zip(documents, good, strict=True):
        feed(callback, [one, other])
    until(lambda: fate(callback, BAD) == "complete" and fate(callback, "good") == "complete")
    assert callback.status().dropped == 1
    assert callback.status().last_error.endswith(
        ": a document is nested in more than 100 levels; filled after the scan"
    )
    assert not [line for line in caplog.records if line.exc_info]


def test_settings_that_can_not_be_sent_are_refused(callback: InpaintCallback) -> None:
    impossible = Settings(options={"lock": threading.Lock()})
    before = callback.settings
    for refused in (
        lambda: setattr(callback, "settings", impossible),
        lambda: callback.submit("any", settings=impossible),
        lambda: InpaintCallback(callback.raw, callback.raw, settings=impossible),
    ):
        with pytest.raises(ValueError, match="can't be given to the worker process"):
            refused()
    assert callback.settings is before
    assert callback.status().runs == ()


def test_settings_that_are_spoilt_later_cost_their_run(callback: InpaintCallback) -> None:
    options: dict[str, Any] = {}
    before = callback.settings
    callback.settings = Settings(options=options)
    options["lock"] = threading.Lock()
    feed(callback, run_of(BAD))
    callback.submit("submitted")
    callback.settings = before
    feed(callback, run_of("good"))
    until(lambda: fate(callback, "good") == "complete")
    until(lambda: fate(callback, BAD) == "failed" and fate(callback, "submitted") == "failed")
    assert "could not be passed to the worker" in callback.status().last[-1].reason


def test_an_order_that_the_worker_can_not_read_costs_its_run(
    callback: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = messages._dumps

    def spoilt(message: Any, *args: Any) -> bytes:
        spoil = getattr(message, "uid", "") == BAD and isinstance(message, messages.RunOrder)
        return b"spoilt" if spoil else made(message, *args)

    monkeypatch.setattr(messages, "_dumps", spoilt)
    before = callback.status().worker
    feed(callback, run_of(BAD))
    feed(callback, run_of("good"))
    until(lambda: fate(callback, "good") == "complete" and fate(callback, BAD) == "failed")
    assert callback.status().worker == before


def test_an_event_that_is_lost_is_missed(
    callback: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever can't be done about a run's document, its fill isn't completed without it."""
    monkeypatch.setattr(RunTable, "drop", fails_once(RunTable.drop))
    monkeypatch.setattr(InpaintCallback, "_pass_on", fails_once(InpaintCallback._pass_on))
    feed(callback, run_of(BAD))
    until(lambda: fate(callback, BAD))
    assert fate(callback, BAD) == "failed"


def fails_once(function: Callable[..., Any]) -> Callable[..., Any]:
    failures = iter([OddError])

    def failing(*args: Any, **kwargs: Any) -> Any:
        for failure in failures:
            raise failure
        return function(*args, **kwargs)

    return failing


@pytest.mark.parametrize("restarts", [-1, 0, 4, 1023, 10**6])
def test_however_often_a_worker_was_replaced_the_next_one_is_started(
    restarts: int,
    callback: InpaintCallback,
    in_threads: list[ThreadAsProcess],
) -> None:
    callback._supervisor.restarts = restarts
    in_threads[-1].kill()
    until(lambda: callback._supervisor.restarts > restarts and callback.status().worker)
    feed(callback, run_of("good"))
    until(lambda: fate(callback, "good") == "complete")


def test_runs_that_have_odd_fields_are_told_apart_by_their_uids(callback: InpaintCallback) -> None:
    odd = run_of(BAD, scan_id=np.arange(2), time="noon", sample_name=["a"], motors=3)
    for name, doc in odd[:6]:
        callback(name, doc)
    (status,) = callback.status().runs
    assert (status.uid, status.scan_id, status.started, status.sample) == (BAD, None, None, "")
    feed(callback, odd[6:])
    until(lambda: fate(callback, BAD) == "complete")


@pytest.fixture
def short_of_time(in_threads: list[ThreadAsProcess]) -> Iterator[InpaintCallback]:
    """A callback for which runs are silent soon."""
    raw = SimpleNamespace(uri="raw")
    limits = replace(LIMITS, silent_seconds=0.3)
    with InpaintCallback(raw, raw, settings=Settings(method="linear"), limits=limits) as callback:
        until(lambda: callback.status().worker)
        yield callback


def states(callback: InpaintCallback) -> list[str]:
    return [run.state for run in callback.status().runs]


def test_runs_that_never_stop_are_let_go(
    short_of_time: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_table, "KEPT", 3)
    for number in range(6):
        feed(short_of_time, run_of(f"silent-{number}")[:6])
    until(lambda: states(short_of_time) == ["left"] * 3)
    for number in range(3):
        until(lambda uid=f"silent-{number}": fate(short_of_time, uid) == "failed")
    assert short_of_time.status().queue_documents == 0
    feed(short_of_time, run_of("good"))
    until(lambda: fate(short_of_time, "good") == "complete")
    assert set(short_of_time._router._run_of.values()) == {f"silent-{i}" for i in (3, 4, 5)}


def test_a_run_that_goes_on_after_a_long_silence_is_filled_when_it_has_stopped(
    short_of_time: InpaintCallback,
) -> None:
    documents = run_of("late")
    feed(short_of_time, documents[:6])
    until(lambda: states(short_of_time) == ["left"])
    (run,) = short_of_time.status().runs
    assert run.reason.startswith("no document of the run has come for 0.3 s")
    feed(short_of_time, documents[6:])
    until(lambda: fate(short_of_time, "late") == "complete")


def test_a_run_whose_documents_come_slowly_is_filled_live(short_of_time: InpaintCallback) -> None:
    for document in run_of("slow"):
        feed(short_of_time, [document])
        time.sleep(0.1)
    until(lambda: fate(short_of_time, "slow") == "complete")
    assert short_of_time.status().dropped == 0


@pytest.mark.parametrize(
    ("error", "times"),
    # What could be the node's fault is not tried again: it might fail for ever.
    [(httpx.ConnectError("down"), 5), (ValueError("odd"), 1), (SystemExit(), 1)],
    ids=["outage", "odd", "killed"],
)
def test_a_silent_run_is_released_although_that_fails_at_first(
    error: BaseException,
    times: int,
    short_of_time: InpaintCallback,
    in_threads: list[ThreadAsProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def leave(_catalogs: Any, uid: str, _why: str) -> None:
        asked.append(uid)
        if len(asked) <= times:
            if isinstance(error, SystemExit):
                in_threads[-1].kill()
            raise error

    monkeypatch.setattr(worker, "leave", leave)
    documents = run_of("late")
    feed(short_of_time, documents[:6])
    until(lambda: short_of_time._run_table._open["late"].released)
    assert len(asked) == times + (not isinstance(error, ValueError))
    assert states(short_of_time) == ["left"]
    feed(short_of_time, documents[6:])
    until(lambda: fate(short_of_time, "late") == "complete")


def answer(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://tiled")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status))


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_what_tiled_answers_for_a_while_is_not_the_runs_fault(
    status: int, in_threads: list[ThreadAsProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def read(catalogs: Any, uid: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(uid)
        if len(asked) < 6:
            raise answer(status)
        return fill_finished(catalogs, uid, *args, **kwargs)

    monkeypatch.setattr(worker, "fill_finished", read)
    raw = SimpleNamespace(uri="raw")
    limits = Limits(attempts=1, retry_seconds=0.01, absent_seconds=30)
    with InpaintCallback(raw, raw, settings=Settings(method="linear"), limits=limits) as callback:
        callback.submit("run")
        until(lambda: fate(callback, "run") == "complete")
    assert asked == ["run"] * 6


@pytest.mark.parametrize("marked", [True, False])
def test_a_run_that_tiled_can_never_read_is_given_up(
    marked: bool, callback: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def give_up(_catalogs: Any, uid: str, *_: Any) -> None:
        told.append(uid)
        if not marked:
            raise answer(403)

    def read(*_: Any, **__: Any) -> Any:
        raise answer(500)

    monkeypatch.setattr(worker, "fill_finished", read)
    monkeypatch.setattr(worker, "give_up", give_up)
    callback.submit("run")
    until(lambda: fate(callback, "run") == "failed")
    assert told == ["run"]


# Sources.


def sources(callback: InpaintCallback, processed: Any) -> Intake:
    return Intake(callback, processed, RockingScanRule())


@pytest.fixture
def publisher() -> Iterator[tuple[Callable[[str, Any], None], str]]:
    """Publishes documents as `bluesky.callbacks.zmq.Publisher` does; and where."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def publish(name: str, doc: Any) -> None:
            socket.send(b" ".join([b"", name.encode(), pickle.dumps(doc)]))

        yield publish, f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("place", "name", "which"),
    [
        (zmq_source, "zmq_socket", "first"),
        (zmq_source, "loads", "first"),
        (zmq_source, "reason", "first"),
        (Intake, "document", "bad"),
        (InpaintCallback, "__call__", "bad"),
        (ZmqSource, "_take", "first"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_0mq_goes_on_behind_a_bad_run(
    place: Any,
    name: str,
    which: str,
    callback: InpaintCallback,
    publisher: tuple[Callable[[str, Any], None], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish, address = publisher
    monkeypatch.setattr(zmq_source, "REST", 0.05)
    if name == "reason":
        fail_for(monkeypatch, zmq_source, "loads", "first")
    raised = fail_for(monkeypatch, place, name, which)
    source = ZmqSource(address, sources(callback, None), prefix="", max_bytes=10**6)
    source.start()
    try:
        for number in range(1000):
            if raised and fate(callback, f"good-{number - 2}") == "complete":
                break
            feed(publish, run_of(f"{BAD}-{number}", scan_id=np.arange(3)))
            feed(publish, run_of(f"good-{number}"))
            time.sleep(0.1)
        else:
            pytest.fail("no good run was filled")
    finally:
        source.close()
    assert not source._thread.is_alive()


@pytest.fixture
def written(raw: Any) -> Callable[..., str]:
    """Puts a run into a real Tiled server; its uid."""

    def write(uid: str = "", **start: Any) -> str:
        uid = uid or str(uuid.uuid4())
        begun = {"uid": uid, "time": time.time(), "plan_name": "scan", "num_points": 8, **start}
        stopped = {"time": time.time(), "run_start": begun["uid"], "exit_status": "success"}
        raw.create_container(uid, metadata={"start": begun, "stop": stopped})
        return uid

    return write


@pytest.mark.parametrize(
    ("place", "name", "which"),
    [
        (intake, "is_rocking_scan", "bad"),
        (Intake, "run", "bad"),
        (Intake, "_is_settled", "bad"),
        (InpaintCallback, "submit", "bad"),
        (tiled_source, "fault", "first"),
        (TiledSource, "_look_at", "first"),
        (TiledSource, "_look", "first"),
        (TiledSource, "_subscribe", "first"),
        (TiledSource, "_look_or_wait", "first"),
        (TiledSource, "_subscribe_or_wait", "first"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_tiled_is_looked_at_behind_a_bad_run(
    place: Any,
    name: str,
    which: str,
    callback: InpaintCallback,
    raw: Any,
    processed: Any,
    written: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "fault":
        fail_for(monkeypatch, Intake, "run", "first")
    written(BAD)
    good = written()
    raised = fail_for(monkeypatch, place, name, which)
    source = TiledSource(raw, sources(callback, processed), poll_seconds=0.05, look_back=20)
    source.start()
    try:
        until(lambda: fate(callback, good) == "complete")
        until(lambda: raised and not source.trouble)
        later = written()
        until(lambda: fate(callback, later) == "complete")
        assert source._looker.is_alive()
        assert source._listener.is_alive()
    finally:
        source.close()


ODD_NODES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no start": {"start": None, "stop": {"time": 1.0}},
    "start is a list": {"start": [1], "stop": {"time": 1.0}},
    "no uid": {"start": {"plan_name": "scan"}, "stop": {"time": 1.0}},
    "uid is a list": {"start": {"uid": [1], "plan_name": "scan"}, "stop": {"time": 1.0}},
    "num_points is null": {
        "start": {"uid": "e", "plan_name": "scan", "num_points": None},
        "stop": {"time": 1.0},
    },
    "num_points is text": {
        "start": {"uid": "a", "plan_name": "scan", "num_points": "many"},
        "stop": {"time": 1.0},
    },
    "no hints": {"start": {"uid": "b", "plan_name": "scan", "hints": None}, "stop": {"time": 1.0}},
    "no stop time": {"start": {"uid": "c", "plan_name": "scan"}, "stop": {"exit_status": "fail"}},
    "stop is text": {"start": {"uid": "d", "plan_name": "scan"}, "stop": "yes"},
}


NO_RUNS = {"nothing", "no start", "start is a list", "no uid", "uid is a list", "stop is text"}
"""Of these; from the others an odd field is taken for none."""


@pytest.fixture
def odd_nodes(raw: Any) -> set[str]:
    """Puts nodes of all kinds into the catalogue; keys of those that are no runs."""
    keys = {name: str(uuid.uuid4()) for name in ODD_NODES}
    for name, metadata in ODD_NODES.items():
        raw.create_container(keys[name], metadata=metadata)
    raw.write_array(np.arange(3), key="an-array")
    with suppress(AttributeError):  # its client can't be made, but it is there
        raw.create_container("no-version", specs=[Spec("BlueskyRun")])
    return {"an-array", "no-version", *(keys[name] for name in NO_RUNS)}


def test_odd_nodes_do_not_stand_before_runs(
    callback: InpaintCallback,
    raw: Any,
    processed: Any,
    written: Callable[..., str],
    odd_nodes: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = written()
    source = TiledSource(raw, sources(callback, processed), poll_seconds=0.05, look_back=20)
    source.start()
    try:
        until(lambda: fate(callback, good) == "complete")
        for uid in "abce":
            until(lambda uid=uid: fate(callback, uid) == "complete")
        later = written()
        until(lambda: fate(callback, later) == "complete")
        until(lambda: not source.trouble)
    finally:
        source.close()
    said = [line for line in caplog.messages if "passed over" in line]
    assert len(said) == len(odd_nodes)
    assert all(any(key in line for line in said) for key in odd_nodes)


@pytest.mark.parametrize("newest_first", [False, True])
def test_odd_nodes_are_passed_over_when_catching_up_and_said_once(
    newest_first: bool,
    raw: Any,
    processed: Any,
    written: Callable[..., str],
    odd_nodes: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = written()
    uids = catchup.left_over(raw, processed, newest_first=newest_first)
    assert sorted(uids) == sorted([good, "a", "b", "c", "e"])
    (line,) = [line for line in caplog.messages if "passed over" in line]
    assert sum(key in line for key in odd_nodes) == seen_runs.NAMED
    assert f"and {len(odd_nodes) - seen_runs.NAMED} more" in line


def test_odd_nodes_are_passed_over_in_an_archive_and_said_once(
    raw: Any,
    processed: Any,
    written: Callable[..., str],
    odd_nodes: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = written(sample_name="Pt", detectors=["det"])
    config = ServiceConfig()
    assert sorted(matching(raw, processed, Query(), config)) == sorted([good, "a", "b", "c", "e"])
    assert matching(raw, processed, Query(sample="Pt", detector="det"), config) == [good]
    said = [line for line in caplog.messages if "passed over" in line]
    assert len(said) == 2
    assert any(key in said[0] for key in odd_nodes)


def test_a_run_with_odd_fields_is_filled(
    raw: Any, processed: Any, settings: Settings, documents: Any, stack: Any, angles: Any
) -> None:
    made = documents(stack, angles)
    feed(TiledWriter(raw), made)
    uid = made[0][1]["uid"]
    run = raw[uid]
    start = {**run.metadata["start"], "hints": None, "num_points": "many", "time": None}
    stop = {"exit_status": "success", "run_start": uid}
    run.replace_metadata({**run.metadata, "start": start, "stop": stop})
    assert catchup.left_over(raw, processed) == [uid]
    catalogs = pipeline.Catalogs(raw, processed)
    node = pipeline.fill_finished(
        catalogs, uid, settings, again=False, progress=lambda _done, _total: None
    )
    filled = inpaint(stack, settings.mask, settings.method)
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)


@pytest.mark.usefixtures("in_threads", "odd_nodes")
@pytest.mark.parametrize(
    ("place", "name", "which"),
    [
        (seen_runs, "is_rocking_scan", "bad"),
        (InpaintCallback, "submit", "bad"),
        (RunTable, "submit", "bad"),
        (RunTable, "complete_run", "bad"),
        (worker, "fill_finished", "bad"),
        (supervisor, "_order", "bad"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_catching_up_goes_on_behind_a_bad_run(
    place: Any,
    name: str,
    which: str,
    raw: Any,
    processed: Any,
    written: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = written()
    written(BAD)
    last = written()
    raised = fail_for(monkeypatch, place, name, which)
    done = {run.uid: run.state for run in catchup.catch_up(raw, processed, limits=LIMITS)}
    assert raised
    assert (done.get(first), done[last]) == ("complete", "complete")
    assert done.get(BAD) == (None if name == "is_rocking_scan" else "failed")


# With the worker process and a Tiled server.


def test_a_run_with_an_odd_start_document_holds_up_no_other(
    server: Any, settings: Settings, documents: Any, stack: Any, angles: Any
) -> None:
    raw, processed = server.beamline()
    odd = {
        "scan_id": np.arange(2),
        "sample_name": ["Pt"],
        "time": "noon",
        "operator": threading.Lock(),
    }
    begun, *rest = documents(stack, angles)
    bad = [("start", {**begun[1], **odd}), *rest]
    uid = begun[1]["uid"]
    limits = Limits(retry_seconds=0.1, absent_seconds=0.5, attempts=1)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        until(lambda: callback.status().worker, 100)
        feed(callback, bad[:9])  # it never comes to Tiled
        os.kill(callback.status().worker or 0, signal.SIGKILL)
        feed(callback, bad[9:])
        good = documents(stack, angles)
        feed(TiledWriter(raw), good)
        feed(callback, good)
        until(lambda: fate(callback, good[0][1]["uid"]) == "complete", 200)
        until(lambda: fate(callback, uid) == "failed", 200)
        assert callback.status().restarts == 1
    (node,) = find(processed, good[0][1]["uid"])
    filled = inpaint(stack, settings.mask, settings.method)
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)
