"""A scan's mask: gaps of its detector, the user's mask, and values that are no counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bcdi_inpaint import geometry
from bcdi_inpaint.scans import ReadingOptions, from_run
from bcdi_inpaint.scans.assembly import assemble
from bcdi_inpaint.scans.points import merge_frames, merge_marks
from bcdi_inpaint.scans.streams import PointFrames, RunRecord, Stream
from bcdi_inpaint.testing.devices import AreaDetector, at_motor

MAXIPIX = geometry.detector("maxipix_2x2").mask()


def scan_of(frames, start=(), configuration=(), **choices):
    cameras: Any = {"det": {"data": dict(configuration), "data_keys": {}}}
    run = RunRecord(dict(start), {}, {"primary": Stream({}, cameras, {})})
    points = PointFrames("primary", "det_image", frames[:, None])
    return assemble(run, points, ReadingOptions(**choices))


def counts(*shape):
    return np.ones((2, *shape), dtype=np.uint16)


class TestDetector:
    def test_named_by_its_camera(self, motor, angles, rock, record, open_detector):
        """From the device's configuration, through Tiled, to the mask."""
        stack = np.ones((6, 516, 516), dtype=np.uint16)
        expose = at_motor(stack, angles, motor)
        detector = open_detector(AreaDetector, expose, "det", model="maxipix_2x2")
        run = record(rock(detector)).run
        scan = from_run(run)
        np.testing.assert_array_equal(scan.mask, MAXIPIX)
        assert scan.metadata.detector == "maxipix_2x2"
        assert scan.metadata.pixel_size == (55e-6, 55e-6)
        assert scan.metadata.notes == ()

    def test_named_by_the_start_document(self):
        scan = scan_of(counts(516, 516), {"detector": "Maxipix 2x2"})
        np.testing.assert_array_equal(scan.mask, MAXIPIX)

    def test_named_by_the_driver_of_an_ophyd_async_device(self):
        scan = scan_of(counts(516, 516), configuration={"det-driver-model": "Maxipix 2x2"})
        np.testing.assert_array_equal(scan.mask, MAXIPIX)

    def test_named_by_the_user(self):
        scan = scan_of(counts(516, 516), {"detector": "eiger2_500k"}, detector="maxipix_2x2")
        np.testing.assert_array_equal(scan.mask, MAXIPIX)

    def test_told_by_the_shape_of_its_frames(self):
        known = geometry.detector("maxipix_5x1")
        scan = scan_of(counts(*known.shape))
        np.testing.assert_array_equal(scan.mask, known.mask())
        assert scan.metadata.detector == "maxipix_5x1"
        assert scan.metadata.notes[0] == (
            "took the detector for maxipix_5x1 by the shape of its frames"
        )

    def test_told_by_shape_and_maker(self):
        shape = geometry.detector("maxipix_2x2").shape
        with pytest.raises(ValueError, match="isn't known"):
            scan_of(counts(*shape))
        scan = scan_of(counts(*shape), configuration={"det_cam_manufacturer": "ESRF"})
        assert scan.metadata.detector == "maxipix_2x2"

    def test_frames_of_one_chip_may_be_a_part_of_something_larger(self):
        with pytest.raises(
            ValueError, match="may be a whole timepix_1, which has no gaps, or a part"
        ):
            scan_of(counts(256, 256))
        scan = scan_of(counts(256, 256), {"detector": "timepix_1"})
        assert not scan.mask.any()

    def test_several_have_such_frames(self):
        with pytest.raises(
            ValueError, match=r"isn't known: .*eiger2_.*Name it .*detector=.*mask=False"
        ):
            scan_of(counts(512, 1028))

    def test_nobody_has_such_frames(self):
        with pytest.raises(ValueError, match="isn't known: no known detector has a frame of 7 x 9"):
            scan_of(counts(7, 9))

    def test_its_region(self):
        roi = ((200, 400), (100, 300))
        scan = scan_of(counts(200, 200), detector="maxipix_2x2", roi=roi)
        np.testing.assert_array_equal(scan.mask, MAXIPIX[200:400, 100:300])
        assert scan.metadata.roi == roi

    def test_region_and_binning_of_the_start_document(self):
        start = {"detector": "maxipix_2x2", "roi": [[200, 400], [100, 300]], "binning": [2, 2]}
        scan = scan_of(counts(100, 100), start)
        expected = geometry.detector("maxipix_2x2").mask(
            roi=((200, 400), (100, 300)), binning=(2, 2)
        )
        np.testing.assert_array_equal(scan.mask, expected)

    def test_a_region_that_does_not_fit(self):
        with pytest.raises(ValueError, match="frames are 99 x 100, but those of maxipix_2x2"):
            scan_of(counts(99, 100), detector="maxipix_2x2")

    def test_shape_tells_nothing_of_cut_frames(self):
        with pytest.raises(ValueError, match="cut or binned, so their shape doesn't identify it"):
            scan_of(counts(516, 516), {"roi": [[10, 526], [0, 516]]})


class TestMask:
    def test_of_the_user(self):
        mask = np.zeros((7, 9), dtype=bool)
        mask[3] = True
        scan = scan_of(counts(7, 9), mask=mask)
        np.testing.assert_array_equal(scan.mask, mask)
        assert scan.metadata.detector == ""

    def test_beside_a_detector_that_is_named(self):
        mask = np.zeros((516, 516), dtype=bool)
        mask[0, 0] = True
        scan = scan_of(counts(516, 516), mask=mask, detector="maxipix_2x2")
        np.testing.assert_array_equal(scan.mask, MAXIPIX | mask)

    def test_of_another_shape(self):
        with pytest.raises(ValueError, match=r"mask must be \(7, 9\) or \(2, 7, 9\).*got \(9, 7\)"):
            scan_of(counts(7, 9), mask=np.zeros((9, 7), dtype=bool))

    def test_flags_in_all_frames_make_a_flat_mask(self):
        frames = counts(7, 9)
        frames[:, 3] = 65535
        scan = scan_of(frames, mask=False)
        assert scan.mask.shape == (7, 9)
        assert scan.mask[3].all()
        assert scan.mask.sum() == 9

    def test_flags_that_change_make_a_mask_for_each_frame(self):
        frames = counts(7, 9)
        frames[1, 3, 4] = 65535
        scan = scan_of(frames, mask=False)
        assert np.argwhere(scan.mask).tolist() == [[1, 3, 4]]

    def test_flags_that_change_within_the_gap_do_not(self):
        frames = counts(7, 9)
        frames[1, 3, 4] = 65535
        gap = np.zeros((7, 9), dtype=bool)
        gap[3] = True
        np.testing.assert_array_equal(scan_of(frames, mask=gap).mask, gap)


class TestBitDepth:
    """65535 in frames wider than 16 bits is a flag only if the run says that its images have 16."""

    @pytest.fixture
    def frames(self):
        frames = counts(7, 9).astype(np.uint32)
        frames[1, 3, 4] = 65535
        return frames

    def test_wide_frames_hold_counts(self, frames):
        scan = scan_of(frames, mask=False)
        assert not scan.mask.any()
        assert any("the brightest voxels hold 65535" in note for note in scan.metadata.notes)

    @pytest.mark.parametrize("key", ["det_cam_bit_depth_image", "det-detector-bit_depth_image"])
    def test_said_by_the_detector(self, frames, key):
        scan = scan_of(frames, configuration={key: 16}, mask=False)
        assert np.argwhere(scan.mask).tolist() == [[1, 3, 4]]
        assert not any("65535" in note for note in scan.metadata.notes)

    def test_said_by_the_start_document(self, frames):
        scan = scan_of(frames, {"bit_depth_image": 16}, mask=False)
        assert np.argwhere(scan.mask).tolist() == [[1, 3, 4]]

    def test_of_another_device_says_nothing(self, frames):
        other: Any = {"other": {"data": {"other_cam_bit_depth_image": 16}, "data_keys": {}}}
        run = RunRecord({}, {}, {"primary": Stream({}, other, {})})
        points = PointFrames("primary", "det_image", frames[:, None])
        assert not assemble(run, points, ReadingOptions(mask=False)).mask.any()

    @pytest.mark.parametrize("said", [0, 64, "many", None, float("nan")])
    def test_that_can_not_be(self, frames, said):
        scan = scan_of(frames, {"bit_depth_image": said}, mask=False)
        assert not scan.mask.any()
        assert any("no plausible number of bits" in note for note in scan.metadata.notes)


class TestMergedFrames:
    @pytest.mark.parametrize(("rule", "expected"), [("sum", 12), ("mean", 4)])
    def test_a_flag_in_one_frame_is_missing_in_all(self, rule, expected):
        array = np.full((2, 3, 4, 5), 4, dtype=np.uint32)
        array[0, 1, 2, 3] = 2**32 - 1
        flags = geometry.flagged(array)
        merged = merge_marks(flags, rule)
        assert np.argwhere(merged).tolist() == [[0, 2, 3]]
        assert (merge_frames(array, flags, rule)[~merged] == expected).all()

    def test_sums_do_not_overflow(self):
        array = np.full((1, 3, 1, 1), 60000, dtype=np.uint16)
        frames = merge_frames(array, geometry.flagged(array), "sum")
        assert frames.item() == 180000
        assert frames.dtype.kind == "u"

    def test_frames_that_stay_apart_keep_their_flags(self):
        array = np.full((2, 2, 1, 1), 7, dtype=np.uint16)
        array[1, 0] = 65535
        flags = geometry.flagged(array)
        assert merge_frames(array, flags, "separate").ravel().tolist() == [7, 7, 65535, 7]
        assert merge_marks(flags, "separate").ravel().tolist() == [False, False, True, False]
