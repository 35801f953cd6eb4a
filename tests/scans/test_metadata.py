"""What a scan's metadata say, from documents as beamlines write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bcdi_inpaint.scans import ReadingOptions
from bcdi_inpaint.scans.assembly import assemble
from bcdi_inpaint.scans.streams import PointFrames, RunRecord, Stream


def stream(columns=(), configuration=(), units=()):
    units = dict(units)
    columns = {key: np.atleast_1d(np.asarray(values)) for key, values in dict(columns).items()}
    data_keys: Any = {key: {"units": units[key]} if key in units else {} for key in columns}
    configured: Any = {
        name: {
            "data": {key: value for key, (value, _) in data.items()},
            "data_keys": {key: {"units": unit} for key, (_, unit) in data.items()},
        }
        for name, data in dict(configuration).items()
    }
    return Stream(data_keys, configured, columns)


def scan_of(start=(), *, primary=None, baseline=None, access_tags=(), shape=(8, 10), **choices):
    """A scan of three points with this start document and these streams."""
    streams = {"primary": primary or stream()}
    if baseline:
        streams["baseline"] = baseline
    run = RunRecord(dict(start), {"exit_status": "success"}, streams, access_tags=access_tags)
    points = PointFrames("primary", "det_image", np.ones((3, 1, *shape), dtype=np.uint16))
    return assemble(run, points, ReadingOptions(**{"mask": False, **choices}))


def metadata_of(*args, **kwargs):
    return scan_of(*args, **kwargs).metadata


class TestStartDocument:
    def test_its_names(self):
        known = metadata_of(
            {
                "uid": "abc",
                "scan_id": 7,
                "time": 1e9,
                "plan_name": "rel_scan",
                "num_points": 3,
                "sample": {"name": "Pt_a", "formula": "Pt"},
                "incident_energy": 9000,
                "distance": 0.5,
                "x_pixel_size": 55e-6,
                "y_pixel_size": 60e-6,
                "beam_center_x": 100.5,
                "beam_center_y": 12,
                "sample_angles": {"phi": -5},
                "detector_angles": {"delta": 32.174},
                "proposal": "2026-1",
                "plan_args": {"num": 3},
            },
            access_tags=("proposal-1",),
        )
        assert (known.raw_uid, known.scan_id, known.time) == ("abc", 7, 1e9)
        assert (known.sample, known.plan_name, known.frames_expected) == ("Pt_a", "rel_scan", 3)
        assert (known.energy, known.distance) == (9000.0, 0.5)
        assert known.pixel_size == (60e-6, 55e-6)
        assert known.direct_beam == (12, 100.5)
        assert known.sample_angles == {"phi": -5}
        assert known.detector_angles == {"delta": 32.174}
        assert known.access_tags == ("proposal-1",)
        assert known.extra == {"proposal": "2026-1"}
        assert known.notes == ()

    def test_nothing_known(self):
        known = metadata_of()
        assert known.energy is known.distance is known.pixel_size is known.direct_beam is None
        assert known.roi is None
        assert known.binning == (1, 1)
        assert known.sample == ""

    @pytest.mark.parametrize("value", [9.0, -1, "nine", None])
    def test_what_is_not_plausible_is_not_taken(self, value):
        known = metadata_of({"energy": value})
        assert known.energy is None
        assert known.notes == (f"energy = {value!r} is not taken: no plausible eV",)


class TestDevices:
    def test_units_are_heeded(self):
        known = metadata_of(
            primary=stream(
                configuration={
                    "det": {
                        "det_cam_photon_energy": (9.0, "keV"),
                        "det_cam_threshold_energy": (4500, "eV"),
                        "det_cam_detector_distance": (500, "mm"),
                        "det_cam_x_pixel_size": (55, "um"),
                        "det_cam_y_pixel_size": (55, "µm"),
                    }
                }
            )
        )
        assert (known.energy, known.distance) == (9000.0, 0.5)
        assert known.pixel_size == pytest.approx((55e-6, 55e-6))

    def test_energy_that_is_something_else(self):
        configuration = {"det": {"det_cam_threshold_energy": (4500, "eV")}}
        assert metadata_of(primary=stream(configuration=configuration)).energy is None

    def test_the_start_document_goes_first_and_the_baseline_last(self):
        configuration = {
            "mono": {"mono_energy": (8000, "eV")},
            "det": {"det_photon_energy": (9000, "eV")},
        }
        baseline = stream({"energy": [7.0, 7.1]}, units={"energy": "keV"})
        primary = stream(configuration=configuration)
        assert metadata_of({"energy": 1e4}, primary=primary, baseline=baseline).energy == 10000
        assert metadata_of(primary=primary, baseline=baseline).energy == 9000
        assert metadata_of(baseline=baseline).energy == 7000

    def test_circles_that_did_not_move(self):
        primary = stream({"seq_num": [1, 2, 3], "eta": [1.0, 2.0, 3.0], "mu": [0.0, 0.0, 0.0]})
        baseline = stream(
            {"diff_delta": [0.5, 0.5], "diff_nu": [12.0, 12.0], "diff_phi": [-5.0, -5.0],
             "diff_phi_setpoint": [-5.0, -5.0], "diff_z": [3.0, 3.0]},
            units={"diff_delta": "rad"},
        )  # fmt: skip
        known = metadata_of({"motors": ["eta"]}, primary=primary, baseline=baseline)
        assert known.motor == "eta"
        assert known.sample_angles == {"mu": 0.0, "diff_phi": -5.0}
        assert known.detector_angles == pytest.approx(
            {"diff_delta": np.rad2deg(0.5), "diff_nu": 12}
        )


class TestRegion:
    CAMERA = {  # noqa: RUF012
        "det_cam_min_x": (16, ""), "det_cam_size_size_x": (20, ""),
        "det_cam_min_y": (32, ""), "det_cam_size_size_y": (16, ""),
        "det_cam_max_size_max_size_x": (500, ""), "det_roi1_min_xyz_min_x": (3, ""),
        "det_cam_bin_x": (2, ""), "det_cam_bin_y": (2, ""),
    }  # fmt: skip

    def test_of_the_camera(self):
        known = metadata_of(primary=stream(configuration={"det": self.CAMERA}))
        assert known.binning == (2, 2)
        assert known.roi == ((32, 48), (16, 36))

    def test_of_the_camera_that_does_not_fit_the_frames(self):
        known = metadata_of(primary=stream(configuration={"det": self.CAMERA}), shape=(8, 11))
        assert known.roi is None

    def test_of_the_start_document(self):
        known = metadata_of({"roi": [[0, 16], [4, 24]], "binning": [2, 2]})
        assert (known.roi, known.binning) == (((0, 16), (4, 24)), (2, 2))

    def test_of_the_user(self):
        known = metadata_of({"roi": [[0, 8], [4, 14]]}, roi=((8, 16), (0, 10)))
        assert known.roi == ((8, 16), (0, 10))


class TestMotor:
    """Without a word in the start document, the column that moves is the motor."""

    def test_named_by_hints_or_motors(self):
        primary = stream({"seq_num": [1, 2, 3], "eta": [1.0, 2.0, 3.0], "th_readback": [3.0, 2, 1]})
        by_hints = {"hints": {"dimensions": [[["eta"], "primary"]]}, "motors": ["th"]}
        assert metadata_of(by_hints, primary=primary).motor == "eta"
        assert metadata_of({"motors": ["th"]}, primary=primary).motor == "th_readback"

    def test_in_degrees_among_several(self):
        columns = {"seq_num": [1, 2, 3], "time": [1.0, 2.0, 3.0], "frame_counter": [10, 11, 12],
                   "current": [401.0, 400.5, 400.1], "gon_ry": [0.1, 0.2, 0.3]}  # fmt: skip
        primary = stream(columns, units={"gon_ry": "deg", "current": "mA"})
        assert metadata_of({"plan_name": "count"}, primary=primary).motor == "gon_ry"

    def test_none_where_it_is_anybodys_guess(self):
        columns = {"seq_num": [1, 2, 3], "counter": [10, 11, 12], "ry": [0.1, 0.2, 0.3]}
        scan = scan_of(primary=stream(columns))
        assert scan.angles is None
        assert scan.metadata.motor == ""

    def test_none_that_moves(self):
        columns = {"seq_num": [1, 2, 3], "time": [1.0, 2.0, 3.0], "ry": [0.1, 0.1, 0.1]}
        dimensions = {"hints": {"dimensions": [[["time"], "primary"]]}}
        assert scan_of(dimensions, primary=stream(columns)).angles is None
