"""What part of the frames is filled: the same live and later, within the frames, and said in the metadata."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.live import AroundPeak
from bcdi_inpaint.live.region import RegionFinder, crop, region_of
from bcdi_inpaint.scans import RockingScan, ScanMetadata

SHAPE = (12, 9, 11)


def scan_of(frames, mask=None, **metadata):
    mask = np.zeros(frames.shape[1:], bool) if mask is None else mask
    return RockingScan(frames, mask, None, ScanMetadata(raw_uid="a", **metadata))


def peak_at(frame, row, col, background=1):
    frames = np.full(SHAPE, background, np.uint16)
    frames[frame, row, col] = 5000
    return frames


def part(scan, start, stop):
    mask = scan.mask if scan.mask.ndim == 2 else scan.mask[start:stop]
    return scan_of(scan.frames[start:stop], mask)


sizes = st.integers(1, 30)
places = st.tuples(*(st.integers(0, length - 1) for length in SHAPE))


@given(places, sizes, sizes)
def test_it_lies_within_the_frames_and_holds_the_peak(place, rows, cols):
    region = region_of(scan_of(peak_at(*place)), AroundPeak(rows, cols))
    for (start, stop), wanted, length, at in zip(
        region, (rows, cols), SHAPE[1:], place[1:], strict=True
    ):
        assert 0 <= start <= at < stop <= length
        assert stop - start == min(wanted, length)


@given(
    st.integers(0, 2**32 - 1), st.lists(st.integers(1, 11), max_size=4, unique=True), sizes, sizes
)
def test_it_is_the_same_however_the_frames_come(seed, ends, rows, cols):
    chance = np.random.default_rng(seed)
    scan = scan_of(
        chance.poisson(3 * np.sin(np.linspace(0, np.pi, 12))[:, None, None] + 0.1, SHAPE),
        chance.random(SHAPE) < 0.2,
    )
    wanted = AroundPeak(rows, cols)
    finder = RegionFinder(wanted)
    found = None
    for start, stop in zip([0, *sorted(ends)], [*sorted(ends), 12], strict=True):
        finder.look(part(scan, start, stop))
        if found is not None:
            assert finder.region == found
        elif finder.found:
            found = finder.region
    assert finder.region == region_of(scan, wanted)


def test_nothing_in_a_missing_pixel_is_taken_for_the_peak():
    frames = peak_at(5, 4, 6)
    frames[5, 0, 0] = 2**16 - 1
    mask = np.zeros(SHAPE[1:], bool)
    mask[0, 0] = True
    assert region_of(scan_of(frames, mask), AroundPeak(1, 1)) == ((4, 5), (6, 7))
    assert region_of(scan_of(frames, mask), AroundPeak(3, 3)) == ((3, 6), (5, 8))


def test_the_peak_has_been_seen_when_the_counts_have_fallen_below_half():
    frames = np.ones(SHAPE, np.uint16)
    frames[:, 4, 6] = [1, 50, 400, 900, 1000, 900, 600, 300, 100, 9, 9, 9]
    scan, finder = scan_of(frames), RegionFinder(AroundPeak(3, 3))
    assert finder.region is None
    seen = []
    for number in range(12):
        finder.look(part(scan, number, number + 1))
        seen.append(finder.found)
    assert seen == [False] * 7 + [True] * 5


def test_all_of_the_frames_unless_told():
    scan = scan_of(peak_at(5, 4, 6))
    assert region_of(scan, None) == ((0, 9), (0, 11))
    assert crop(scan, region_of(scan, None)) is scan


@pytest.mark.parametrize(
    ("region", "says"),
    [
        (((0, 10), (0, 5)), "rows 0:10 are not within frames of 9 rows"),
        (((3, 3), (0, 5)), "rows 3:3"),
        (((0, 5), (-1, 5)), "cols -1:5 are not within frames of 11 cols"),
    ],
)
def test_a_region_beyond_the_frames_is_refused(region, says):
    with pytest.raises(ValueError, match=says):
        region_of(scan_of(peak_at(5, 4, 6)), region)


@pytest.mark.parametrize(("mask_axes", "binning"), [(2, (1, 1)), (3, (2, 3))])
def test_the_metadata_say_where_the_part_lies_in_the_full_frame(mask_axes, binning):
    frames = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    mask = frames[0] % 7 == 0 if mask_axes == 2 else frames % 7 == 0
    scan = scan_of(frames, mask, roi=((100, 118), (200, 233)), binning=binning)
    cut = crop(scan, ((2, 5), (4, 9)))
    np.testing.assert_array_equal(cut.frames, frames[:, 2:5, 4:9])
    np.testing.assert_array_equal(cut.mask, mask[..., 2:5, 4:9])
    rows, cols = binning
    assert cut.metadata.roi == (
        (100 + 2 * rows, 100 + 5 * rows),
        (200 + 4 * cols, 200 + 9 * cols),
    )
    assert crop(scan_of(frames), ((2, 5), (4, 9))).metadata.roi == ((2, 5), (4, 9))
