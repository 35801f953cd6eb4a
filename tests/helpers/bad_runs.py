"""A callback whose worker runs in a thread of this process and fills without Tiled, and bad runs for it.

Callback, queue, run table, supervisor, pipe and worker are the real ones; what the worker does with Tiled
and numbers is replaced. So a case takes a fraction of a second.
"""

import os
import pickle
import signal
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from bcdi_inpaint.live import InpaintCallback, Limits, Settings, messages
from bcdi_inpaint.live import callback as callback_module
from bcdi_inpaint.live.dispatch import supervision, worker_process
from bcdi_inpaint.live.pipe import receive
from bcdi_inpaint.live.worker import main as worker
from bcdi_inpaint.live.worker.main import Worker
from bcdi_inpaint.scans import RockingScanRule
from bcdi_inpaint.service.sources import Intake

from .quick import mostly_slow
from .waiting import until

BAD = f"bad-{uuid.uuid4()}"
LIMITS = Limits(attempts=2, retry_seconds=0.02, absent_seconds=0.1)


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
            catalogs: Any = SimpleNamespace()
            Worker(connection, catalogs, beat=0.05).serve()

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


def at_each(*steps: tuple[Any, str, str]) -> pytest.MarkDecorator:
    """Run a test for each place, name in it, and when that fails: see `fail_for`. The first is quick."""

    def named(value: Any) -> str:
        return value if isinstance(value, str) else value.__name__

    return pytest.mark.parametrize(("place", "name", "which"), mostly_slow(steps), ids=named)


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


def place_name(place: Any) -> str:
    return str(place.__name__).rpartition(".")[2]


def fails_once(function: Callable[..., Any]) -> Callable[..., Any]:
    failures = iter([OddError])

    def failing(*args: Any, **kwargs: Any) -> Any:
        for failure in failures:
            raise failure
        return function(*args, **kwargs)

    return failing


def states(callback: InpaintCallback) -> list[str]:
    return [run.state for run in callback.status().runs]


def answer(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://tiled")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status))


def sources(callback: InpaintCallback, processed: Any) -> Intake:
    return Intake(callback, processed, RockingScanRule())


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[ThreadAsProcess]:
    """Workers run in threads, and fill without Tiled; those that were started."""
    started: list[ThreadAsProcess] = []

    def start(connection: Connection, _limits: Limits) -> ThreadAsProcess:
        started.append(ThreadAsProcess(connection))
        return started[-1]

    monkeypatch.setattr(worker_process, "start_process", start)
    monkeypatch.setattr(supervision, "REST", 0.02)
    monkeypatch.setattr(supervision, "LONGEST_REST", 0.05)
    monkeypatch.setattr(worker, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(worker, "LiveRun", LiveRun)
    monkeypatch.setattr(worker, "warm_up", lambda method, device: None)
    monkeypatch.setattr(worker, "fill_finished", fill_finished)
    monkeypatch.setattr(worker, "mark_failed", lambda *_, **__: None)
    monkeypatch.setattr(worker, "release_nodes", lambda *_, **__: None)
    monkeypatch.setattr(callback_module, "_pickled", lambda *_: pickle.dumps(("raw", "processed")))
    return started


@pytest.fixture
def quick_callback(in_threads: list[ThreadAsProcess]) -> Iterator[InpaintCallback]:
    """A callback whose worker is in a thread."""
    raw = SimpleNamespace(uri="raw")
    callback = InpaintCallback(raw, raw, settings=Settings(method="linear"), limits=LIMITS)
    until(lambda: callback.status().worker)
    yield callback
    callback.close(0.5)


@pytest.fixture
def short_of_time(in_threads: list[ThreadAsProcess]) -> Iterator[InpaintCallback]:
    """A callback for which runs are silent soon."""
    raw = SimpleNamespace(uri="raw")
    limits = replace(LIMITS, silent_seconds=0.3)
    with InpaintCallback(raw, raw, settings=Settings(method="linear"), limits=limits) as callback:
        until(lambda: callback.status().worker)
        yield callback
