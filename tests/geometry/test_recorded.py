"""Laws of flips, rois and binning, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bcdi_inpaint.geometry import as_recorded, detector, detectors

SMALL = [key for key in detectors() if np.prod(detector(key).shape) < 600_000]
FLIPS = st.tuples(st.booleans(), st.booleans())
BINNINGS = st.tuples(st.integers(1, 5), st.integers(1, 5))
MASKS = arrays.arrays(
    np.bool_, arrays.array_shapes(min_dims=2, max_dims=3, min_side=5, max_side=24)
)


@st.composite
def detectors_and_rois(draw):
    found = detector(draw(st.sampled_from(SMALL)))
    roi = tuple(
        (start := draw(st.integers(0, length - 5)), draw(st.integers(start + 5, length)))
        for length in found.shape
    )
    return found, roi


@settings(max_examples=40, deadline=None)
@given(detectors_and_rois(), FLIPS)
def test_the_mask_of_a_roi_is_the_roi_of_the_mask(detector_and_roi, flip):
    found, roi = detector_and_roi
    (row0, row1), (col0, col1) = roi
    np.testing.assert_array_equal(
        found.mask(roi=roi, flip=flip), found.mask(flip=flip)[row0:row1, col0:col1]
    )


@settings(max_examples=40, deadline=None)
@given(detectors_and_rois(), BINNINGS, FLIPS)
def test_a_binned_pixel_is_missing_if_any_of_its_pixels_is(detector_and_roi, binning, flip):
    found, roi = detector_and_roi
    fine = found.mask(roi=roi, flip=flip)
    coarse = found.mask(roi=roi, flip=flip, binning=binning)
    assert coarse.shape == tuple(n // b for n, b in zip(fine.shape, binning, strict=True))
    rows, cols = np.nonzero(fine[: coarse.shape[0] * binning[0], : coarse.shape[1] * binning[1]])
    expected = np.zeros_like(coarse)
    expected[rows // binning[0], cols // binning[1]] = True
    np.testing.assert_array_equal(coarse, expected)


@given(MASKS, FLIPS)
def test_flipping_twice_changes_nothing(mask, flip):
    np.testing.assert_array_equal(as_recorded(as_recorded(mask, flip=flip), flip=flip), mask)


@given(MASKS, FLIPS, BINNINGS)
def test_frames_of_a_stack_are_treated_alike_and_the_input_is_left_alone(mask, flip, binning):
    before = mask.copy()
    stack = np.broadcast_to(mask, (2, *mask.shape[-2:])) if mask.ndim == 2 else mask
    recorded = as_recorded(stack, flip=flip, binning=binning)
    for frame, one in zip(stack, recorded, strict=True):
        np.testing.assert_array_equal(as_recorded(frame, flip=flip, binning=binning), one)
    recorded[...] = True
    np.testing.assert_array_equal(mask, before)


def test_the_maxipix_cross_binned_by_two():
    binned = detector("maxipix_2x2").mask(binning=(2, 2))
    assert binned.shape == (258, 258)
    assert np.flatnonzero(binned[0]).tolist() == [127, 128, 129, 130]


def test_the_roi_is_cut_from_the_flipped_frame():
    eiger = detector("eiger_x_4m")
    flipped = eiger.mask(flip=(False, True), roi=((0, 2167), (0, 1100)), policy="dead")
    assert np.flatnonzero(flipped[0]).tolist() == list(range(2070 - 1040, 2070 - 1030))


@pytest.mark.parametrize(
    ("roi", "message"),
    [
        (((0, 517), (0, 516)), "roi rows 0:517 .* 516 rows"),
        (((0, 10), (-5, 10)), "roi columns -5:10"),
        (((10, 10), (0, 516)), "roi rows 10:10 must be a non-empty part"),
        (((600, 700), (0, 516)), "roi rows 600:700"),
    ],
)
def test_a_roi_beyond_the_frame_is_refused(roi, message):
    with pytest.raises(ValueError, match=message):
        detector("maxipix_2x2").mask(roi=roi)


def test_a_roi_or_binning_of_another_kind_is_refused():
    maxipix = detector("maxipix_2x2")
    for roi in ((0, 10, 0, 10), ((0, 10),), ((0, 10.5), (0, 10)), (slice(0, 10), slice(0, 10))):
        with pytest.raises(TypeError, match="roi must be"):
            maxipix.mask(roi=roi)  # type: ignore[arg-type]
    for binning in (2, (2.0, 2)):
        with pytest.raises(TypeError, match="binning must be"):
            maxipix.mask(binning=binning)  # type: ignore[arg-type]
    for binning in ((0, 1), (1, 600)):
        with pytest.raises(ValueError, match="binning of"):
            maxipix.mask(binning=binning)


def test_only_bool_masks_of_frames_are_taken():
    with pytest.raises(TypeError, match="mask must be bool"):
        as_recorded(np.zeros((4, 4)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mask must be"):
        as_recorded(np.zeros(4, dtype=bool))
