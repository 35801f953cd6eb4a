"""The picture beside the arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcdi_inpaint.export.quicklook import cuts, draw, find_peak

GREY = (117, 117, 127)
BLUE = (86, 180, 233)


def stack(shape: tuple[int, int, int]) -> np.ndarray:
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    distance = sum((grid - n // 2) ** 2 for grid, n in zip(grids, shape, strict=True))
    return np.asarray(1e4 / (1 + distance), np.float32)


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == colour).all(axis=-1)


def halves(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = picture.shape[1] // 2
    return picture[:, :middle], picture[:, middle:]


def test_the_gap_is_grey_in_the_raw_half_and_outlined_in_the_filled() -> None:
    mask = np.zeros((20, 60, 60), bool)
    mask[:, 36:40] = True
    raw, filled = halves(draw(stack(mask.shape), mask).picture)
    assert where(raw, GREY).any()
    assert not where(filled, GREY).any()
    assert where(filled, BLUE).any()
    assert not where(raw, BLUE).any()


def test_both_halves_show_the_same_measurement() -> None:
    mask = np.zeros((20, 60, 60), bool)
    mask[:, 36:40] = True
    picture = draw(stack(mask.shape), mask).picture
    bottom = picture[40:]  # below the header and its labels
    raw, filled = bottom[:, 8 : bottom.shape[1] // 2 - 4], bottom[:, bottom.shape[1] // 2 + 4 : -8]
    drawn = where(raw, GREY) | where(filled, BLUE)
    np.testing.assert_array_equal(raw[~drawn], filled[~drawn])
    assert drawn.mean() < 0.1


def test_a_gap_one_pixel_wide_is_still_seen_in_a_large_frame() -> None:
    mask = np.zeros((3, 2000, 1500), bool)
    mask[:, 900] = True
    raw, _ = halves(draw(stack(mask.shape), mask).picture)
    assert where(raw, GREY).any()


@settings(deadline=None, max_examples=30)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from([0.0, 1.0, -3.0]),
)
def test_any_shape_and_even_an_empty_scan_makes_a_picture(
    shape: tuple[int, int, int], level: float
) -> None:
    picture = draw(np.full(shape, level, np.float32), np.zeros(shape, bool)).picture
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert max(picture.shape) < 1100
    low, high = np.percentile(picture, [1, 99])  # between which Tiled stretches PNGs
    assert (low, high) == (0, 255)


def test_cuts_go_through_the_peak() -> None:
    volume = stack((9, 11, 13))
    peak = find_peak(volume)
    assert peak == (4, 5, 6)
    frame, below, beside = cuts(volume, peak)
    assert (frame.shape, below.shape, beside.shape) == ((11, 13), (9, 13), (11, 9))
    assert frame.max() == below.max() == beside.max() == volume.max()


@pytest.mark.parametrize("where_it_is", [0, 5, 8])
def test_the_peak_is_found_in_any_block(where_it_is: int) -> None:
    volume = np.zeros((9, 2048, 1024), np.float32)  # two frames a block
    volume[where_it_is, 7, 9] = 1
    assert find_peak(volume) == (where_it_is, 7, 9)
