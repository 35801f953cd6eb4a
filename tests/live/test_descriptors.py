"""File descriptors run out: no scan is disturbed, it is said in a line, and all goes on when there are some."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import zmq
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint import inpaint
from bcdi_inpaint.catalog import find
from bcdi_inpaint.live import InpaintCallback, Limits
from bcdi_inpaint.service.source_sections import ZmqSection
from bcdi_inpaint.service.web import WebServer, application
from bcdi_inpaint.service.zmq_source import ZmqSource
from bcdi_inpaint.testing.devices import AreaDetector, ArrayDetector, at_motor
from tests.helpers.waiting import WAIT, until

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = "Too many open files"


@contextmanager
def none_left(pid: int = 0) -> Iterator[None]:
    """A process, or this one, can't open anything more."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # Not 0: no more may be polled at a time than may be open.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def equals_offline(processed: Any, uid: str, stack: Any, settings: Any) -> None:
    (node,) = find(processed, uid)
    filled = inpaint(stack, settings.mask, settings.method)
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)


@pytest.mark.slow
def test_a_scan_goes_on_while_no_worker_can_be_started(
    RE, places, settings, motor, stack, angles, caplog
):
    raw, processed = places
    recorded = []
    detector = ArrayDetector(at_motor(stack, angles, motor), name="det")
    with InpaintCallback(raw, processed, settings=settings) as callback:
        until(lambda: callback.status().worker)
        RE.subscribe(callback)
        RE.subscribe(lambda name, doc: recorded.append((name, doc)))
        caplog.set_level(logging.INFO, "bcdi_inpaint")
        with none_left():
            os.kill(callback.status().worker, signal.SIGKILL)
            until(lambda: any(SHORT in line for line in caplog.messages))
            (uid,) = RE(scan([detector], motor, angles[0], angles[-1], len(angles))).run_start_uids
            time.sleep(3)  # for more attempts
        writer = TiledWriter(raw)
        for name, doc in recorded:
            writer(name, doc)
        assert callback.wait(WAIT)
        equals_offline(processed, uid, stack, settings)
    ours = [line for line in caplog.records if line.name.startswith("bcdi_inpaint")]
    (line,) = [line for line in ours if SHORT in line.getMessage()]
    assert "no worker process can be started" in line.getMessage()
    assert not [line for line in ours if line.exc_info]


@pytest.mark.slow
def test_a_worker_that_can_open_nothing_gives_no_run_up(
    RE, server, places, settings, motor, stack, angles
):
    raw, processed = places
    with AreaDetector(at_motor(stack, angles, motor), server.new_folder(), name="det") as detector:
        RE.subscribe(TiledWriter(raw))
        (uid,) = RE(scan([detector], motor, angles[0], angles[-1], len(angles))).run_start_uids
    limits = Limits(attempts=1, retry_seconds=0.2)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        until(lambda: callback._supervisor._worker and callback._supervisor._worker._started)
        with none_left(callback.status().worker):
            callback.submit(uid)
            until(lambda: any(SHORT in run.reason for run in callback.status().runs))
            assert not callback.wait(1)
        assert callback.wait(WAIT)
        assert callback.status().failed == 0
    equals_offline(processed, uid, stack, settings)


def test_a_source_waits_for_descriptors(monkeypatch, caplog):
    monkeypatch.setattr("bcdi_inpaint.service.sources.REST", 0.1)
    with zmq.Context() as context, context.socket(zmq.PUB) as proxy:
        port = proxy.bind_to_random_port("tcp://127.0.0.1")
        source = ZmqSource(ZmqSection(address=f"127.0.0.1:{port}"), None)
        with none_left():
            source.start()
            until(lambda: any(SHORT in line for line in caplog.messages))
            time.sleep(1)  # for more attempts
            assert source.trouble
        until(lambda: not source.trouble)
        source.close()
    (line,) = [line for line in caplog.records if SHORT in line.getMessage()]
    assert not line.exc_info


def test_the_web_server_answers_again():
    web = WebServer(application(lambda: None, []), "127.0.0.1", 0)
    page = f"http://127.0.0.1:{web.port}/healthz"
    assert httpx.get(page, timeout=WAIT).status_code == 503  # it has started
    ask = f"import httpx; input(); httpx.get({page!r}, timeout=1)"
    with subprocess.Popen(
        [sys.executable, "-c", ask], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as asking:
        with none_left():
            _, raised = asking.communicate(b"\n")
        assert b"httpx." in raised
    answer = httpx.get(page, timeout=WAIT)
    assert answer.json()["problems"] == ["Tiled has not been reached yet"]
    web.close()
