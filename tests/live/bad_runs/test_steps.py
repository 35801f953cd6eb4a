"""One bad run doesn't hold up the next: an exception at each step of each thread."""

import os
import signal
import threading
from typing import Any

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint import inpaint
from bcdi_inpaint.catalog import find
from bcdi_inpaint.live import InpaintCallback, Limits, Settings
from bcdi_inpaint.live.dispatch import worker_process
from bcdi_inpaint.live.dispatch.document_queue import DocumentQueue
from bcdi_inpaint.live.dispatch.routing import Router
from bcdi_inpaint.live.dispatch.run_table import RunTable
from bcdi_inpaint.live.dispatch.worker_process import WorkerProcess
from bcdi_inpaint.live.worker import main as worker
from bcdi_inpaint.live.worker.main import Worker
from tests.helpers.bad_runs import (
    BAD,
    LiveRun,
    ThreadAsProcess,
    fail_for,
    fails_for_bad,
    fails_once,
    fate,
    place_name,
    run_of,
)
from tests.helpers.quick import mostly_slow
from tests.helpers.scans import feed
from tests.helpers.waiting import until

STEPS = [
    # The RunEngine's thread.
    (Router, "route", "bad"),
    (RunTable, "begin", "bad"),
    (RunTable, "filled_live", "bad"),
    (RunTable, "stop", "bad"),
    (RunTable, "live", "first"),
    (RunTable, "document_came", "bad"),
    (Router, "forget_all_but", "bad"),
    (DocumentQueue, "insist", "bad"),
    (DocumentQueue, "offer", "bad"),
    (DocumentQueue, "nudge", "first"),
    (InpaintCallback, "_pass_on", "first"),
    # The supervisor's.
    (DocumentQueue, "take", "first"),
    (RunTable, "seconds_to_next", "first"),
    (RunTable, "next_order", "first"),
    (RunTable, "silent", "first"),
    (RunTable, "seconds_to_silence", "first"),
    (RunTable, "with_worker", "first"),
    (RunTable, "attempt_failed", "bad"),
    (worker_process, "start_process", "first"),
    (WorkerProcess, "how_it_ended", "first"),
    (WorkerProcess, "end", "first"),
    (WorkerProcess, "send", "bad"),
    (WorkerProcess, "send", "first"),
    # The listener's.
    (worker_process, "receive", "first"),
    (WorkerProcess, "_hear", "bad"),
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
    (worker, "mark_failed", "bad"),
    (worker, "cause_of", "first"),
]


QUICK = [
    STEPS.index(step)
    for step in (
        (Router, "route", "bad"),
        (DocumentQueue, "take", "first"),
        (RunTable, "silent", "first"),
        (WorkerProcess, "_hear", "bad"),
        (Worker, "_do", "bad"),
    )
]
"""One of each thread; the others are slow tests."""

LATER = ("progress", "_fill", "fill_finished", "mark_failed", "cause_of")
"""Steps that come only when a run could not be filled live."""


LOSS = ("with_worker", "attempt_failed", "start_process", "how_it_ended", "end", "send")
"""Steps that come when a worker is lost."""


@pytest.mark.parametrize(
    ("place", "name", "which"),
    mostly_slow(STEPS, quick=QUICK),
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
    if name == "mark_failed":
        fail_for(monkeypatch, worker, "fill_finished", "bad")
    if (place, name) == (RunTable, "live"):
        fail_for(monkeypatch, Router, "route", "bad")
    raised = fail_for(monkeypatch, place, name, which)
    bad = run_of(BAD)
    feed(bad[:6], callback)
    if name in LOSS:
        in_threads[-1].kill()
    feed(bad[6:], callback)
    for number in range(2):
        good = f"good-{number}"
        feed(run_of(good), callback)
        until(lambda good=good: fate(callback, good) == "complete")
    until(lambda: raised)
    until(lambda: callback.status().worker)
    assert "bcdi-inpaint" in {thread.name for thread in threading.enumerate()}
    if name != "_tell":  # then nobody knows whether it is filled, and it is tried again and again
        until(lambda: BAD not in {run.uid for run in callback.status().runs})


def test_an_event_that_is_lost_is_missed(
    callback: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever can't be done about a run's document, its fill isn't completed without it."""
    monkeypatch.setattr(RunTable, "drop", fails_once(RunTable.drop))
    monkeypatch.setattr(InpaintCallback, "_pass_on", fails_once(InpaintCallback._pass_on))
    feed(run_of(BAD), callback)
    until(lambda: fate(callback, BAD))
    assert fate(callback, BAD) == "failed"


@pytest.mark.parametrize("restarts", [-1, 0, 4, 1023, 10**6])
def test_however_often_a_worker_was_replaced_the_next_one_is_started(
    restarts: int,
    callback: InpaintCallback,
    in_threads: list[ThreadAsProcess],
) -> None:
    callback._supervisor.restarts = restarts
    in_threads[-1].kill()
    until(lambda: callback._supervisor.restarts > restarts and callback.status().worker)
    feed(run_of("good"), callback)
    until(lambda: fate(callback, "good") == "complete")


@pytest.mark.slow
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
        until(lambda: callback.status().worker)
        feed(bad[:9], callback)  # it never comes to Tiled
        os.kill(callback.status().worker or 0, signal.SIGKILL)
        feed(bad[9:], callback)
        good = documents(stack, angles)
        feed(good, TiledWriter(raw))
        feed(good, callback)
        until(lambda: fate(callback, good[0][1]["uid"]) == "complete")
        until(lambda: fate(callback, uid) == "failed")
        assert callback.status().restarts == 1
    (node,) = find(processed, good[0][1]["uid"])
    filled = inpaint(stack, settings.mask, settings.method)
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)
