"""Callbacks whose worker runs in a thread, and catalogues with odd nodes."""

import pickle
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.live.bad_runs.helpers import (
    LIMITS,
    LiveRun,
    ThreadAsProcess,
    fill_finished,
    until,
)
from tiled.structures.core import Spec

from bcdi_inpaint.live import InpaintCallback, Limits, Settings
from bcdi_inpaint.live import callback as callback_module
from bcdi_inpaint.live.dispatch import supervision as supervisor
from bcdi_inpaint.live.dispatch import worker_process
from bcdi_inpaint.live.worker import main as worker


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[ThreadAsProcess]:
    """Workers run in threads, and fill without Tiled; those that were started."""
    started: list[ThreadAsProcess] = []

    def start(connection: Connection, _limits: Limits) -> ThreadAsProcess:
        started.append(ThreadAsProcess(connection))
        return started[-1]

    monkeypatch.setattr(worker_process, "start_process", start)
    monkeypatch.setattr(supervisor, "REST", 0.02)
    monkeypatch.setattr(supervisor, "LONGEST_REST", 0.05)
    monkeypatch.setattr(worker, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(worker, "LiveRun", LiveRun)
    monkeypatch.setattr(worker, "warm_up", lambda method, device: None)
    monkeypatch.setattr(worker, "fill_finished", fill_finished)
    monkeypatch.setattr(worker, "give_up", lambda *_, **__: None)
    monkeypatch.setattr(worker, "leave", lambda *_, **__: None)
    monkeypatch.setattr(callback_module, "_pickled", lambda *_: pickle.dumps(("raw", "processed")))
    return started


@pytest.fixture
def callback(in_threads: list[ThreadAsProcess]) -> Iterator[InpaintCallback]:
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
