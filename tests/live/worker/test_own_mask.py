"""The mask in the detector's files: the same live and at catch-up, in the fill and in the node."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import h5py
import numpy as np
import pytest
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint.live import Settings
from bcdi_inpaint.live.worker.frames import Collector
from bcdi_inpaint.live.worker.live_run import LiveRun
from bcdi_inpaint.live.worker.pipeline import Catalogs, fill_finished
from bcdi_inpaint.testing.devices import at_motor
from bcdi_inpaint.testing.stream_detector import StreamDetector
from tests.helpers.dectris_files import DectrisWriter

DEAD = 2
OWN = np.zeros((24, 32), bool)
OWN[5, 6] = OWN[9, 3] = True


@pytest.fixture
def settings(gap, server) -> Settings:
    return Settings(
        method="linear", mask=gap, portion=4, margin=2, final_seconds=0, file_roots=(server.files,)
    )


@pytest.fixture
def detector(server, stack, angles, motor):
    writer = DectrisWriter((OWN * DEAD).astype(np.uint32))
    detector = StreamDetector(
        at_motor(stack, angles, motor), server.new_folder(), name="eiger", writer=writer
    )
    with closing(detector):
        yield detector


@pytest.fixture
def rock(RE, detector, motor, angles):
    def run(*subscribers) -> str:
        plan = scan([detector], motor, angles[0], angles[-1], len(angles))
        return RE(plan, list(subscribers)).run_start_uids[0]

    return run


@pytest.mark.slow
def test_live_and_at_catch_up_it_is_the_same(places, settings, rock, gap):
    catalogs = Catalogs(*places)
    live = None

    def follow(name, doc):
        nonlocal live
        if live is None:
            live = LiveRun(catalogs, doc["uid"], settings, lambda _: None)
        live.take(name, doc)
        while name != "stop" and live.advance():
            pass

    uid = rock(TiledWriter(places[0]), follow)
    node = live.finish()
    np.testing.assert_array_equal(node["mask"].read(), np.broadcast_to(gap | OWN, (20, 24, 32)))
    later = fill_finished(catalogs, uid, settings, again=True)
    for name in ("intensity", "mask"):
        np.testing.assert_array_equal(later[name].read(), node[name].read())
    for known in (node.metadata, later.metadata):
        assert (known["masked_user"], known["masked_file"], known["masked_file_dead"]) == (72, 2, 2)
        assert (
            "own mask entry/instrument/detector/pixel_mask marks 2 pixels (2 dead)"
            in known["scan_notes"]
        )


@pytest.mark.slow
def test_it_can_be_switched_off(places, settings, rock, gap):
    uid = rock(TiledWriter(places[0]))
    without = replace(settings, own_mask=False)
    node = fill_finished(Catalogs(*places), uid, without, again=False)
    np.testing.assert_array_equal(node["mask"].read()[0], gap)
    assert "masked_file" not in node.metadata


def test_a_mask_that_changes_until_the_end_has_all_points_filled_again(settings, rock):
    documents = []
    rock(lambda *document: documents.append(document))
    collector = Collector(settings)
    for name, doc in documents:
        collector.take(name, doc)
    collector.look()
    assert not collector.revised()
    collector.look(last=True)
    assert not collector.revised()
    (resource,) = [doc for name, doc in documents if name == "stream_resource"]
    with h5py.File(resource["uri"].removeprefix("file://localhost"), "a") as file:
        file["entry/instrument/detector/pixel_mask"][7, 7] = DEAD
    collector.look(last=True)
    assert collector.revised() == set(range(20))
    assert collector.whole().mask[7, 7]
