"""The simulated beamline: its documents are those of the real thing, its files readable in time."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import psutil
import pytest
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint.testing.devices import AreaDetector, ArrayDetector, at_motor, in_order, with_gaps
from bcdi_inpaint.testing.stream_detector import StreamDetector
from tests.helpers.flying import fly
from tests.helpers.scans import rock

ANGLES = np.linspace(-0.2, 0.2, 5)


@pytest.fixture
def stack():
    return np.random.default_rng(1).poisson(20, (5, 12, 16)).astype(np.uint32)


@pytest.fixture
def motor():
    return SynAxis(name="eta", egu="deg")


def test_area_detector_announces_datum_by_datum(RE, raw, detector_files, stack, motor):
    seen = []
    RE.subscribe(TiledWriter(raw))
    with AreaDetector(at_motor(stack, ANGLES, motor), detector_files, name="det") as detector:
        uid = RE(rock(detector, motor, ANGLES), lambda name, doc: seen.append(name)).run_start_uids[
            0
        ]
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
        RE(rock(detector, motor, ANGLES), look)
    assert readable == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_several_frames_at_each_point(RE, raw, detector_files, stack, motor):
    RE.subscribe(TiledWriter(raw))
    with AreaDetector(in_order(stack), detector_files, name="det") as detector:
        detector.cam.num_images.put(2)
        uid = RE(rock(detector, motor, ANGLES)).run_start_uids[0]
    frames = raw[uid]["primary"]["det_image"].read()
    np.testing.assert_array_equal(frames.reshape(-1, 12, 16), np.concatenate([stack, stack]))


def writers():
    """Command lines of the processes that write detectors' files, of this process and its children."""
    return [
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "bcdi_inpaint.testing.file_writers" in child.cmdline()
    ]


def test_no_process_is_left_behind(RE, detector_files, stack, motor):
    others = set(writers())  # of fixtures that last as long as the tests
    with AreaDetector(at_motor(stack, ANGLES, motor), detector_files, name="det") as detector:
        RE(rock(detector, motor, ANGLES))
        RE(rock(detector, motor, ANGLES))
        assert len(set(writers()) - others) == 1
    assert set(writers()) == others
    assert len(list(detector_files.glob("*.h5"))) == 2


SCRIPT = """
import os, sys
from pathlib import Path
import bluesky.plans as bp
import numpy as np
from bluesky import RunEngine
from bcdi_inpaint.testing.devices import AreaDetector, in_order

print("begins", flush=True)
detector = AreaDetector(in_order(np.ones((8, 5, 6), np.uint16)), Path(sys.argv[1]), name="det")
RunEngine()(bp.count([detector], 8))
print(detector._writer._process.pid, flush=True)
if len(sys.argv) > 2:
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("end", [(), ("killed",)])
@pytest.mark.slow
def test_a_script_needs_no_guard_and_leaves_no_process(tmp_path, end):
    """It is not run a second time, and the writer ends with it, however it ends."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, tmp_path, *end], capture_output=True, text=True, check=False
    )
    assert done.returncode == (-9 if end else 0), done.stderr
    begins, pid = done.stdout.split()
    assert begins == "begins"
    (file,) = tmp_path.glob("*.h5")
    with h5py.File(file) as opened:
        assert opened["entry/data/data"].shape == (8, 5, 6)
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).wait(10) is None


def test_a_writer_that_dies_is_said_in_a_line(detector_files, stack):
    with AreaDetector(in_order(stack), detector_files, name="det") as detector:
        detector.stage()
        detector._writer._process.kill()
        with pytest.raises(RuntimeError, match=r"the process that writes .* has died"):
            detector._writer.write(stack[0])


def test_array_detector_keeps_its_dtype(RE, raw, stack, motor):
    RE.subscribe(TiledWriter(raw))
    detector = ArrayDetector(at_motor(stack, ANGLES, motor), name="det")
    uid = RE(rock(detector, motor, ANGLES)).run_start_uids[0]
    frames = raw[uid]["primary"]["det"]
    assert frames.dtype == np.uint32
    np.testing.assert_array_equal(frames.read(), stack)


@pytest.mark.slow
def test_stream_detector_steps_and_flies(RE, raw, detector_files, stack, motor):
    RE.subscribe(TiledWriter(raw))
    detector = StreamDetector(in_order(stack), detector_files, name="eiger2-1")
    try:
        stepped = RE(rock(detector, motor, ANGLES)).run_start_uids[0]
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
