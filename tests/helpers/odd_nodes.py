"""Runs and odd nodes in a catalogue."""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from tiled.structures.core import Spec


@pytest.fixture
def put_run(raw: Any) -> Callable[..., str]:
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
