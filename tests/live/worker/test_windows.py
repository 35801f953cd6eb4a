"""Windows make up the scan, however its points come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.live.worker.windows import filled_points, next_window

SIZES = {"portion": st.integers(1, 20), "margin": st.integers(0, 20)}


@given(**SIZES, arrivals=st.lists(st.integers(0, 40), min_size=1), known=st.booleans())
def test_every_point_is_filled_once_with_its_margin(portion, margin, arrivals, known):
    total = sum(arrivals)
    done, points = [], 0
    for number, more in enumerate(arrivals):
        points += more
        over = number == len(arrivals) - 1
        while window := next_window(
            done, points, total if known or over else None, portion, margin
        ):
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
        while window := next_window(done, points, total, portion, margin):
            done.append(window)
    *others, last = (window.stop - window.start for window in done)
    assert last <= portion + margin
    assert set(others) <= {portion, 2 * portion}


def test_who_has_fallen_behind_fills_all_there_is():
    assert next_window([], 100, 128, 16, 8)[:2] == (0, 80)
    assert next_window([], 128, 128, 16, 8)[:2] == (0, 128)


def test_what_was_dropped_is_filled_again_up_to_what_is_there():
    first = next_window([], 40, 128, 16, 8)
    second = next_window([first], 72, 128, 16, 8)
    assert next_window([second], 72, 128, 16, 8) == first
    assert next_window([first, second], 72, 128, 16, 8) is None
