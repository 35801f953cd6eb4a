"""The noise ceiling of a scan whose rate nobody knows."""

from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.lab.evaluate.metrics import pcc_ceiling, pcc_ceiling_of_counts


@pytest.mark.parametrize("mean", [0.3, 2.0, 30.0, 3000.0])
def test_close_to_and_not_above_that_of_the_known_rate(mean: float) -> None:
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 2 * mean, 200_000)
    counts = rng.poisson(rate)
    known, estimated = pcc_ceiling(rate, counts), pcc_ceiling_of_counts(counts)
    assert known - 0.03 < estimated < known + 0.002


def test_pure_noise_leaves_nothing_to_predict() -> None:
    counts = np.random.default_rng(0).poisson(0.5, 200_000)
    assert pcc_ceiling_of_counts(counts) < 0.1
    assert pcc_ceiling_of_counts(np.full(100, 7)) == 0.0
