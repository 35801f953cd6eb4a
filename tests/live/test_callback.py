"""Scans go in at the RunEngine, filled scans come out in Tiled."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bluesky.plans import count
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint import inpaint
from bcdi_inpaint.catalog import find
from bcdi_inpaint.live import InpaintCallback
from bcdi_inpaint.testing.devices import AreaDetector, ArrayDetector, at_motor, in_order
from bcdi_inpaint.testing.stream_detector import StreamDetector
from tests.helpers.flying import fly
from tests.helpers.scans import rock
from tests.helpers.waiting import WAIT


@pytest.fixture
def array_detector(stack, angles, motor):
    return ArrayDetector(at_motor(stack, angles, motor), name="det")


def node_of(callback, uid):
    (node,) = find(callback.processed, uid)
    return node


def assert_filled_as_offline(node, stack, gap, method="linear"):
    offline = inpaint(stack, gap, method)
    np.testing.assert_array_equal(node["intensity"].read(), offline.intensity)
    np.testing.assert_array_equal(node["sigma"].read(), offline.sigma)
    np.testing.assert_array_equal(node["mask"].read(), offline.mask)


def test_rocking_scans_are_filled_and_other_runs_ignored(
    RE, callback, array_detector, motor, stack, angles, gap
):
    before = callback.status()
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    (other,) = RE(count([array_detector], 3)).run_start_uids
    (uid,) = RE(rock(array_detector, motor, angles, sample_name="Pt")).run_start_uids
    assert callback.wait(WAIT)
    status = callback.status()
    node = node_of(callback, uid)
    assert not find(callback.processed, other)
    assert node.metadata["raw_path"] == "/".join(callback.raw[uid].path_parts)
    assert node.metadata["sample"] == "Pt"
    assert_filled_as_offline(node, stack, gap)
    np.testing.assert_allclose(node["eta"].read(), angles)
    assert status.complete == before.complete + 1
    assert (status.failed, status.dropped, status.runs) == (before.failed, before.dropped, ())
    assert status.last[0].uid == uid
    assert status.last[0].path == "/".join(node.path_parts)


class HoldAt:
    """Holds the scan once some frames have been announced, until the node has grown."""

    def __init__(self, frames, processed):
        self.frames = frames
        self.processed = processed
        self.seen = None

    def __call__(self, name, doc):
        announced = doc["seq_num"] if name == "event" else 0
        if name == "stream_datum":
            announced = doc["indices"]["stop"]
        if announced < self.frames or self.seen:
            return
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline and not self.seen:
            time.sleep(0.1)
            self.seen = [
                (dict(node.metadata), node["intensity"].read())
                for node in self.processed.values()
                if not node.metadata["complete"] and node.metadata["frames"]
            ]


def flavour(name, stack, angles, motor, folder):
    detector: Any
    if name == "event":
        detector = ArrayDetector(at_motor(stack, angles, motor), name="det")
        return detector, rock(detector, motor, angles)
    if name == "datum":
        detector = AreaDetector(at_motor(stack, angles, motor), folder, name="det")
        return detector, rock(detector, motor, angles)
    if name == "stream step":
        detector = StreamDetector(at_motor(stack, angles, motor), folder, name="det")
        return detector, rock(detector, motor, angles)
    detector = StreamDetector(in_order(stack), folder, name="det")
    md = {"bcdi_inpaint": True, "num_points": len(stack)}
    return detector, fly(detector, len(stack), period=0.1, md=md)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["event", "datum", "stream step", "fly"])
def test_the_node_grows_while_frames_arrive(RE, server, callback, name, motor, stack, angles, gap):
    detector, plan = flavour(name, stack, angles, motor, server.new_folder())
    hold = HoldAt(12, callback.processed)
    RE.subscribe(TiledWriter(callback.raw, batch_size=1))
    RE.subscribe(callback)
    RE.subscribe(hold)
    (uid,) = RE(plan).run_start_uids
    assert callback.wait(WAIT)
    if name != "event":
        detector.close()
    ((metadata, intensity),) = hold.seen
    assert metadata["raw_uid"] == uid
    assert 4 <= metadata["frames"] < len(stack)
    assert intensity.shape == stack.shape
    np.testing.assert_array_equal(intensity[:4][:, ~gap], stack[:4][:, ~gap])
    assert (intensity[:4][:, gap] > 0).any()
    assert_filled_as_offline(node_of(callback, uid), stack, gap)


def in_one_array(expose):
    """As a detector exposes that has one buffer, and reads each frame out into it."""
    buffer = []

    def exposed(count):
        frame = expose(count)
        if not buffer:
            buffer.append(np.empty_like(frame))
        buffer[0][...] = frame
        return buffer[0]

    return exposed


@pytest.mark.parametrize("final_seconds", [0, np.inf])
@pytest.mark.slow
def test_a_detector_may_write_every_frame_into_the_same_array(
    RE, callback, settings, motor, stack, angles, gap, final_seconds
):
    callback.settings = replace(settings, final_seconds=final_seconds)
    detector = ArrayDetector(in_one_array(at_motor(stack, angles, motor)), name="det")
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    # The next frame may come at once, before anybody else had a look at this one.
    RE.subscribe(lambda _, doc: doc["data"]["det"].fill(9), "event")
    (uid,) = RE(rock(detector, motor, angles)).run_start_uids
    assert callback.wait(WAIT)
    node = node_of(callback, uid)
    assert "raw run" not in node.metadata["notes"]
    np.testing.assert_array_equal(node["intensity"].read()[:, ~gap], stack[:, ~gap])
    np.testing.assert_array_equal(callback.raw[uid]["primary/det"].read(), stack)


@pytest.mark.slow
def test_what_the_next_run_is_filled_with_can_be_changed(
    RE, callback, settings, array_detector, motor, angles
):
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    callback.enabled = False
    (off,) = RE(rock(array_detector, motor, angles)).run_start_uids
    callback.enabled = True
    callback.settings = replace(settings, method="nearest")
    (on,) = RE(rock(array_detector, motor, angles)).run_start_uids
    callback.settings = settings
    assert callback.wait(WAIT)
    assert not find(callback.processed, off)
    assert node_of(callback, on).metadata["method"] == "nearest"


@pytest.mark.slow
def test_while_paused_runs_wait(RE, callback, array_detector, motor, angles):
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    callback.pause()
    (uid,) = RE(rock(array_detector, motor, angles)).run_start_uids
    assert not callback.wait(0.5)
    assert not find(callback.processed, uid)
    callback.resume()
    assert callback.wait(WAIT)
    node_of(callback, uid)


@pytest.mark.slow
def test_a_filled_run_can_be_redone(RE, callback, settings, array_detector, motor, angles):
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    (uid,) = RE(rock(array_detector, motor, angles)).run_start_uids
    assert callback.wait(WAIT)
    first = node_of(callback, uid)
    callback.submit(uid)
    assert callback.wait(WAIT)
    assert node_of(callback, uid).uri == first.uri
    callback.submit(uid, again=True, stopped=1e9)
    assert callback.wait(WAIT)
    assert node_of(callback, uid).uri != first.uri
    assert callback.status().last[0].stopped == 1e9


@pytest.mark.slow
def test_a_server_inside_this_process_is_refused(raw, processed):
    with pytest.raises(ValueError, match="needs a Tiled server that it can reach"):
        InpaintCallback(raw, processed)
