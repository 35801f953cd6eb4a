"""Empty parts of a stack are filled at once; what is left is worked on."""

from __future__ import annotations

import numpy as np
import pytest

import bcdi_inpaint as bi
from bcdi_inpaint.filling import empty
from bcdi_inpaint.lab.simulate import simulate_scan

SHAPE = (64, 160, 256)
GAP = np.zeros(SHAPE[1:], bool)
GAP[:, 40:46] = True
GAP[70:82] = True


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """A pattern in a detector that is empty but for some background."""
    stack = np.random.default_rng(1).poisson(0.003, SHAPE)
    pattern = simulate_scan(12, (64, 64, 64), split="evaluation", peak_counts=1e5).counts
    stack[:, 60:124, 20:84] += np.where(pattern > 1, pattern, 0)
    return stack


@pytest.mark.slow
def test_the_result_is_that_of_the_full_computation(
    counts: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = np.broadcast_to(GAP, SHAPE)
    quick = bi.inpaint(counts, GAP, self_check=False)
    monkeypatch.setattr(empty, "SIGNAL", -1.0)
    full = bi.inpaint(counts, GAP, self_check=False)
    truth = np.log1p(counts[gap])
    pcc = [np.corrcoef(np.log1p(out.intensity[gap]), truth)[0, 1] for out in (quick, full)]
    assert pcc[0] == pytest.approx(pcc[1], abs=0.001)
    assert quick.intensity[gap].sum() == pytest.approx(full.intensity[gap].sum(), rel=0.01)
    np.testing.assert_array_equal(quick.intensity[~gap], full.intensity[~gap])


def test_only_what_is_near_a_signal_is_worked_on(counts: np.ndarray) -> None:
    mask = np.array(np.broadcast_to(GAP, SHAPE))
    stack, sigma = np.where(mask, 0, counts).astype(np.float32), np.zeros(SHAPE, np.float32)
    left = empty.fill_empty(stack, sigma, mask)
    assert 0 < left.sum() < 0.7 * mask.sum()
    assert left[32, 75, 52]
    done = mask & ~left
    assert stack[done].mean() == pytest.approx(0.003, rel=0.2)
    assert (sigma[done] > 0).all()
    assert not stack[left].any()


def test_an_empty_stack_is_filled_with_its_mean() -> None:
    stack = np.zeros((16, 32, 32))
    mask = np.zeros((32, 32), bool)
    mask[14:17] = True
    out = bi.inpaint(stack, mask)
    assert not out.intensity.any()
    assert (out.sigma[out.mask] > 0).all()
