"""Windows make up the scan, however its points come."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint import inpaint
from bcdi_inpaint.live.worker.windows import cut, filled_points, join, next_window

MANY = 10**6
SIZES = {"portion": st.integers(1, 20), "margin": st.integers(0, 20)}


@given(
    **SIZES,
    arrivals=st.lists(st.integers(0, 40), min_size=1),
    known=st.booleans(),
    most=st.integers(0, 100),
)
def test_every_point_is_filled_once_with_its_margin(portion, margin, arrivals, known, most):
    total = sum(arrivals)
    done, points = [], 0
    for number, more in enumerate(arrivals):
        points += more
        over = number == len(arrivals) - 1
        while window := next_window(
            done, points, total if known or over else None, portion, margin, most
        ):
            assert window.stop - window.start <= max(portion, most)
            assert window.start == filled_points(done) == (done[-1].stop if done else 0)
            assert window.start < window.stop <= points
            assert window.stop == total or window.stop % portion == 0
            assert window.first == max(0, window.start - margin)
            assert window.last == min(window.stop + margin, total)
            done.append(window)
    assert filled_points(done) == total


@given(**SIZES, total=st.integers(1, 300))
def test_little_is_left_at_the_end_if_filling_keeps_up(portion, margin, total):
    done = []
    for points in range(1, total + 1):
        while window := next_window(done, points, total, portion, margin, MANY):
            done.append(window)
    *others, last = (window.stop - window.start for window in done)
    assert last <= portion + margin
    assert set(others) <= {portion, 2 * portion}


def test_who_has_fallen_behind_fills_all_there_is():
    assert next_window([], 100, 128, 16, 8, MANY)[:2] == (0, 80)
    assert next_window([], 128, 128, 16, 8, MANY)[:2] == (0, 128)


def test_who_has_fallen_behind_with_large_frames_fills_what_memory_there_is_for():
    assert next_window([], 100, 128, 16, 8, 50) == (0, 48, 0, 56)
    assert next_window([], 128, 128, 16, 8, 1) == (0, 16, 0, 24)


def test_what_was_dropped_is_filled_again_up_to_what_is_there():
    first = next_window([], 40, 128, 16, 8, MANY)
    second = next_window([first], 72, 128, 16, 8, MANY)
    assert next_window([second], 72, 128, 16, 8, MANY) == first
    assert next_window([first, second], 72, 128, 16, 8, MANY) is None


@pytest.fixture(params=["one mask", "a mask a frame"])
def filled_window(request):
    """Frames, and what they are filled to."""
    frames = np.random.default_rng(0).poisson(9.0, (24, 32, 40)).astype(np.uint16)
    mask = np.zeros(frames.shape[1:] if request.param == "one mask" else frames.shape, bool)
    mask[..., 20:23] = True
    return frames, inpaint(frames, mask, "linear")


def test_what_is_cut_and_joined_is_what_was_filled(filled_window):
    frames, filled = filled_window
    joined = join([cut(filled, start, start + 8, frames) for start in (0, 8, 16)], None)
    for name in ("intensity", "sigma", "mask"):
        volume, whole = getattr(joined, name), getattr(filled, name)
        assert (volume.shape, volume.dtype) == (whole.shape, whole.dtype)
        np.testing.assert_array_equal(volume, whole)
        np.testing.assert_array_equal(volume[5:19, :, 21], whole[5:19, :, 21])
    assert joined.report.voxels_missing == filled.report.voxels_missing
    assert joined.report.gap_share == filled.report.gap_share
    assert joined.report.notes[-1] == "filled in 3 windows while it was measured"


def test_counts_that_float32_does_not_hold_are_kept():
    frames = np.full((4, 8, 8), 2**24 + 1, np.uint32)
    mask = np.zeros((8, 8), bool)
    mask[:, 4] = True
    filled = inpaint(frames, mask, "linear")
    kept = cut(filled, 0, 4, frames)
    assert kept.intensity.dtype == np.float64
    np.testing.assert_array_equal(kept.intensity, filled.intensity)


def test_only_what_was_filled_takes_memory():
    frames = np.ones((16, 200, 200), np.uint16)
    mask = np.zeros((200, 200), bool)
    mask[:, 100:104] = True
    filled = inpaint(frames, mask, "linear")
    tracemalloc.start()
    kept = [cut(filled, 0, 16, frames) for _ in range(4)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 0.1 * len(kept) * (filled.intensity.nbytes + filled.sigma.nbytes)
