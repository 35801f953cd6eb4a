"""What was filled live is compared with the raw run; a difference is repaired and said."""

from __future__ import annotations

import time
from dataclasses import replace

import httpx
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint import inpaint
from bcdi_inpaint.catalog import find
from bcdi_inpaint.live import InpaintCallback, Settings
from bcdi_inpaint.live.errors import NotThereYetError
from bcdi_inpaint.live.worker import comparison, live_run
from bcdi_inpaint.live.worker.comparison import Agreement, Comparison, checksums
from bcdi_inpaint.live.worker.live_run import LiveRun
from bcdi_inpaint.live.worker.pipeline import Catalogs
from bcdi_inpaint.scans import RockingScan
from tests.helpers.scans import feed
from tests.helpers.waiting import WAIT, until

# Checksums.


@given(
    counts=st.lists(st.integers(0, 2**24), min_size=12, max_size=12),
    dtype=st.sampled_from(["u4", "i4", "u8", ">u4", "f4", "f8"]),
)
def test_equal_counts_have_equal_checksums_whatever_their_dtype(counts, dtype):
    frames = np.array(counts, "u4").reshape(3, 2, 2)
    mask = np.zeros((2, 2), bool)
    expected = checksums(frames, mask)
    np.testing.assert_array_equal(checksums(frames.astype(dtype), mask), expected)
    strided = np.repeat(frames, 2, axis=2)[..., ::2]
    np.testing.assert_array_equal(checksums(strided, np.zeros((3, 2, 2), bool)), expected)


@given(
    frame=st.integers(0, 2), row=st.integers(0, 3), col=st.integers(0, 4), change=st.integers(1, 9)
)
def test_the_frame_that_differs_is_found(frame, row, col, change):
    frames = np.ones((3, 4, 5), np.uint16)
    other = frames.copy()
    other[frame, row, col] += change
    mask = np.zeros((4, 5), bool)
    differs = checksums(frames, mask) != checksums(other, mask)
    assert np.flatnonzero(differs).tolist() == [frame]
    mask[row, col] = True
    np.testing.assert_array_equal(checksums(frames, mask), checksums(other, mask))
    assert (checksums(frames, mask) != checksums(frames, np.zeros((4, 5), bool))).all()


# The state machine, without Tiled.


class Raw:
    """Stands in for `read_finished`: gives what it is set to, or raises it."""

    def __init__(self, monkeypatch):
        self.answer = None
        self.asked = 0
        monkeypatch.setattr(comparison, "read_finished", self)
        monkeypatch.setattr(comparison, "FIRST_PAUSE", 0.01)
        monkeypatch.setattr(comparison, "LONGEST_PAUSE", 0.02)

    def __call__(self, catalogs, uid, settings):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return RockingScan(self.answer, np.zeros((4, 5), bool))


@pytest.fixture
def raw_run(monkeypatch):
    return Raw(monkeypatch)


@pytest.fixture
def filled():
    frames = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    return inpaint(frames, np.zeros((4, 5), bool), "nearest")


def compared(filled):
    comparing = Comparison(None, "uid", Settings())
    comparing.expect(filled)
    return comparing


def outcome(comparing):
    verdicts: list[Agreement] = []
    until(lambda: verdicts.append(comparing.look(0.01)) or verdicts[-1] is not Agreement.PENDING)
    return verdicts[-1]


def test_the_same(raw_run, filled):
    raw_run.answer = np.arange(60.0).reshape(3, 4, 5)
    comparing = compared(filled)
    assert outcome(comparing) is Agreement.SAME
    assert not comparing.note


def test_other_counts(raw_run, filled):
    raw_run.answer = np.arange(60).reshape(3, 4, 5)
    raw_run.answer[1:, 2, 2] = 0
    comparing = compared(filled)
    assert outcome(comparing) is Agreement.DIFFERENT
    assert comparing.note.startswith(
        "2 of 3 frames that came live differ from the raw run, the first is 1"
    )


def test_another_number_of_frames(raw_run, filled):
    raw_run.answer = np.arange(80).reshape(4, 4, 5)
    comparing = compared(filled)
    assert outcome(comparing) is Agreement.DIFFERENT
    assert comparing.note.startswith("3 frames came live, the raw run has 4")


@pytest.mark.parametrize("trouble", [NotThereYetError("no stop"), httpx.ConnectError("away")])
def test_a_run_that_is_not_there_yet_is_looked_for_again(raw_run, filled, trouble):
    raw_run.answer = trouble
    comparing = compared(filled)
    while raw_run.asked < 4:
        assert comparing.look() is Agreement.PENDING
        time.sleep(0.005)
    raw_run.answer = np.arange(60).reshape(3, 4, 5)
    assert outcome(comparing) is Agreement.SAME


def test_a_run_that_never_comes_is_not_waited_for_without_end(raw_run, filled, monkeypatch, caplog):
    monkeypatch.setattr(comparison, "PATIENCE", 0.1)
    raw_run.answer = NotThereYetError("no stop")
    assert outcome(compared(filled)) is Agreement.IMPOSSIBLE
    assert "run uid is not compared with Tiled: NotThereYetError: no stop" in caplog.text


def test_a_run_without_such_frames_is_not_looked_for_again(raw_run, filled, caplog):
    raw_run.answer = ValueError("the run has no frames")
    assert outcome(compared(filled)) is Agreement.IMPOSSIBLE
    assert raw_run.asked == 1
    assert "the run has no frames" in caplog.text


# Runs in Tiled.


@pytest.fixture
def catalogs(places):
    raw, processed = places
    return Catalogs(raw, processed, owner="test")


@pytest.fixture
def settings(gap):
    return Settings(method="linear", mask=gap, portion=4, margin=2, final_seconds=0)


def changed(documents, frames):
    """The same documents with other counts in some frames."""
    for name, doc in documents:
        if name == "event" and doc["seq_num"] - 1 in frames:
            data = {**doc["data"], "det": doc["data"]["det"] + np.uint16(9)}
            yield name, {**doc, "data": data}
        else:
            yield name, doc


def measure(catalogs, settings, documents):
    run = LiveRun(catalogs, documents[0][1]["uid"], settings, lambda _: None)
    for name, doc in documents:
        run.take(name, doc)
        while name == "event" and run.advance():
            pass
    return run


@pytest.fixture
def patient(monkeypatch):
    """A node that waits for the comparison, however slow the machine is."""
    monkeypatch.setattr(live_run, "LONGER", 60.0)


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("final_seconds", [0, np.inf])
def test_frames_that_differ_are_taken_from_the_raw_run(
    catalogs, settings, documents, stack, angles, gap, caplog, final_seconds
):
    settings = replace(settings, final_seconds=final_seconds)
    there = documents(stack, angles)
    feed(there, TiledWriter(catalogs.raw))
    node = measure(catalogs, settings, list(changed(there, {3, 12}))).finish()
    note = "2 of 20 frames that came live differ from the raw run, the first is 3"
    assert note in node.metadata["notes"]
    assert note in caplog.text
    offline = inpaint(stack, gap, "linear")
    np.testing.assert_array_equal(node["intensity"].read(), offline.intensity)
    np.testing.assert_array_equal(node["mask"].read(), offline.mask)
    assert len(catalogs.processed) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_frames_that_were_lost_are_taken_from_the_raw_run(
    catalogs, settings, documents, stack, angles, gap
):
    there = documents(stack, angles)
    feed(there, TiledWriter(catalogs.raw))
    node = measure(catalogs, settings, [*there[:5], *there[6:]]).finish()
    assert "19 frames came live, the raw run has 20" in node.metadata["notes"]
    np.testing.assert_array_equal(node["intensity"].read()[:, ~gap], stack[:, ~gap])


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_the_same_frames_need_nothing(catalogs, settings, documents, stack, angles):
    there = documents(stack, angles)
    feed(there, TiledWriter(catalogs.raw))
    run = measure(catalogs, settings, there)
    assert "raw run" not in run.finish().metadata["notes"]
    assert run.comparison is None


@pytest.mark.slow
def test_a_node_does_not_wait_for_a_raw_run_that_is_written_later(
    catalogs, settings, documents, stack, angles
):
    there = documents(stack, angles)
    writer = TiledWriter(catalogs.raw)
    feed(there[:-1], writer)
    run = measure(catalogs, settings, list(changed(there, {3})))
    assert run.finish().metadata["complete"]
    assert run.comparison.look() is Agreement.PENDING
    feed(there[-1:], writer)
    assert outcome(run.comparison) is Agreement.DIFFERENT


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
def test_a_difference_is_repaired_by_the_worker(
    callback: InpaintCallback, settings, documents, stack, angles, gap, late
):
    callback.settings = settings
    there = documents(stack, angles)
    uid = there[0][1]["uid"]
    writer = TiledWriter(callback.raw)
    feed(there[:-1] if late else there, writer)
    feed(changed(there, {3}), callback)
    assert callback.wait(WAIT)
    if late:
        (wrong,) = find(callback.processed, uid)
        feed(there[-1:], writer)
        until(lambda: wrong.refresh().metadata["superseded_by"])
    (node,) = find(callback.processed, uid)
    assert node.metadata["complete"]
    assert "the first is 3: filled from the raw run" in node.metadata["notes"]
    np.testing.assert_array_equal(node["intensity"].read()[:, ~gap], stack[:, ~gap])
