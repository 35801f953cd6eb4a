"""A run that grows gives the same as the finished one."""

from __future__ import annotations

import gc
import os
import tracemalloc
import weakref
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run

from bcdi_inpaint import inpaint
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.weights import save_model
from bcdi_inpaint.lab.simulate import simulate_scan
from bcdi_inpaint.live import AroundPeak, Settings
from bcdi_inpaint.live.errors import CannotFollowError
from bcdi_inpaint.live.worker import filled_windows
from bcdi_inpaint.live.worker.frames import Collector
from bcdi_inpaint.live.worker.live_run import LiveRun
from bcdi_inpaint.live.worker.pipeline import Catalogs, fill_finished, fill_whole, read_finished
from bcdi_inpaint.testing.devices import AreaDetector, at_motor


@pytest.fixture
def catalogs(places):
    return Catalogs(*places)


@pytest.fixture
def settings(gap):
    return Settings(method="linear", mask=gap, portion=4, margin=2, final_seconds=0)


class Measured:
    """A run that is fed document by document, and worked on in between."""

    def __init__(self, catalogs, settings, documents, after_each=lambda: None):
        self.catalogs = catalogs
        self.progress = []
        self.uid = documents[0][1]["uid"]
        self.run = LiveRun(catalogs, self.uid, settings, self.progress.append)
        self.writer = TiledWriter(catalogs.raw)
        for name, doc in documents:
            self.writer(name, doc)
            self.run.take(name, doc)
            if name == "event":
                while self.run.advance():
                    pass
                after_each()


def pcc(a, b):
    return np.corrcoef(np.log1p(a).ravel(), np.log1p(b).ravel())[0, 1]


@pytest.mark.slow
def test_windows_of_a_local_method_make_up_the_offline_result(
    catalogs, settings, documents, stack, angles, gap
):
    settings = replace(settings, method="biharmonic", options={"self_check": False})
    node = Measured(catalogs, settings, documents(stack, angles)).run.finish()
    assert "in 3 windows while it was measured" in node.metadata["notes"]
    offline = inpaint(stack, gap, "biharmonic", self_check=False)
    np.testing.assert_array_equal(node["intensity"].read(), offline.intensity)
    np.testing.assert_array_equal(node["mask"].read(), offline.mask)
    assert node.metadata["voxels_missing"] == offline.report.voxels_missing


@pytest.mark.parametrize("method", ["kriging", "patching"])
def test_windows_come_close_to_the_offline_result(
    catalogs, settings, documents, stack, angles, gap, method
):
    settings = replace(settings, method=method, portion=8, margin=8)
    node = Measured(catalogs, settings, documents(stack, angles)).run.finish()
    offline = inpaint(stack, gap, method).intensity
    live = node["intensity"].read()
    np.testing.assert_array_equal(live[:, ~gap], offline[:, ~gap])
    assert pcc(live[:, gap], offline[:, gap]) > 0.99
    # Where single voxels hold most of the counts, what a window lacks shows.
    assert live[:, gap].sum() == pytest.approx(offline[:, gap].sum(), rel=0.15)
    assert node.metadata["self_check_verdict"]


@pytest.mark.slow
def test_where_the_network_loses_at_the_peak_kriging_fills_every_window(
    catalogs, settings, documents, stack, angles, tmp_path
):
    torch.manual_seed(1)
    network = PatchingNetwork((8, 8))
    torch.nn.init.normal_(network.head.weight, std=6.0)
    save_model(network, tmp_path / "bad.safetensors", {})
    options = {"model": str(tmp_path / "bad.safetensors")}
    bad, kriging = (
        Measured(catalogs, how, documents(stack, angles)).run.finish()
        for how in (
            replace(settings, method="patching", options=options),
            replace(settings, method="kriging"),
        )
    )
    assert bad.metadata["self_check_verdict"] == "kriging used instead"
    assert bad.metadata["notes"].count("kriging used instead") == 1
    np.testing.assert_array_equal(bad["intensity"].read(), kriging["intensity"].read())


@pytest.mark.slow
def test_with_time_enough_the_result_is_the_offline_one(
    catalogs, settings, documents, stack, angles, gap
):
    settings = replace(settings, method="kriging", final_seconds=np.inf)
    node = Measured(catalogs, settings, documents(stack, angles)).run.finish()
    offline = inpaint(stack, gap, "kriging")
    np.testing.assert_array_equal(node["intensity"].read(), offline.intensity)
    np.testing.assert_array_equal(node["sigma"].read(), offline.sigma)


@pytest.mark.slow
def test_windows_are_filled_as_soon_as_their_frames_are_there(
    catalogs, settings, documents, stack, angles
):
    seen = []

    def look():
        seen.append([node.metadata["complete"] for node in catalogs.processed.values()])

    measured = Measured(catalogs, settings, documents(stack, angles), after_each=look)
    filled = {news.frames: news.filled for news in measured.progress}
    assert filled == {n: 0 if n < 10 else 8 if n < 18 else 16 for n in range(1, 20)} | {20: 20}
    assert seen == [[False]] * 20


@pytest.mark.slow
def test_the_region_around_the_peak_is_the_same_live_and_later(
    catalogs, settings, documents, stack, angles, gap
):
    settings = replace(settings, region=AroundPeak(9, 13))
    measured = Measured(catalogs, settings, documents(stack, angles))
    node = measured.run.finish()
    later = read_finished(catalogs, measured.uid, settings)
    (row0, row1), (col0, col1) = node.metadata["roi"]
    assert (row1 - row0, col1 - col0) == (9, 13)
    assert later.metadata.roi == ((row0, row1), (col0, col1))
    np.testing.assert_array_equal(
        node["intensity"].read()[:, ~gap[row0:row1, col0:col1]],
        stack[:, row0:row1, col0:col1][:, ~gap[row0:row1, col0:col1]],
    )
    assert row0 <= 12 < row1
    assert col0 <= 16 < col1


def test_a_given_region_must_be_within_the_frames(catalogs, settings, documents, stack, angles):
    settings = replace(settings, region=((0, 24), (20, 40)))
    with pytest.raises(ValueError, match="cols 20:40 are not within frames of 32 cols"):
        Measured(catalogs, settings, documents(stack, angles))


@pytest.mark.slow
def test_a_point_that_is_taken_again_replaces_what_was_made_of_it(
    catalogs, settings, documents, stack, angles, gap
):
    start, descriptor, *events, stop = documents(stack, angles)
    wrong = {**events[2][1], "uid": "wrong", "data": {"det": stack[2] + 9, "eta": angles[2]}}
    repeated = [*events[:2], ("event", wrong), *events[3:9], events[2], *events[9:]]
    node = Measured(catalogs, settings, [start, descriptor, *repeated, stop]).run.finish()
    np.testing.assert_array_equal(node["intensity"].read()[:, ~gap], stack[:, ~gap])


@pytest.mark.slow
def test_the_number_of_points_may_be_unknown_or_wrong(
    catalogs, settings, documents, stack, angles, gap
):
    for announced in (None, 13, 40):
        run = documents(stack, angles, num_points=announced)
        node = Measured(catalogs, settings, run).run.finish()
        assert node.metadata["frames"] == len(stack)
        np.testing.assert_array_equal(node["intensity"].read()[:, ~gap], stack[:, ~gap])


@pytest.mark.slow
def test_several_frames_a_point(catalogs, settings, documents, stack, angles, gap):
    pairs = np.stack([stack, stack[::-1]], axis=1)
    for rule, frames in (("sum", pairs.sum(axis=1)), ("separate", pairs.reshape(40, 24, 32))):
        settings = replace(settings, frames_per_point=rule)
        node = Measured(catalogs, settings, documents(pairs, angles)).run.finish()
        np.testing.assert_array_equal(node["intensity"].read()[:, ~gap], frames[:, ~gap])


@pytest.mark.slow
def test_live_and_later_metadata_agree(catalogs, settings, documents, stack, angles):
    settings = replace(settings, final_seconds=np.inf)
    measured = Measured(catalogs, settings, documents(stack, angles, sample_name="Pt"))
    live = dict(measured.run.finish().metadata)
    later = fill_finished(catalogs, measured.uid, settings, again=True)
    changing = {"attempt", "claim_expires", "created", "finished", "seconds"}
    differing = {k for k in live if live[k] != later.metadata.get(k)} - changing
    assert not differing
    assert catalogs.complete_node(measured.uid, settings).uri == later.uri


def test_frames_of_another_dtype_are_never_cut_to_the_first_one(settings):
    """Only files can hold them; what comes in Events is brought to the declared dtype before."""
    collector = Collector(settings)
    collector._put(1, np.ones((2, 1, 4, 5), np.uint16))
    collector._put(3, np.ones((1, 1, 4, 5), np.uint8))
    with pytest.raises(CannotFollowError, match="frames of uint32 came after some of uint16"):
        collector._put(4, np.full((1, 1, 4, 5), 70_000, np.uint32))


class TestPointsThatCanNotBe:
    @pytest.fixture
    def run(self):
        """A collector that has seen the beginning of a run."""

        def begun(**start):
            run = compose_run(metadata=start)
            image = {"source": "", "dtype": "array", "dtype_numpy": "|u1", "shape": [2, 2]}
            stream = run.compose_descriptor(name="primary", data_keys={"det": image})
            collector = Collector(Settings(method="linear"))
            collector.take("start", run.start_doc)
            collector.take("descriptor", stream.descriptor_doc)
            return collector, stream

        return begun

    def event(self, stream, seq_num):
        frame = np.ones((2, 2), np.uint8)
        return stream.compose_event(data={"det": frame}, timestamps={"det": 0}, seq_num=seq_num)

    def test_numbered_beyond_any_scan(self, run):
        collector, stream = run()
        tracemalloc.start()
        with pytest.raises(
            CannotFollowError, match=r"^a scan has at most 1000000 points, not 2000000$"
        ):
            collector.take("event", self.event(stream, 2_000_000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**20

    def test_as_many_as_no_scan_has(self, run):
        collector, stream = run(num_points=2_000_000)
        collector.take("event", self.event(stream, 1))
        with pytest.raises(CannotFollowError, match="at most 1000000 points"):
            collector.look()

    def test_numbered_from_zero(self, run):
        collector, stream = run()
        collector.take("event", self.event(stream, 0))
        with pytest.raises(CannotFollowError, match="count from 1, and frames came of point 0"):
            collector.look()

    def test_as_many_as_there_is_room_for(self, settings):
        frames = np.ones((1, 1, 4, 5), np.uint16)
        collector = Collector(replace(settings, largest_stack=5 * frames.nbytes))
        for number in range(1, 6):
            collector._put(number, frames)
        assert collector.points == 5
        with pytest.raises(CannotFollowError, match="more than largest_stack allows"):
            collector._put(6, frames)


class TestFiles:
    @pytest.fixture
    def run(self, RE, detector_files, stack, angles, motor):
        documents = []
        RE.subscribe(lambda *document: documents.append(document))
        with AreaDetector(at_motor(stack, angles, motor), detector_files, name="det") as detector:
            RE(scan([detector], motor, angles[0], angles[-1], len(angles)))
        return documents

    def test_are_read_below_the_allowed_folders(self, settings, run, detector_files, stack):
        collector = Collector(replace(settings, file_roots=(detector_files,)))
        for document in run:
            collector.take(*document)
        assert collector.look()
        np.testing.assert_array_equal(collector.whole().frames, stack)

    def test_elsewhere_are_refused(self, settings, run, tmp_path):
        collector = Collector(replace(settings, file_roots=(tmp_path,)))
        for document in run:
            collector.take(*document)
        with pytest.raises(CannotFollowError, match="may not be read"):
            collector.look()

    @pytest.mark.timeout(60)
    def test_that_are_pipes_leave_the_run_to_tiled(self, settings, run, detector_files):
        collector = Collector(replace(settings, file_roots=(detector_files,)))
        (path,) = detector_files.glob("*.h5")
        path.unlink()
        os.mkfifo(path)
        for document in run:
            collector.take(*document)
        with pytest.raises(CannotFollowError, match=f"^{path} is not a regular file$"):
            collector.look()

    def test_that_would_take_too_much_memory_leave_the_run_to_tiled(
        self, settings, run, detector_files, stack
    ):
        bounded = replace(settings, file_roots=(detector_files,), largest_stack=stack[:-1].nbytes)
        collector = Collector(bounded)
        for document in run:
            collector.take(*document)
        with pytest.raises(CannotFollowError, match="more than largest_stack allows"):
            collector.look()

    def test_are_not_read_beyond_what_a_stack_may_have(
        self, settings, run, detector_files, monkeypatch
    ):
        read = []
        getitem = h5py.Dataset.__getitem__

        def counted(dataset, *args):
            got = getitem(dataset, *args)
            read.append(got.nbytes)
            return got

        monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
        collector = Collector(replace(settings, file_roots=(detector_files,), largest_stack=100))
        for document in run:
            collector.take(*document)
        with pytest.raises(CannotFollowError, match="more than largest_stack allows"):
            collector.look()
        assert not read

    def test_that_never_come_leave_the_run_to_tiled(self, settings, run, detector_files):
        collector = Collector(replace(settings, file_roots=(detector_files,)))
        (path,) = detector_files.glob("*.h5")
        path.unlink()
        for document in run:
            collector.take(*document)
        assert not collector.look(last=True)
        with pytest.raises(CannotFollowError, match="not all announced frames"):
            collector.whole()


@pytest.fixture
def without_cycles():
    """The collector of reference cycles is off; it may look at large objects late, too."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("stopped", [False, True], ids=["dropped", "finished"])
@pytest.mark.usefixtures("without_cycles")
@pytest.mark.slow
def test_a_run_that_is_over_gives_its_frames_back_at_once(
    catalogs, settings, documents, stack, angles, stopped
):
    run = Measured(catalogs, settings, documents(stack, angles)).run
    if stopped:
        run.finish()
    gone = weakref.ref(run)
    del run
    assert gone() is None


class TestTwins:
    """A frame's Friedel twins come after the peak: until then its fill is provisional."""

    @pytest.fixture
    def crystal(self):
        return simulate_scan(
            21, (64, 64, 64), split="evaluation", strain="smooth", strain_strength=0.25,
            peak_counts=3e5, oversampling=(4.0, 4.0, 4.5), peak_offset=(1.0, -2.0, -8.0),
            hot_pixels=0, dead_pixels=0, aliens=0, streaks=0,
        )  # fmt: skip

    @pytest.fixture
    def wide(self):
        mask = np.zeros((64, 64), bool)
        mask[:, 34:50] = True
        return mask

    @pytest.mark.slow
    def test_provisional_windows_become_final_and_come_close_to_offline(
        self, catalogs, settings, documents, crystal, wide
    ):
        settings = replace(settings, method="kriging", mask=wide, portion=8, margin=4)
        counts = np.where(wide, 0, crystal.counts).astype(np.int32)
        measured = Measured(catalogs, settings, documents(counts, crystal.angles))
        node = measured.run.finish()
        with_it, without = (inpaint(counts, wide, "kriging", twin=twin) for twin in (True, False))
        assert with_it.report.twin_share > 0.5
        live = node["intensity"].read()
        np.testing.assert_array_equal(live[:, ~wide], counts[:, ~wide])
        assert pcc(live[:, wide], with_it.intensity[:, wide]) > 0.99
        away = [
            1 - pcc(fill[:, wide], crystal.rate[:, wide])
            for fill in (live, with_it.intensity, without.intensity)
        ]
        assert away[0] < away[1] + 0.2 * (away[2] - away[1])
        assert node.metadata["twin_share"] == pytest.approx(with_it.report.twin_share, abs=0.1)
        assert node.metadata.get("frames_final") is None
        final = {news.frames: news.final for news in measured.progress}
        assert final[24] == 0
        assert 0 < final[52] < 48
        assert final[64] == 64

    @pytest.mark.slow
    def test_without_them_nothing_is_filled_twice(
        self, catalogs, settings, documents, crystal, wide
    ):
        settings = replace(
            settings, method="kriging", mask=wide, options={"twin": False}, portion=8, margin=4
        )
        counts = np.where(wide, 0, crystal.counts).astype(np.int32)
        measured = Measured(catalogs, settings, documents(counts, crystal.angles))
        node = measured.run.finish()
        assert node.metadata["twin_share"] == 0
        assert {news.final for news in measured.progress if news.frames > 48} >= {48}

    @pytest.mark.slow
    def test_kriging_in_the_networks_place_fills_each_window_once(
        self, catalogs, settings, documents, crystal, wide, tmp_path, monkeypatch
    ):
        torch.manual_seed(1)
        network = PatchingNetwork((8, 8))
        torch.nn.init.normal_(network.head.weight, std=6.0)
        save_model(network, tmp_path / "bad.safetensors", {})
        options = {"model": str(tmp_path / "bad.safetensors")}
        settings = replace(settings, mask=wide, portion=8, margin=4, method="patching")
        filled = []

        def spied(scan, *args, **kwargs):
            result = fill_whole(scan, *args, **kwargs)
            filled.append((scan.angles[0], result.report.method))
            return result

        monkeypatch.setattr(filled_windows, "fill_whole", spied)
        counts = np.where(wide, 0, crystal.counts).astype(np.int32)
        measured = Measured(
            catalogs, replace(settings, options=options), documents(counts, crystal.angles)
        )
        node = measured.run.finish()
        assert node.metadata["self_check_verdict"] == "kriging used instead"
        by_kriging = [first for first, method in filled if method == "kriging"]
        assert len(by_kriging) == len(set(by_kriging))
        assert {first for first, _ in filled} == set(by_kriging)
