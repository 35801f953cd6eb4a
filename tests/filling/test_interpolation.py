"""What each plain interpolation answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import griddata

from bcdi_inpaint.filling import inpaint

PER_PLANE = ("nearest", "linear", "cubic", "biharmonic")
PLAIN = (*PER_PLANE, "inverse_distance")

REAL_SCAN = Path(__file__).parents[3] / "shared" / "data" / "aps34idc_S0054.npz"


def random_case(seed: int, per_frame: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers((2, 6, 6), (6, 14, 14)))
    stack = rng.poisson(rng.gamma(0.5, 30, shape)).astype(np.float32)
    mask = np.zeros(shape if per_frame else shape[1:], bool)
    axis = mask.ndim - 1 - int(rng.integers(2))
    start = int(rng.integers(mask.shape[axis] - 3))
    np.moveaxis(mask, axis, 0)[start : start + int(rng.integers(1, 4))] = True
    mask |= rng.random(mask.shape) < 0.1
    return stack, mask


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from(PER_PLANE), st.booleans())
def test_frames_are_independent_and_their_order_means_nothing(seed, method, per_frame) -> None:
    stack, mask = random_case(seed, per_frame)
    forward = inpaint(stack, mask, method=method)
    backward = inpaint(stack[::-1], mask[::-1] if per_frame else mask, method=method)
    np.testing.assert_allclose(backward.intensity[::-1], forward.intensity, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(backward.sigma[::-1], forward.sigma, rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from(PLAIN))
def test_a_constant_rate_is_reproduced(seed: int, method: str) -> None:
    stack, mask = random_case(seed)
    filled = inpaint(np.full_like(stack, 37), mask, method=method)
    np.testing.assert_allclose(filled.intensity, 37, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from(("nearest", "linear", "cubic", "inverse_distance")))
def test_nothing_leaves_the_range_of_what_was_measured(seed: int, method: str) -> None:
    stack, mask = random_case(seed)
    measured = stack[:, ~mask]
    filled = inpaint(stack, mask, method=method).intensity
    assert filled.min() >= measured.min() - 1e-4
    assert filled.max() <= measured.max() * (1 + 1e-5)


def test_linear_is_a_straight_line_of_the_logarithm_across_the_gap() -> None:
    stack = np.random.default_rng(0).poisson(50, (3, 9, 12)).astype(np.float32)
    mask = np.zeros((9, 12), bool)
    mask[:, 4:8] = True
    left, right = np.log1p(stack[:, :, 3]), np.log1p(stack[:, :, 8])
    share = np.arange(1, 5) / 5
    line = left[..., None] * (1 - share) + right[..., None] * share
    filled = inpaint(stack, mask, method="linear").intensity
    np.testing.assert_allclose(filled[:, :, 4:8], np.expm1(line), rtol=1e-5)


def test_linear_is_what_scipy_gives_with_all_pixels_of_the_plane() -> None:
    stack = np.random.default_rng(1).poisson(20, (2, 30, 34)).astype(np.float64)
    mask = np.zeros((30, 34), bool)
    mask[:, 14:17] = True
    filled = inpaint(stack, mask, method="linear").intensity
    for frame, plane in zip(stack, filled, strict=True):
        log = griddata(np.argwhere(~mask), np.log1p(frame[~mask]), np.argwhere(mask), "linear")
        np.testing.assert_allclose(plane[mask], np.expm1(log), rtol=1e-5)


@pytest.mark.parametrize("method", ["cubic", "biharmonic"])
def test_higher_orders_follow_a_curved_peak_better_than_straight_lines(method: str) -> None:
    row, col = np.mgrid[:40, :40]
    stack = 1e4 * np.exp(-((row - 19.5) ** 2 + (col - 18) ** 2) / 80)[np.newaxis] + 50
    mask = np.zeros((40, 40), bool)
    mask[:, 16:20] = True
    error = {
        name: np.abs(inpaint(stack, mask, method=name).intensity - stack)[0, 10:30].sum()
        for name in ("linear", method)
    }
    assert error[method] < 0.5 * error["linear"]


def test_at_the_edge_of_the_array_the_nearest_pixel_is_taken() -> None:
    stack = np.random.default_rng(2).poisson(9, (2, 8, 10)).astype(np.float32)
    mask = np.zeros((8, 10), bool)
    mask[:, :3] = True
    for method in ("nearest", "linear", "cubic"):
        filled = inpaint(stack, mask, method=method).intensity
        expected = np.repeat(stack[:, :, 3:4], 3, axis=2)
        np.testing.assert_allclose(filled[:, :, :3], expected, rtol=1e-5)


def test_a_missing_frame_lies_between_its_neighbours() -> None:
    stack = np.stack([np.full((6, 6), value, np.float32) for value in (4, 0, 0, 32)])
    mask = np.zeros(stack.shape, bool)
    mask[1:3] = True
    filled = inpaint(stack, mask, method="linear").intensity
    np.testing.assert_allclose(
        filled[:, 0, 0], np.expm1(np.interp(range(4), [0, 3], np.log1p([4, 32]))), rtol=1e-5
    )


def test_inverse_distance_is_the_weighted_mean_over_the_cube() -> None:
    rng = np.random.default_rng(3)
    stack = rng.poisson(100, (5, 9, 9)).astype(np.float64)
    mask = np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    filled = inpaint(stack, mask, method="inverse_distance", reach=2, exponent=3).intensity
    frame, row, col = 2, 4, 4
    steps = [np.arange(-2, 3)] * 3
    distance = np.sqrt(sum(step**2 for step in np.meshgrid(*steps, indexing="ij")))
    around = np.s_[frame - 2 : frame + 3, row - 2 : row + 3, col - 2 : col + 3]
    measured = np.broadcast_to(~mask, stack.shape)[around]
    weights = measured / np.where(measured, distance, 1) ** 3
    expected = (weights * stack[around]).sum() / weights.sum()
    np.testing.assert_allclose(filled[frame, row, col], expected, rtol=1e-6)


def test_inverse_distance_takes_the_nearest_where_nothing_is_in_reach() -> None:
    stack = np.random.default_rng(4).poisson(100, (1, 3, 12)).astype(np.float32)
    mask = np.zeros((3, 12), bool)
    mask[:, 4:] = True
    filled = inpaint(stack, mask, method="inverse_distance", reach=1).intensity
    np.testing.assert_allclose(filled[0, 1, 6:], stack[0, 1, 3], rtol=1e-6)


@pytest.mark.parametrize("method", PLAIN)
def test_sigma_says_how_far_the_fill_is_off(method: str) -> None:
    """On fringes, the squared error of the rate is what sigma says, within a factor of three."""
    frame, row, col = np.meshgrid(*(np.arange(n) for n in (16, 64, 64)), indexing="ij")
    radius = np.hypot(row - 20, col - 27)
    rate = 400 * np.exp(-radius / 9) * (1 + 0.8 * np.cos(radius / 1.6 + frame / 5)) + 0.5
    stack = np.random.default_rng(5).poisson(rate)
    mask = np.zeros((64, 64), bool)
    mask[:, 30:35] = True
    filled = inpaint(stack, mask, method=method)
    pull = (filled.intensity - rate)[:, mask] / filled.sigma[:, mask]
    assert 1 / 3 < np.sqrt(np.mean(pull**2)) < 3


def test_wider_gaps_are_less_certain() -> None:
    stack = np.random.default_rng(6).poisson(
        100
        * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.3, (1, 1, 60)), axis=2))
        * np.ones((8, 40, 1))
    )
    mask = np.zeros((40, 60), bool)
    mask[:, 20:31] = True
    filled = inpaint(stack, mask, method="linear")
    relative = filled.sigma / np.sqrt(filled.intensity + 0.375)
    middle, rim = relative[:, :, 25].mean(), relative[:, :, [20, 30]].mean()
    assert middle > rim


@pytest.mark.skipif(not REAL_SCAN.exists(), reason="the real scan lies outside the repository")
@pytest.mark.parametrize(
    ("width", "linear", "biharmonic"), [(3, 0.792, 0.798), (6, 0.778, 0.772), (12, 0.769, 0.757)]
)
def test_the_baselines_known_from_the_real_scan(width, linear, biharmonic) -> None:
    """Mean log-count PCC over artificial gaps 10 and 24 px from the peak, both directions."""
    data = np.load(REAL_SCAN)["data"][35:163, 62:190, 63:191]
    found = {"linear": [], "biharmonic": []}
    for offset in (10, 24):
        for axis in (0, 1):
            mask = np.zeros((128, 128), bool)
            start = 64 + offset - width // 2
            np.moveaxis(mask, axis, 0)[start : start + width] = True
            truth = np.log1p(data[:, mask]).ravel()
            for method, pcc in found.items():
                fill = inpaint(data, mask, method=method, self_check=False).intensity[:, mask]
                pcc.append(np.corrcoef(np.log1p(fill.ravel()), truth)[0, 1])
    assert np.mean(found["linear"]) == pytest.approx(linear, abs=0.015)
    assert np.mean(found["biharmonic"]) == pytest.approx(biharmonic, abs=0.015)
