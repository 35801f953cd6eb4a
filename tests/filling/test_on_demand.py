"""A stack whose frames are made when they are asked for is read like an array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from bcdi_inpaint.filling import OnDemand, estimate_scan

STACK = np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3)
FRAMES = OnDemand(STACK.shape, STACK.dtype, STACK.__getitem__)


@given(npst.basic_indices(STACK.shape, allow_ellipsis=False, allow_newaxis=False))
def test_it_gives_what_the_array_gives(index):
    np.testing.assert_array_equal(FRAMES[index], STACK[index])
    assert FRAMES[index].dtype == STACK.dtype


def test_it_is_gone_through_frame_by_frame():
    assert (len(FRAMES), FRAMES.shape, FRAMES.ndim) == (5, (5, 4, 3), 3)
    for got, wanted in zip(FRAMES, STACK, strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(np.asarray(FRAMES), STACK)
    with pytest.raises(IndexError):
        FRAMES[5]


def test_a_part_is_made_of_its_own_frames():
    made = []
    frames = OnDemand(STACK.shape, STACK.dtype, lambda n: made.append(n) or STACK[n])
    frames[1:3, 2]
    assert made == [1, 2]


@pytest.mark.parametrize("dtype", [np.uint16, np.float64])
def test_estimating_takes_no_memory_of_the_size_of_the_stack(dtype):
    import tracemalloc

    frame = np.random.default_rng(0).poisson(3.0, (1, 400, 400)).astype(dtype)
    stack = np.broadcast_to(frame, (400, 400, 400))
    mask = np.zeros((400, 400), bool)
    mask[:, 190:200] = True
    estimate_scan(stack[:8], mask, "kriging")  # what is loaded once
    tracemalloc.start()
    assert estimate_scan(stack, mask, "kriging") is not None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.25 * 4 * stack.size
