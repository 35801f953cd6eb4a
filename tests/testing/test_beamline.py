"""The simulated beamline: its documents are those of the real thing, its files readable in time."""

from __future__ import annotations

import multiprocessing

import bluesky.plans as bp
import h5py
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint.testing.devices import AreaDetector, ArrayDetector, at_motor, in_order, with_gaps
from bcdi_inpaint.testing.stream_detector import StreamDetector, fly

ANGLES = np.linspace(-0.2, 0.2, 5)


@pytest.fixture
def stack():
    return np.random.default_rng(1).poisson(20, (5, 12, 16)).astype(np.uint32)


@pytest.fixture
def motor():
    return SynAxis(name="eta", egu="deg")


def rock(detector, motor):
    return bp.scan([detector], motor, ANGLES[0], ANGLES[-1], len(ANGLES))


def test_area_detector_announces_datum_by_datum(RE, raw, detector_files, stack, motor):
    seen = []
    RE.subscribe(TiledWriter(raw))
    with AreaDetector(at_motor(stack, ANGLES, motor), detector_files, name="det") as detector:
        uid = RE(rock(detector, motor), lambda name, doc: seen.append(name)).run_start_uids[0]
    assert seen == [
        *("start", "descriptor", "resource"),
        *("datum", "event") * 5,
        "stop",
    ]
    image = raw[uid]["primary"]["det_image"]
    assert image.dtype == np.uint32
    np.testing.assert_array_equal(image.read(), stack[:, None])


def test_frames_are_on_disk_when_their_event_comes(RE, detector_files, stack, motor):
    readable = []

    def look(name, doc):
        if name == "event":
            (path,) = detector_files.glob("*.h5")
            with h5py.File(path, "r", libver="latest", swmr=True) as file:
                readable.append(len(file["entry/data/data"]))

    with AreaDetector(at_motor(stack, ANGLES, motor), detector_files, name="det") as detector:
        RE(rock(detector, motor), look)
    assert readable == [1, 2, 3, 4, 5]


def test_several_frames_at_each_point(RE, raw, detector_files, stack, motor):
    RE.subscribe(TiledWriter(raw))
    with AreaDetector(in_order(stack), detector_files, name="det") as detector:
        detector.cam.num_images.put(2)
        uid = RE(rock(detector, motor)).run_start_uids[0]
    frames = raw[uid]["primary"]["det_image"].read()
    np.testing.assert_array_equal(frames.reshape(-1, 12, 16), np.concatenate([stack, stack]))


def test_no_process_is_left_behind(RE, detector_files, stack, motor):
    before = {child.pid for child in multiprocessing.active_children()}
    with AreaDetector(in_order(stack), detector_files, name="det") as detector:
        RE(rock(detector, motor))
        RE(rock(detector, motor))
        (own,) = [c for c in multiprocessing.active_children() if c.pid not in before]
        assert own.name == "frame-writer"
    assert {child.pid for child in multiprocessing.active_children()} == before
    assert len(list(detector_files.glob("*.h5"))) == 2


def test_array_detector_keeps_its_dtype(RE, raw, stack, motor):
    RE.subscribe(TiledWriter(raw))
    detector = ArrayDetector(at_motor(stack, ANGLES, motor), name="det")
    uid = RE(rock(detector, motor)).run_start_uids[0]
    frames = raw[uid]["primary"]["det"]
    assert frames.dtype == np.uint32
    np.testing.assert_array_equal(frames.read(), stack)


def test_stream_detector_steps_and_flies(RE, raw, detector_files, stack, motor):
    RE.subscribe(TiledWriter(raw))
    detector = StreamDetector(in_order(stack), detector_files, name="eiger2-1")
    try:
        stepped = RE(rock(detector, motor)).run_start_uids[0]
        seen = []
        flown = RE(fly(detector, 5), lambda name, doc: seen.append(name)).run_start_uids[0]
    finally:
        detector.close()
    for uid in (stepped, flown):
        np.testing.assert_array_equal(raw[uid]["primary"]["eiger2-1"].read()[:, 0], stack)
    assert "event" not in seen


def test_gaps_hold_the_detectors_value(stack):
    mask = np.zeros(stack.shape[1:], dtype=bool)
    mask[:, 4:6] = True
    gapped = with_gaps(stack, mask, 2**32 - 1)
    assert gapped.dtype == stack.dtype
    assert (gapped[:, mask] == 2**32 - 1).all()
    np.testing.assert_array_equal(gapped[:, ~mask], stack[:, ~mask])


def test_as_many_angles_as_frames(stack, motor):
    with pytest.raises(ValueError, match="5 frames need as many angles"):
        at_motor(stack, [0.0, 0.1], motor)
