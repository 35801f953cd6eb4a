"""What goes wrong: the RunEngine is undisturbed, and each good run has one complete node."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from bluesky_tiled_plugins import TiledWriter
from tiled.queries import Key

from bcdi_inpaint import inpaint
from bcdi_inpaint.live import InpaintCallback, Limits
from bcdi_inpaint.testing.devices import AreaDetector, ArrayDetector, at_motor
from bcdi_inpaint.testing.file_writers import FrameWriter
from bcdi_inpaint.testing.stream_detector import StreamDetector
from tests.helpers.scans import feed, rock
from tests.helpers.waiting import WAIT, until


@pytest.fixture
def array_detector(stack, angles, motor):
    return ArrayDetector(at_motor(stack, angles, motor), name="det")


def nodes_of(callback, uid):
    return list(callback.processed.search(Key("raw_uid") == uid).values())


def the_complete_node(callback, uid, frames=None):
    (node,) = nodes_of(callback, uid)
    assert node.metadata["complete"]
    if frames is not None:
        filled = inpaint(frames, callback.settings.mask, callback.settings.method)
        np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)
    return node


def fate(callback, uid):
    (status,) = [status for status in callback.status().last if status.uid == uid]
    return status


class At:
    """Does something once, at the n-th event."""

    def __init__(self, seq_num, do):
        self.seq_num = seq_num
        self.do = do

    def __call__(self, name, doc):
        if name == "event" and doc["seq_num"] == self.seq_num:
            self.do()


# The worker.


def kill(callback):
    pid = callback.status().worker
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_killed_at_random_moments(
    RE, server, settings, array_detector, motor, stack, angles
):
    times = 3  # benchmarks/bench_endurance.py: 20
    chance = random.Random(times)
    raw, processed = server.beamline()
    uids = []
    with InpaintCallback(raw, processed, settings=settings) as callback:
        RE.subscribe(TiledWriter(raw))
        RE.subscribe(callback)
        for _ in range(times):
            moment = chance.randrange(1, len(angles) + 6)
            token = RE.subscribe(At(moment, lambda: kill(callback)))
            uids += RE(rock(array_detector, motor, angles)).run_start_uids
            RE.unsubscribe(token)
            if moment > len(angles):
                time.sleep(chance.random())
                kill(callback)
        assert callback.wait(times * WAIT)
        status = callback.status()
        assert (status.complete, status.failed) == (times, 0)
        assert status.restarts >= 1
        for uid in uids:
            the_complete_node(callback, uid, stack)


@pytest.mark.slow
def test_a_run_that_kills_every_worker_fails_and_the_next_goes_on(
    server, settings, documents, stack, angles
):
    raw, processed = server.beamline()
    limits = Limits(attempts=2, retry_seconds=0.1)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        writer = TiledWriter(raw)
        callback.pause()
        deadly = feed(documents(stack, angles), writer, callback)
        callback.resume()
        until(
            lambda: sum(run.failures for run in callback.status().runs) >= limits.attempts,
            lambda: callback.status().in_hand == deadly and kill(callback),
        )
        good = feed(documents(stack, angles), writer, callback)
        assert callback.wait(WAIT)
        the_complete_node(callback, good, stack)
        assert fate(callback, deadly).state == "failed"
        (node,) = nodes_of(callback, deadly)
        assert "killed by signal 9" in node.metadata["failed"]
        assert not node.metadata["complete"]


@pytest.mark.slow
def test_a_worker_whose_gpu_fails_or_hangs_is_replaced(
    server, settings, documents, stack, angles, tmp_path, monkeypatch
):
    here = Path(__file__).parent
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", str(here), prepend=os.pathsep)  # the worker's
    from failing_device import Iterations  # type: ignore[import-not-found]

    raw, processed = server.beamline()
    faults = tmp_path / "faults"
    faults.write_text("mh")  # out of memory, then silent
    part = settings.mask.copy()
    part[:4] = False  # a gap that doesn't cross the frame is filled in iterations
    options = {"iterations": Iterations(3, faults)}
    failing = replace(settings, method="kriging", mask=part, options=options)
    limits = Limits(attempts=20, retry_seconds=0.1, stall_seconds=20)  # starting takes some, too
    with InpaintCallback(raw, processed, settings=failing, limits=limits) as callback:
        writer = TiledWriter(raw)
        uid = feed(documents(stack, angles), writer, callback)
        assert callback.wait(WAIT)
        assert callback.status().restarts >= 2
        assert fate(callback, uid).reason == "the worker was silent for 20 s"
        (node,) = nodes_of(callback, uid)
        filled = inpaint(stack, part, "kriging", iterations=3)
        # The worker has another number of threads, thus sums in another order.
        np.testing.assert_allclose(node["intensity"].read(), filled.intensity, rtol=1e-4)


@pytest.mark.slow
def test_ctrl_c_twice_stops_the_scan_but_not_the_worker(
    RE, callback, array_detector, motor, stack, angles
):
    worker = callback.status().worker
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)

    def interrupt():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    RE.subscribe(At(12, interrupt))
    with pytest.raises(RunEngineInterrupted):
        RE(rock(array_detector, motor, angles))
    (uid,) = RE.abort("operator").run_start_uids
    assert callback.wait(WAIT)
    node = the_complete_node(callback, uid)
    n = node.metadata["frames"]
    assert 10 <= n < len(angles)
    assert node.metadata["exit_status"] == "abort"
    np.testing.assert_array_equal(node["intensity"].read(), inpaint_first(callback, stack, n))
    assert callback.status().worker == worker


def inpaint_first(callback, stack, n):
    return inpaint(stack[:n], callback.settings.mask, callback.settings.method).intensity


# The queue.


@pytest.mark.slow
def test_what_the_worker_can_not_keep_up_with_is_dropped_and_filled_afterwards(
    server, settings, documents, stack, angles
):
    raw, processed = server.beamline()
    large, mask = (np.kron(a, np.ones((10, 10), a.dtype)) for a in (stack, settings.mask))
    settings = replace(settings, mask=mask)
    limits = Limits(max_bytes=3 * large[0].nbytes)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        # Its worker is still starting.
        uid = feed(documents(large, angles), TiledWriter(raw), callback)
        assert callback.status().queue_bytes <= limits.max_bytes
        assert callback.wait(WAIT)
        assert callback.status().dropped == 1
        the_complete_node(callback, uid, large)


@pytest.mark.slow
def test_no_document_however_odd_reaches_the_run_engine(callback, documents, stack, angles):
    run = documents(stack, angles)
    feed(run, TiledWriter(callback.raw))
    odd = [("event", None), ("event", {"descriptor": []}), ("", 3), (None, {})]
    feed([*run[:5], *odd, *run[5:]], callback)
    assert callback.wait(WAIT)
    the_complete_node(callback, run[0][1]["uid"], stack)


@pytest.mark.slow
def test_documents_of_a_newer_schema_do_no_harm(callback, documents, stack, angles):
    run = documents(stack, angles, something_new={"nested": [1, 2]})
    descriptor = run[1][1]["uid"]
    newer = [(name, {**doc, "unknown": {"field": 1}}) for name, doc in run]
    newer.insert(4, ("hologram", {"descriptor": descriptor, "uid": "x", "data": 1}))
    feed(run, TiledWriter(callback.raw))
    uid = feed(newer, callback)
    assert callback.wait(WAIT)
    the_complete_node(callback, uid, stack)


# Scans.


@pytest.mark.slow
def test_two_interleaved_scans(callback, documents, stack, angles):
    first = documents(stack, angles)
    second = documents(stack[::-1].copy(), angles)
    writer = TiledWriter(callback.raw)
    for one, other in zip(first, second, strict=True):
        feed([one], writer, callback)
        feed([other], writer, callback)
    assert callback.wait(WAIT)
    the_complete_node(callback, first[0][1]["uid"], stack)
    the_complete_node(callback, second[0][1]["uid"], stack[::-1])


@pytest.mark.slow
def test_a_scan_that_is_paused_repeats_a_point(RE, callback, array_detector, motor, stack, angles):
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    pauses = iter([True])

    @bpp.stage_decorator([array_detector])
    @bpp.run_decorator(md={"plan_name": "scan", "num_points": len(angles), "motors": ["eta"]})
    def plan():
        for i, angle in enumerate(angles):
            yield from bps.checkpoint()
            yield from bps.mv(motor, angle)
            yield from bps.trigger_and_read([array_detector, motor])
            if i == 9 and next(pauses, False):
                yield from bps.pause()  # rewinds to the checkpoint: the point is taken again

    with pytest.raises(RunEngineInterrupted):
        RE(plan())
    (uid,) = RE.resume().run_start_uids
    assert callback.wait(WAIT)
    the_complete_node(callback, uid, stack)


@pytest.mark.slow
def test_a_scan_that_fails_keeps_what_it_measured(
    RE, callback, array_detector, motor, stack, angles
):
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)

    class MotorError(Exception):
        pass

    def stuck():
        raise MotorError("stuck")

    token = RE.subscribe(At(14, stuck))
    with pytest.raises(MotorError):
        RE(rock(array_detector, motor, angles))
    RE.unsubscribe(token)
    assert callback.wait(WAIT)
    uid = callback.status().last[0].uid
    node = the_complete_node(callback, uid, stack[:14])
    assert node.metadata["exit_status"] == "fail"


@pytest.mark.slow
def test_frames_in_another_order_and_repeated_ones(callback, documents, stack, angles):
    start, descriptor, *events, stop = documents(stack, angles)
    name, repeated = events[3]
    wrong = {**repeated, "uid": "wrong", "data": {**repeated["data"], "det": stack[0] + 7}}
    order = random.Random(1).sample(range(4, len(events)), len(events) - 4)
    shuffled = [*events[:3], (name, wrong), *(events[i] for i in order), events[3]]
    uid = feed([start, descriptor, *shuffled, stop], TiledWriter(callback.raw), callback)
    assert callback.wait(WAIT)
    the_complete_node(callback, uid, stack)


@pytest.mark.slow
def test_a_point_that_never_comes_is_left_out(callback, documents, stack, angles):
    start, descriptor, *events, stop = documents(stack, angles)
    del events[7]
    uid = feed([start, descriptor, *events, stop], TiledWriter(callback.raw), callback)
    assert callback.wait(WAIT)
    node = the_complete_node(callback, uid, np.delete(stack, 7, axis=0))
    np.testing.assert_array_equal(node["eta"].read(), np.delete(angles, 7))


@pytest.mark.slow
def test_a_detector_that_is_renamed(callback, settings, documents, stack, angles):
    writer = TiledWriter(callback.raw)
    renamed = feed(documents(stack, angles, "eiger2-1"), writer, callback)
    callback.settings = replace(settings, data_key="det")
    missed = feed(documents(stack, angles, "eiger2-1"), writer, callback)
    assert callback.wait(WAIT)
    assert the_complete_node(callback, renamed, stack).metadata["data_key"] == "eiger2-1"
    assert fate(callback, missed).state == "failed"
    assert "eiger2-1" in fate(callback, missed).reason


@pytest.mark.slow
def test_a_motor_without_readings(callback, documents, stack, angles):
    readings = angles.copy()
    readings[4:6] = np.nan
    uid = feed(documents(stack, readings), TiledWriter(callback.raw), callback)
    assert callback.wait(WAIT)
    node = the_complete_node(callback, uid, stack)
    np.testing.assert_array_equal(node["eta"].read(), readings)


@pytest.mark.slow
def test_a_frame_of_another_shape_is_left_to_the_finished_run(callback, documents, stack, angles):
    run = documents(stack, angles)
    odd = {**run[6][1], "data": {**run[6][1]["data"], "det": np.zeros((5, 5), np.uint16)}}
    feed(run, TiledWriter(callback.raw))  # a writer that saw it right
    uid = feed([*run[:6], ("event", odd), *run[7:]], callback)
    assert callback.wait(WAIT)
    the_complete_node(callback, uid, stack)


# Files.


@pytest.fixture
def in_a_file(RE, server, stack, angles, motor):
    """Documents of a scan whose frames, one a point, are in a file."""
    documents = []
    token = RE.subscribe(lambda *document: documents.append(document))
    detector = StreamDetector(at_motor(stack, angles, motor), server.new_folder(), name="det")
    RE(rock(detector, motor, angles))
    detector.close()
    RE.unsubscribe(token)
    return documents


def up_to(documents, last):
    """Documents but those of points after the last one."""
    return [
        (name, doc)
        for name, doc in documents
        if not (name == "event" and doc["seq_num"] > last)
        and not (name == "stream_datum" and doc["seq_nums"]["start"] > last)
    ]


@pytest.mark.slow
def test_fewer_angles_than_frames(callback, in_a_file, stack, angles):
    events = [document for document in in_a_file if document[0] == "event"]
    fewer = [document for document in in_a_file if document not in events[-3:]]
    uid = feed(fewer, TiledWriter(callback.raw), callback)
    assert callback.wait(WAIT)
    node = the_complete_node(callback, uid, stack[:-3])
    np.testing.assert_array_equal(node["eta"].read(), angles[:-3])


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False])
def test_a_file_ahead_of_the_catalogue(callback, in_a_file, stack, live):
    if not live:  # then Tiled is asked for the frames, and answers 422
        callback.pause()
    uid = feed(up_to(in_a_file, 18), TiledWriter(callback.raw), callback)
    callback.resume()
    assert callback.wait(WAIT)
    the_complete_node(callback, uid, stack[:18])


@pytest.mark.slow
def test_a_file_that_is_locked_until_the_detector_is_unstaged(
    RE, server, callback, motor, stack, angles
):
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    expose, writer = at_motor(stack, angles, motor), FrameWriter(swmr=False)
    with AreaDetector(expose, server.new_folder(), name="det", writer=writer) as detector:
        (uid,) = RE(rock(detector, motor, angles)).run_start_uids
        assert callback.wait(WAIT)
    the_complete_node(callback, uid, stack)


@pytest.fixture
def area_detector(server, stack, angles, motor):
    folder = server.new_folder()
    with AreaDetector(at_motor(stack, angles, motor), folder, name="det") as detector:
        detector.folder = folder
        yield detector


@pytest.mark.slow
def test_a_file_that_comes_late_is_waited_for_and_a_broken_one_fails(
    RE, server, settings, area_detector, array_detector, motor, stack, angles
):
    raw, processed = server.beamline()
    limits = Limits(retry_seconds=0.2)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        RE.subscribe(TiledWriter(raw))
        RE.subscribe(callback)
        callback.pause()
        (late,) = RE(rock(area_detector, motor, angles)).run_start_uids
        (path,) = area_detector.folder.glob("*.h5")
        away = path.rename(path.with_suffix(".away"))
        (broken,) = RE(rock(area_detector, motor, angles)).run_start_uids
        (path_of_broken,) = area_detector.folder.glob("*.h5")
        os.truncate(path_of_broken, 100)
        (good,) = RE(rock(array_detector, motor, angles)).run_start_uids
        callback.resume()
        until(lambda: any(run.reason for run in callback.status().runs))
        away.rename(path)
        assert callback.wait(WAIT)
        the_complete_node(callback, late, stack)
        the_complete_node(callback, good, stack)
        assert fate(callback, broken).state == "failed"
        (node,) = nodes_of(callback, broken)
        assert not node.metadata["complete"]
        assert node.metadata["failed"] == fate(callback, broken).reason


# Runs that never stop.


@pytest.mark.slow
def test_a_run_that_never_stops_is_let_go_and_filled_if_it_stops_after_all(
    server, settings, documents, stack, angles
):
    raw, processed = server.beamline()
    limits = Limits(silent_seconds=1, retry_seconds=0.2)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        made, writer = documents(stack, angles), TiledWriter(raw)
        uid = feed(made[:14], writer, callback)
        (node,) = until(
            lambda: [node for node in nodes_of(callback, uid) if node.metadata["frames"]],
            lambda: callback("news", {"run_start": uid}),  # not silent until the worker is there
        )
        until(lambda: node.refresh().metadata["left"])
        known = node.metadata
        assert known["left"].startswith("no document of the run has come for 1 s")
        assert (known["claimed_by"], known["claim_expires"]) == ("", 0)
        assert (known["complete"], known["failed"]) == (False, "")
        assert "seconds_behind" not in known
        feed(made[14:], writer, callback)
        assert callback.wait(WAIT)
        the_complete_node(callback, uid, stack)
        assert (callback.status().failed, callback.status().restarts) == (0, 0)


def resident(pid):
    """Memory of a process, MB."""
    line = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(line[1]) / 1000


@pytest.mark.slow
def test_runs_that_never_stop_give_their_memory_back(server, settings, documents):
    limits = Limits(silent_seconds=1)
    settings = replace(
        settings, mask=False, portion=64
    )  # nothing is filled before 64 points are there
    frames = np.ones((64, 512, 512), np.uint16)
    angles = np.linspace(0, 1, 64)
    with InpaintCallback(*server.beamline(), settings=settings, limits=limits) as callback:

        def silent_runs(number):
            for _ in range(number):
                made = documents(frames, angles)
                uid = feed(made[:18], callback)
                until(
                    lambda uid=uid: any(r.uid == uid and r.frames for r in callback.status().runs),
                    lambda uid=uid: callback("news", {"run_start": uid}),
                )
            until(lambda: {run.state for run in callback.status().runs} == {"left"})
            until(lambda: not callback._run_table.with_worker())
            return resident(callback.status().worker)

        before = silent_runs(1)
        assert silent_runs(12) < before + 40  # they had 100 MB of frames
