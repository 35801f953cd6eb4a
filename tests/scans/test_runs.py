"""A run goes through a RunEngine and TiledWriter to a real Tiled server, and comes back a scan."""

from __future__ import annotations

import os
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import event_model
import h5py
import hdf5plugin
import numpy as np
import pytest
import tiled.client.utils
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis
from tiled.structures.core import Spec

from bcdi_inpaint.scans import OutsideRootsError, ReadingOptions, from_documents, from_run
from bcdi_inpaint.testing.devices import AreaDetector, ArrayDetector, at_motor, in_order
from bcdi_inpaint.testing.stream_detector import StreamDetector
from tests.helpers.flying import fly


@pytest.fixture(params=["array in events", "resource and datum", "stream, step", "stream, fly"])
def plan(request, rock, stack):
    match request.param:
        case "array in events":
            return rock(request.getfixturevalue("array_detector"))
        case "resource and datum":
            return rock(request.getfixturevalue("area_detector"))
        case "stream, step":
            return rock(request.getfixturevalue("stream_detector"))
        case "stream, fly":
            return fly(request.getfixturevalue("flying_detector"), len(stack))


def assert_same(one, other):
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_array_equal(one.mask, other.mask)
    if one.angles is None:
        assert other.angles is None
    else:
        np.testing.assert_array_equal(one.angles, other.angles)


def test_every_flavour_gives_the_very_frames_and_angles(
    plan, record, stack, angles, detector_files
):
    recording = record(plan)
    scan = from_run(recording.run, mask=False)
    np.testing.assert_array_equal(scan.frames, stack)
    assert scan.frames.dtype == stack.dtype
    assert not scan.mask.any()
    if scan.metadata.plan_name == "fly":
        assert scan.angles is None
        assert scan.metadata.motor == ""
    else:
        np.testing.assert_array_equal(scan.angles, angles)
        assert scan.metadata.motor == "eta"
        assert scan.metadata.frames_expected == len(stack)
    assert scan.metadata.raw_uid == recording.run.start["uid"]
    assert scan.metadata.raw_path.endswith(f"/raw/{scan.metadata.raw_uid}")
    assert scan.metadata.exit_status == "success"
    assert scan.metadata.notes == ()
    replayed = from_documents(
        recording.replayed(), ReadingOptions(mask=False), file_roots=[detector_files]
    )
    assert_same(scan, replayed)


class TestSeveralFramesAPoint:
    def test_in_a_step_scan(self, area_detector, rock, record, stack, angles, detector_files):
        area_detector.cam.num_images.put(3)
        recording = record(rock(area_detector))

        def scan(rule):
            return from_run(recording.run, mask=False, frames_per_point=rule)

        with pytest.raises(ValueError, match="3 frames at each of 6 points; pass frames_per_point"):
            scan(None)
        with pytest.raises(ValueError, match="one of sum, mean, separate; got 'median'"):
            scan("median")
        np.testing.assert_array_equal(scan("sum").frames, 3 * stack)
        np.testing.assert_array_equal(scan("sum").angles, angles)
        np.testing.assert_array_equal(scan("mean").frames, stack)
        np.testing.assert_array_equal(scan("separate").frames, stack.repeat(3, axis=0))
        np.testing.assert_array_equal(scan("separate").angles, angles.repeat(3))
        assert scan("separate").metadata.frames_expected == 18
        choices = ReadingOptions(mask=False, frames_per_point="sum")
        replayed = from_documents(recording.replayed(), choices, file_roots=[detector_files])
        assert_same(scan("sum"), replayed)

    def test_in_a_fly_scan(self, flying_detector, record, stack):
        run = record(fly(flying_detector, 2, frames_per_point=3)).run
        scan = from_run(run, mask=False, frames_per_point="sum")
        np.testing.assert_array_equal(scan.frames, stack.reshape(2, 3, 20, 24).sum(axis=1))


def interrupted_scan(detector, motor, positions, *, then):
    """A step scan that does ``then`` after its points, instead of closing properly."""

    @bpp.stage_decorator([detector, motor])
    @bpp.run_decorator(
        md={
            "plan_name": "scan",
            "motors": [motor.name],
            "num_points": 6,
            "hints": {"dimensions": [(["eta"], "primary")]},
        }
    )
    def plan():
        for position in positions:
            yield from bps.checkpoint()
            yield from bps.mv(motor, position)
            yield from bps.trigger_and_read([detector, motor])
        yield from then()

    return plan()


class TestAborted:
    @pytest.fixture
    def exposure_too_many(self, beam_lost):
        """What makes a file longer than the catalogue: an exposure without an Event."""

        def of(detector):
            def then():
                yield from bps.trigger(detector, wait=True)
                raise beam_lost

            return then

        return of

    def test_what_is_there_is_used(self, array_detector, motor, angles, stack, record, beam_lost):
        def then():
            raise beam_lost("the beam went away")
            yield  # type: ignore[unreachable]

        recording = record(interrupted_scan(array_detector, motor, angles[:4], then=then))
        scan = from_run(recording.run, mask=False)
        np.testing.assert_array_equal(scan.frames, stack[:4])
        np.testing.assert_array_equal(scan.angles, angles[:4])
        assert scan.metadata.exit_status == "fail"
        assert scan.metadata.frames_expected == 6
        assert scan.metadata.notes == (
            "the run ended with 'fail' (the beam went away) and 4 of 6 points",
        )

    def test_file_ahead_of_the_catalogue(
        self,
        area_detector,
        motor,
        angles,
        stack,
        record,
        exposure_too_many,
        detector_files,
        tmp_path,
    ):
        """Tiled answers 422 to any read of such a file, for ever."""
        plan = interrupted_scan(
            area_detector, motor, angles[:4], then=exposure_too_many(area_detector)
        )
        run = record(plan).run
        for elsewhere in ([], [tmp_path / "elsewhere"]):
            with pytest.raises(OutsideRootsError, match="not below an allowed folder"):
                from_run(run, mask=False, file_roots=elsewhere)
        scan = from_run(run, mask=False, file_roots=[detector_files])
        np.testing.assert_array_equal(scan.frames, stack[:4])
        np.testing.assert_array_equal(scan.angles, angles[:4])
        assert any("read from the file" in note and "422" in note for note in scan.metadata.notes)

    def test_file_ahead_of_the_catalogue_with_several_frames_a_point(
        self, area_detector, motor, angles, stack, record, exposure_too_many, detector_files
    ):
        area_detector.cam.num_images.put(2)
        plan = interrupted_scan(
            area_detector, motor, angles[:4], then=exposure_too_many(area_detector)
        )
        run = record(plan).run
        scan = from_run(run, mask=False, frames_per_point="sum", file_roots=[detector_files])
        np.testing.assert_array_equal(scan.frames, 2 * stack[:4])


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_a_file_is_not_shown_to_tiled(
    area_detector, rock, record, detector_files
):
    """It would wait for somebody who writes into it, and the whole server with it."""
    run = record(rock(area_detector)).run
    (path,) = detector_files.glob("*.h5")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=rf"^\S*/{path.name} is not a regular file$"):
        from_run(run, mask=False, file_roots=[detector_files])


class TestRepeatedPoint:
    """After a pause the RunEngine repeats what came since the last checkpoint."""

    @staticmethod
    def added(exposure, stack):
        rng = np.random.default_rng(exposure)
        return rng.poisson(1000 * exposure, stack.shape[1:]).astype(np.uint32)

    @pytest.fixture(params=["array in events", "resource and datum", "stream"])
    def detector(self, request, stack, angles, motor, open_detector):
        """Adds some 1000 counts more with each exposure, to tell repeated ones apart."""
        at_angle = at_motor(stack, angles, motor)

        def expose(exposure):
            return at_angle(exposure) + self.added(exposure, stack)

        match request.param:
            case "array in events":
                return ArrayDetector(expose, name="det")
            case "resource and datum":
                return open_detector(AreaDetector, expose, "det")
            case "stream":
                return open_detector(StreamDetector, expose, "det")

    def test_the_last_one_counts(self, detector, motor, angles, stack, record, detector_files):
        saved = []

        def msg_and_pause(msg):
            yield msg
            yield from bps.pause()

        def pause_after_third(msg):
            if msg.command != "save":
                return None, None
            saved.append(msg)
            if len(saved) == 3:
                return msg_and_pause(msg), None
            return None, None

        plan = interrupted_scan(detector, motor, angles, then=bps.null)
        recording = record(bpp.plan_mutator(plan, pause_after_third))
        numbers = [doc["seq_num"] for name, doc in recording.documents if name == "event"]
        assert numbers == [1, 2, 3, 3, 4, 5, 6]
        scan = from_run(recording.run, mask=False)
        added = [self.added(exposure, stack) for exposure in (0, 1, 3, 4, 5, 6)]
        np.testing.assert_array_equal(scan.frames, stack + added)
        np.testing.assert_array_equal(scan.angles, angles)
        assert scan.metadata.notes == ("of 1 repeated point the last reading counts",)
        replayed = from_documents(
            recording.replayed(), ReadingOptions(mask=False), file_roots=[detector_files]
        )
        assert_same(scan, replayed)


class TestClients:
    @pytest.fixture
    def _switched_back(self, raw):
        clients = raw.structure_clients
        version_3 = clients["BlueskyRun"]
        yield
        clients.set("BlueskyRun", lambda: version_3)

    @pytest.mark.usefixtures("_switched_back")
    @pytest.mark.slow
    def test_a_client_that_was_switched_to_version_2(
        self, array_detector, rock, record, raw, stack
    ):
        """Touching ``.v2`` once changes what ``raw[uid]`` gives in this process."""
        run = record(rock(array_detector)).run
        assert run.v2["primary"]["data"]
        switched = raw[run.start["uid"]]
        assert type(switched).__name__ == "BlueskyRunV2SQL"
        for client in (run, switched, run.v2, run.base):
            np.testing.assert_array_equal(from_run(client, mask=False).frames, stack)

    @pytest.mark.slow
    def test_the_layout_with_a_streams_container(self, raw, array_detector, rock, record, stack):
        """bluesky-tiled-plugins put the streams one level deeper until 2025."""
        run = record(rock(array_detector)).run
        old = raw.base if hasattr(raw, "base") else raw
        copy = old.create_container("old", metadata=dict(run.metadata))
        streams = copy.create_container("streams")
        primary = run.base["primary"].base
        stream = streams.create_container(
            "primary", metadata=dict(primary.metadata), specs=list(primary.specs)
        )
        stream.base.write_array(primary["det"].read(), key="det")
        stream.base.write_table(primary["internal"].read(), key="internal")
        scan = from_run(copy, mask=False)
        np.testing.assert_array_equal(scan.frames, stack)
        assert scan.metadata.motor == "eta"


class TestChoosing:
    def test_among_several_detectors(self, array_detector, stack, rock, record):
        other = ArrayDetector(in_order(stack[:, :8]), name="camera")
        run = record(rock(array_detector, other)).run
        with pytest.raises(ValueError, match=r"set data_key to one of: (camera, det|det, camera)"):
            from_run(run, mask=False)
        assert from_run(run, data_key="camera", mask=False).frames.shape == (6, 8, 24)
        with pytest.raises(ValueError, match="no frames under 'eiger'; there are: "):
            from_run(run, data_key="eiger", mask=False)

    def test_no_frames_at_all(self, motor, record):
        run = record(bp.scan([], motor, 0, 1, 3)).run
        with pytest.raises(ValueError, match="the run has no frames"):
            from_run(run)

    def test_motor_by_name(self, array_detector, rock, record, angles):
        run = record(rock(array_detector)).run
        assert from_run(run, mask=False, motor="eta_setpoint").metadata.motor == "eta_setpoint"
        with pytest.raises(ValueError, match=r"no column 'phi' for the motor; there are: .*eta"):
            from_run(run, mask=False, motor="phi")


class TestRefusals:
    def test_frames_that_take_too_much_memory(self, array_detector, rock, record, stack):
        run = record(rock(array_detector)).run
        with pytest.raises(ValueError, match=r"6 x 20 x 24 of uint32, take .* GiB, more than"):
            from_run(run, mask=False, largest_stack=stack.nbytes - 1)
        assert from_run(run, mask=False, largest_stack=stack.nbytes).frames.shape == stack.shape

    def test_a_run_of_an_old_catalogue(self, raw):
        node = getattr(raw, "base", raw).create_container(
            "old", specs=[Spec("BlueskyRun", version="1")]
        )
        with pytest.raises(ValueError, match=r"version 1.*scans\.databroker\.from_databroker"):
            from_run(node)


class TestUnservable:
    @pytest.fixture(autouse=True)
    def _no_patience(self, monkeypatch):
        monkeypatch.setattr(tiled.client.utils, "TILED_RETRY_ATTEMPTS", 1)

    def test_file_is_gone(self, area_detector, rock, record, detector_files):
        run = record(rock(area_detector)).run
        (path,) = detector_files.glob("*.h5")
        path.unlink()
        with pytest.raises(OSError, match=f"Tiled can't serve the frames.*{path.name}"):
            from_run(run, mask=False, file_roots=[detector_files])

    def test_file_was_cut_short(self, area_detector, rock, record, detector_files, stack, angles):
        run = record(rock(area_detector)).run
        (path,) = detector_files.glob("*.h5")
        with h5py.File(path, "a", libver="latest") as file:
            file["entry/data/data"].resize(4, axis=0)
        scan = from_run(run, mask=False, file_roots=[detector_files])
        np.testing.assert_array_equal(scan.frames, stack[:4])
        np.testing.assert_array_equal(scan.angles, angles[:4])
        assert "the file has 4 of 6 points" in scan.metadata.notes
        assert "2 points without a frame left out" in scan.metadata.notes


class TestMotors:
    def test_reading_nan(self, array_detector, stack, record):
        broken = SynAxis(name="eta", readback_func=lambda x: np.nan if x > 1 else x)
        run = record(bp.scan([array_detector], broken, 0, 3, 4)).run
        scan = from_run(run, mask=False)
        np.testing.assert_array_equal(scan.angles, [0, 1, np.nan, np.nan])
        assert scan.metadata.notes == ("the rocking motor has no reading at 2 points",)

    def test_reading_nothing_but_nan(self, array_detector, record):
        broken = SynAxis(name="eta", readback_func=lambda x: np.nan)
        scan = from_run(record(bp.scan([array_detector], broken, 0, 3, 4)).run, mask=False)
        assert scan.angles is None
        assert scan.metadata.motor == ""
        assert scan.metadata.notes == ("the rocking motor has no reading at all",)

    def test_that_nobody_named(self, array_detector, motor, angles, record):
        @bpp.run_decorator(md={"plan_name": "by hand"})
        def plan():
            for position in angles:
                yield from bps.mv(motor, position)
                yield from bps.trigger_and_read([array_detector, motor])

        scan = from_run(record(plan()).run, mask=False)
        np.testing.assert_array_equal(scan.angles, angles)
        assert scan.metadata.motor == "eta"

    def test_in_radians(self, array_detector, angles, record):
        motor = SynAxis(name="eta", egu="rad")
        motor.readback.describe = lambda: {
            "eta": {"source": "", "dtype": "number", "shape": [], "units": "rad"}
        }
        scan = from_run(record(bp.scan([array_detector], motor, 0, np.pi, 5)).run, mask=False)
        np.testing.assert_allclose(scan.angles, [0, 45, 90, 135, 180])

    def test_in_a_stream_of_its_own(self, flying_detector, motor, angles, record, stack):
        """As when a fly scan's positions are read out afterwards."""

        def read_positions(msg):
            if msg.command != "close_run":
                return None, None

            def positions():
                for position in angles:
                    yield from bps.mv(motor, position)
                    yield from bps.trigger_and_read([motor], name="positions")
                return (yield msg)

            return positions(), None

        plan = fly(flying_detector, len(stack), md={"motors": ["eta"]})
        scan = from_run(record(bpp.plan_mutator(plan, read_positions)).run, mask=False)
        np.testing.assert_array_equal(scan.frames, stack)
        np.testing.assert_array_equal(scan.angles, angles)


class TestFilesOfOtherWriters:
    """Documents as beamlines' devices make them, files as their writers leave them."""

    def written(self, raw, documents):
        writer = TiledWriter(raw)
        for name, document in documents:
            writer(name, document)
        return raw[documents[0][1]["uid"]]

    def documents(self, folder, keys, n_points):
        """A fly scan whose data keys are datasets of files in the same folder."""
        run = event_model.compose_run(metadata={"plan_name": "fly", "motors": ["eta"]})
        data_keys = {
            key: {"source": "", "external": "STREAM:", "dtype": "array", **data_key}
            for key, (_, _, data_key) in keys.items()
        }
        stream = run.compose_descriptor(name="primary", data_keys=data_keys)
        documents: list[tuple[str, Any]]
        documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
        for key, (file, dataset, _) in keys.items():
            resource = run.compose_stream_resource(
                mimetype="application/x-hdf5",
                uri=f"file://localhost{folder / file}",
                data_key=key,
                parameters={"dataset": dataset, "chunk_shape": (1,)},
            )
            datum = resource.compose_stream_datum(
                indices={"start": 0, "stop": n_points},
                seq_nums={"start": 1, "stop": n_points + 1},
                descriptor=stream.descriptor_doc,
            )
            documents += [
                ("stream_resource", resource.stream_resource_doc),
                ("stream_datum", datum),
            ]
        return [*documents, ("stop", run.compose_stop())]

    @pytest.fixture(autouse=True)
    def _eigers_files(self, detector_files, stack):
        """An external link to compressed frames."""
        data, master = "eiger_1_data_000001.h5", "eiger_1_master.h5"
        with h5py.File(detector_files / data, "w") as file:
            file.create_dataset(
                "entry/data/data", data=stack, chunks=(1, 20, 24), **hdf5plugin.Bitshuffle()
            )
        with h5py.File(detector_files / master, "w") as file:
            file["entry/data/data_000001"] = h5py.ExternalLink(data, "entry/data/data")

    IMAGE = (
        "eiger_1_master.h5",
        "/entry/data/data_000001",
        {"dtype_numpy": "<u4", "shape": [1, 20, 24]},
    )
    MOTOR = ("panda.h5", "/eta", {"dtype_numpy": "<f8", "shape": [1]})

    def test_master_file_of_an_eiger(self, raw, stack, detector_files):
        documents = self.documents(detector_files, {"eiger2-1": self.IMAGE}, 6)
        scan = from_run(self.written(raw, documents), mask=False)
        np.testing.assert_array_equal(scan.frames, stack)

    def test_master_file_that_tiled_can_not_serve(self, raw, stack, detector_files):
        documents = self.documents(detector_files, {"eiger2-1": self.IMAGE}, 4)
        scan = from_run(self.written(raw, documents), mask=False, file_roots=[detector_files])
        np.testing.assert_array_equal(scan.frames, stack[:4])

    def test_motor_that_a_writer_recorded(self, raw, stack, angles, detector_files, monkeypatch):
        """As a PandA does in a fly scan; without its file, the frames are still there."""
        path = detector_files / "panda.h5"
        with h5py.File(path, "w") as file:
            file["eta"] = angles
        keys = {"eiger2-1": self.IMAGE, "eta": self.MOTOR}
        run = self.written(raw, self.documents(detector_files, keys, 6))
        scan = from_run(run, mask=False)
        np.testing.assert_array_equal(scan.frames, stack)
        np.testing.assert_array_equal(scan.angles, angles)
        assert scan.metadata.motor == "eta"
        path.unlink()
        monkeypatch.setattr(tiled.client.utils, "TILED_RETRY_ATTEMPTS", 1)
        scan = from_run(run, mask=False)
        np.testing.assert_array_equal(scan.frames, stack)
        assert scan.angles is None
