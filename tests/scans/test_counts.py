"""Frames that hold no counts are noticed, and are counts again once it is told what 1 is; the monitor is kept."""

from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.scans import ReadingOptions, from_file
from bcdi_inpaint.scans.assembly import assemble
from bcdi_inpaint.scans.streams import PointFrames, RunRecord, Stream

COUNTS = np.random.default_rng(3).poisson(4, (6, 40, 50)).astype(np.uint32)
NO_COUNTS = ("whole numbers", "neighbouring pixels")


def scan_of(frames, columns=None, start=(), **options):
    columns = {"seq_num": np.arange(1, len(frames) + 1), **(columns or {})}
    run = RunRecord(dict(start), {}, {"primary": Stream({}, {}, columns)})
    points = PointFrames("primary", "det", frames if frames.ndim == 4 else frames[:, None])
    return assemble(run, points, ReadingOptions(mask=False, **options))


def doubts(scan):
    return [note for note in scan.metadata.notes if any(words in note for words in NO_COUNTS)]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float32, np.float64])
def test_counts_raise_no_doubt_of_whatever_type(dtype):
    assert doubts(scan_of(COUNTS.astype(dtype))) == []


def test_a_sharp_pattern_is_no_reason_to_doubt():
    peak = np.zeros_like(COUNTS)
    peak[:, ::3, ::3] = 1_000
    assert doubts(scan_of(COUNTS + peak)) == []


def test_normalised_frames_are_noticed_and_the_unit_is_guessed():
    (note,) = doubts(scan_of(COUNTS / 250.0))
    assert "no whole numbers" in note
    assert "counts_per_unit" in note
    assert note.endswith("250)")


def test_frames_with_less_noise_than_photons_are_noticed():
    (note,) = doubts(scan_of(COUNTS // 3 + 10))
    assert "neighbouring pixels differ by" in note


def test_a_mean_of_several_frames_is_what_was_asked_for():
    several = COUNTS.reshape(2, 3, 40, 50)
    assert doubts(scan_of(several, frames_per_point="mean")) == []


def test_told_the_unit_frames_are_counts_again():
    scan = scan_of(COUNTS / 250.0, counts_per_unit=250.0)
    np.testing.assert_allclose(scan.frames, COUNTS, rtol=1e-12)
    assert doubts(scan) == []
    assert scan.metadata.counts_per_unit == 250
    with pytest.raises(ValueError, match="counts_per_unit must be a number above 0; got -1"):
        ReadingOptions(counts_per_unit=-1)


def test_from_a_file(tmp_path):
    np.save(tmp_path / "scan.npy", COUNTS / 4)
    scan = from_file(tmp_path / "scan.npy", mask=False, counts_per_unit=4)
    np.testing.assert_array_equal(scan.frames, COUNTS)


@pytest.mark.parametrize("name", ["i0", "hutch-i0", "sclr_ion_chamber", "monitor"])
def test_the_monitor_is_found_by_its_name(name):
    readings = np.linspace(1, 2, 6)
    scan = scan_of(COUNTS, {name: readings, "eta": np.arange(6.0)})
    np.testing.assert_array_equal(scan.monitor, readings)
    assert scan.metadata.monitor == name


def test_the_start_document_names_the_monitor():
    columns = {"i0": np.ones(6), "quadem_current2": np.arange(6.0)}
    scan = scan_of(COUNTS, columns, {"monitor": "quadem_current2"})
    np.testing.assert_array_equal(scan.monitor, np.arange(6.0))


def test_a_monitor_that_falls_all_the_time_is_no_motor():
    """As the current of a storage ring does between two injections."""
    falling = np.linspace(2, 1, 6)
    assert scan_of(COUNTS, {"i0": falling}).angles is None
    scan = scan_of(COUNTS, {"i0": falling, "eta": np.arange(6.0)})
    assert scan.metadata.motor == "eta"


def test_among_several_none_is_guessed():
    scan = scan_of(COUNTS, {"i0": np.ones(6), "ic0": np.ones(6)})
    assert scan.monitor is None
    assert scan.metadata.monitor == ""


def test_each_frame_of_a_point_has_its_reading():
    scan = scan_of(
        COUNTS.reshape(2, 3, 40, 50), {"i0": np.array([5.0, 7.0])}, frames_per_point="separate"
    )
    assert scan.monitor.tolist() == [5, 5, 5, 7, 7, 7]
