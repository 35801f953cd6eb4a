"""Log-kriging knows fringes, stays within what is around, and says how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import bcdi_inpaint as bi
from bcdi_inpaint.filling import estimate_scan
from bcdi_inpaint.filling.texture import LAGS, SAMPLE, Texture, sample_of, texture_of
from bcdi_inpaint.lab.evaluate.metrics import pcc
from bcdi_inpaint.lab.simulate import simulate_scan


def fringes(shape: tuple[int, int, int] = (40, 56, 48)) -> np.ndarray:
    """Oblique fringes, some 6 voxels apart, on a slope of intensity."""
    f, r, c = np.indices(shape)
    wave = 1.2 + np.cos(2 * np.pi * (f / 9 + r / 8 + c / 14))
    return 200 * wave * np.exp(-c / 20)


def speckle(shape: tuple[int, int, int], width: float) -> np.ndarray:
    """Log-normal counts whose logarithm has a Gaussian covariance of standard deviation `width`."""
    white = np.random.default_rng(1).standard_normal(shape)
    smooth = ndimage.gaussian_filter(white, width / np.sqrt(2), mode="wrap")
    return np.expm1(8 + 0.5 * smooth / smooth.std())


def texture_in(stack: np.ndarray, mask: np.ndarray) -> Texture:
    return texture_of(sample_of(stack, mask))


def test_the_texture_tells_how_far_log_counts_belong_together() -> None:
    texture = texture_in(speckle((64, 64, 64), 2.0), np.zeros((64, 64, 64), bool))
    along = texture.covariance[LAGS, LAGS, LAGS : LAGS + 5] / texture.variance
    # The local mean takes a little of the long lags, the taper less.
    np.testing.assert_allclose(along, np.exp(-(np.arange(5) ** 2) / 8), atol=0.07)


def test_the_texture_is_that_of_the_measured_voxels() -> None:
    whole = speckle((48, 48, 48), 2.0)
    mask = np.zeros(whole.shape, bool)
    mask[:, 20:28] = True
    behind, true = (
        texture_in(np.where(mask, 0, whole), mask),
        texture_in(whole, ~np.ones_like(mask)),
    )
    lags = slice(LAGS - 6, LAGS + 7)
    difference = (behind.covariance - true.covariance)[lags, lags, lags].abs().max()
    assert difference < 0.15 * true.variance


def test_a_hot_pixel_does_not_lead_the_texture_astray() -> None:
    stack = np.zeros((20, SAMPLE + 60, 30))
    stack[:, -40:] = speckle((20, 40, 30), 2.0)
    mask = np.zeros(stack.shape, bool)
    mask[:, -20:-16] = True
    quiet = texture_in(stack, mask)
    stack[:, 3, 3] = 1e9
    assert texture_in(stack, mask).variance == pytest.approx(quiet.variance)


def test_fringes_go_on_in_the_gap() -> None:
    rate = fringes()
    counts = np.random.default_rng(0).poisson(rate)
    mask = np.zeros(rate.shape[1:], bool)
    mask[25:31] = True
    gap = np.broadcast_to(mask, rate.shape)
    kriged = bi.inpaint(counts, mask, method="kriging", self_check=False).intensity
    linear = bi.inpaint(counts, mask, method="linear", self_check=False).intensity
    assert pcc(kriged[gap], rate[gap]) > 0.97 > pcc(linear[gap], rate[gap])


def test_a_part_is_filled_better_with_the_texture_of_the_whole() -> None:
    rate = speckle((48, 48, 48), 2.0)
    mask = np.zeros(rate.shape[1:], bool)
    mask[:, 22:27] = True
    estimate = estimate_scan(rate, mask, "kriging")
    whole = bi.inpaint(rate, mask, method="kriging", self_check=False)
    again = bi.inpaint(rate, mask, method="kriging", self_check=False, estimate=estimate)
    np.testing.assert_array_equal(whole.intensity, again.intensity)
    part, gap = rate[:6], np.broadcast_to(mask, (6, *mask.shape))
    alone, with_it = (
        bi.inpaint(part, mask, method="kriging", self_check=False, estimate=given).intensity
        for given in (None, estimate)
    )
    assert pcc(with_it[gap], part[gap]) > pcc(alone[gap], part[gap])


@pytest.mark.parametrize("seed", [3, 5])
def test_no_overshoot_beside_the_peak(seed: int) -> None:
    scan = simulate_scan(seed, (64, 64, 64), peak_counts=1e6, oversampling=(4, 4, 4))
    row = int(np.unravel_index(scan.counts.argmax(), scan.counts.shape)[1])
    mask = np.zeros((64, 64), bool)
    mask[row + 3 : row + 9] = True
    out = bi.inpaint(scan.counts, mask, method="kriging", self_check=False)
    # The bound of the method: twice what was measured around.
    assert out.intensity[out.mask].max() <= 2.1 * scan.counts[~out.mask].max()


def test_sigma_covers_the_truth() -> None:
    rate = fringes()
    counts = np.random.default_rng(2).poisson(rate)
    mask = np.zeros(rate.shape[1:], bool)
    mask[:, 20:29] = True
    out = bi.inpaint(counts, mask, method="kriging", self_check=False)
    error = np.abs(out.intensity - rate)[out.mask]
    assert 0.5 < (error <= out.sigma[out.mask]).mean() <= 1
    assert (error <= 3 * out.sigma[out.mask]).mean() > 0.9


def test_nothing_is_certain_where_nothing_was_counted() -> None:
    mask = np.zeros((24, 24), bool)
    mask[10:14] = True
    out = bi.inpaint(np.zeros((16, 24, 24)), mask, method="kriging", self_check=False)
    assert (out.sigma[out.mask] > 0).all()
    assert out.intensity.max() < 0.02


def test_more_counts_leave_the_shape_of_the_fill() -> None:
    rate = fringes()
    mask = np.zeros(rate.shape[1:], bool)
    mask[25:31] = True
    gap = np.broadcast_to(mask, rate.shape)
    dim = bi.inpaint(rate, mask, method="kriging", self_check=False).intensity[gap]
    bright = bi.inpaint(10 * rate, mask, method="kriging", self_check=False).intensity[gap]
    assert pcc(dim, bright) > 0.98
    assert bright.sum() / dim.sum() == pytest.approx(10, rel=0.1)
