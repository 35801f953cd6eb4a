"""Which values are flags is the same live, from Tiled and whatever is read at a time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.live import Settings
from bcdi_inpaint.live.worker.frames import Collector
from bcdi_inpaint.live.worker.live_run import LiveRun
from bcdi_inpaint.live.worker.pipeline import Catalogs, fill_finished

PLACES = ((1, 5, 6), (2, 11, 20), (9, 3, 3), (17, 20, 30))
"""In several windows of the scan, outside of the gap."""


@pytest.fixture
def settings(gap):
    """What is filled in windows while the run goes on stays."""
    return Settings(method="nearest", mask=gap, portion=4, margin=2, final_seconds=0)


def undeclared(documents):
    """As ``ophyd.sim.SynSignal`` describes its frames."""
    for name, doc in documents:
        if name == "descriptor":
            del doc["data_keys"]["det"]["dtype_numpy"]
    return documents


def as_lists(documents):
    """As documents are that went through JSON."""
    for name, doc in documents:
        if name == "event":
            doc["data"]["det"] = doc["data"]["det"].tolist()
    return documents


def measure(catalogs, settings, documents):
    run = LiveRun(catalogs, documents[0][1]["uid"], settings, lambda _: None)
    writer = TiledWriter(catalogs.raw)
    for name, doc in documents:
        writer(name, doc)
        run.take(name, doc)
        if name == "event":
            while run.advance():
                pass
    return run.finish()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "value", "change", "flag"),
    [
        ("<u2", 2**16 - 1, list, True),
        ("<u4", 2**16 - 1, list, False),
        ("<u4", 2**32 - 1, as_lists, True),
        ("<i4", 2**31 - 1, as_lists, True),
        # Tiled has float64 then, in which these are counts like others.
        ("<u2", 2**16 - 1, undeclared, False),
        ("<u4", 2**16 - 1, undeclared, False),
    ],
)
def test_live_agrees_with_the_finished_run(
    places, settings, documents, stack, angles, gap, dtype, value, change, flag
):
    catalogs = Catalogs(*places)
    frames = stack.astype(dtype)
    for place in PLACES:
        frames[place] = value
    node = measure(catalogs, settings, change(documents(frames, angles)))
    uid = node.metadata["raw_uid"]
    mask = np.broadcast_to(gap, frames.shape).copy()
    for place in PLACES:
        mask[place] |= flag
    np.testing.assert_array_equal(node["mask"].read(), mask)
    np.testing.assert_array_equal(node["intensity"].read()[~mask], frames[~mask])
    later = fill_finished(catalogs, uid, settings, again=True)
    np.testing.assert_array_equal(node["mask"].read(), later["mask"].read())
    np.testing.assert_array_equal(node["intensity"].read()[~mask], later["intensity"].read()[~mask])


@given(
    dtype=st.sampled_from(["<u2", "<u4", "<i4", "<u8", "<f4"]),
    held=st.dictionaries(
        st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 4)),
        st.sampled_from([2**16 - 1, 2**16, 2**31 - 1, 2**32 - 1]),
    ),
    bits=st.sampled_from([None, 16, 32]),
    cuts=st.sets(st.integers(1, 9)),
)
def test_a_window_has_the_flags_of_the_whole(documents, dtype, held, bits, cuts):
    frames = np.ones((10, 4, 5), dtype)
    largest = np.iinfo(dtype).max if dtype[1] != "f" else np.inf
    for place, value in held.items():
        frames[place] = min(value, largest)
    said = {} if bits is None else {"bit_depth_image": bits}
    collector = Collector(replace(Settings(), mask=False))
    for document in documents(frames, np.arange(10.0), **said):
        collector.take(*document)
        collector.look()
    whole = collector.whole()
    mask = np.broadcast_to(whole.mask, frames.shape)
    for start, stop in pairwise([0, *sorted(cuts), 10]):
        part = collector.part(start, stop)
        np.testing.assert_array_equal(
            np.broadcast_to(part.mask, part.frames.shape), mask[start:stop]
        )
        np.testing.assert_array_equal(part.frames, whole.frames[start:stop])
