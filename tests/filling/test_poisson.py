"""Expected counts from the mean of a logarithm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.filling.poisson import expected_counts, mean_log, rate_of_mean_log


@pytest.mark.parametrize("rate", [0.05, 0.7, 3.0, 40.0, 300.0])
def test_mean_log_is_that_of_drawn_counts(rate: float) -> None:
    drawn = np.log1p(np.random.default_rng(1).poisson(rate, 400_000))
    assert mean_log(np.array(rate)) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 632)


@given(st.floats(1e-3, 1e7))
def test_rate_inverts_the_mean_log(rate: float) -> None:
    assert rate_of_mean_log(mean_log(np.array(rate))) == pytest.approx(rate, rel=2e-2)


def test_the_expansion_joins_the_sum() -> None:
    below, above = mean_log(np.array([100.0, 100.0001]))
    assert below == pytest.approx(above, abs=1e-4)


def test_expected_counts_are_not_those_of_the_expected_log() -> None:
    log, variance = np.array([4.0]), np.array([0.5])
    mean, deviation = expected_counts(log, variance)
    # For bright voxels the field is log-normal: mean exp(mu + v/2), spread mean * sqrt(exp(v) - 1).
    assert mean[0] == pytest.approx(np.exp(4.25), rel=0.02)
    assert deviation[0] == pytest.approx(np.exp(4.25) * np.sqrt(np.exp(0.5) - 1), rel=0.05)
    assert mean[0] > rate_of_mean_log(log)[0]
