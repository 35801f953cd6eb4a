"""Log-kriging knows fringes, stays within what is around, and says how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

import bcdi_inpaint as bi
from bcdi_inpaint.evaluate.metrics import pcc
from bcdi_inpaint.simulate import simulate_scan


def fringes(shape: tuple[int, int, int] = (40, 56, 48)) -> np.ndarray:
    """Oblique fringes, some 6 voxels apart, on a slope of intensity."""
    f, r, c = np.indices(shape)
    wave = 1.2 + np.cos(2 * np.pi * (f / 9 + r / 8 + c / 14))
    return 200 * wave * np.exp(-c / 20)


def test_fringes_go_on_in_the_gap() -> None:
    rate = fringes()
    counts = np.random.default_rng(0).poisson(rate)
    mask = np.zeros(rate.shape[1:], bool)
    mask[25:31] = True
    gap = np.broadcast_to(mask, rate.shape)
    kriged = bi.inpaint(counts, mask, method="kriging", self_check=False).intensity
    linear = bi.inpaint(counts, mask, method="linear", self_check=False).intensity
    assert pcc(kriged[gap], rate[gap]) > 0.97 > pcc(linear[gap], rate[gap])


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
