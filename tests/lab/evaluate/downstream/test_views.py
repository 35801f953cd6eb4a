"""Patterns with a known object and a gap over them."""

from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.lab.evaluate.downstream.retrieval import Schedule
from bcdi_inpaint.lab.evaluate.downstream.scenes import (
    Plan,
    Scene,
    laid_over,
    measured_view,
    simulated_view,
)
from bcdi_inpaint.lab.evaluate.patterns import MeasuredScan


def test_gap_and_object_of_a_scene_belong_to_the_counts():
    scene = Scene("x", 6, 4, shape=(32, 32, 32))
    view = simulated_view(scene, 3)
    np.testing.assert_array_equal(np.flatnonzero(view.mask[0].all(0)), range(20, 26))
    amplitude = np.abs(np.fft.fftshift(np.fft.fftn(view.truth)))
    assert np.corrcoef(np.sqrt(view.counts).ravel(), amplitude.ravel())[0, 1] > 0.98


def test_a_measured_scan_is_cut_out_around_its_peak_wherever_that_is():
    frames = np.random.default_rng(0).poisson(1.0, (75, 40, 30))
    frames[70, 25, 8] = 1000
    frames[:, 5, 5] = 5000
    unjudged = np.zeros((40, 30), bool)
    unjudged[5, 5] = unjudged[20, 10] = True
    plan = Plan(edge=16, starts=1, schedule=Schedule(raar=4, er=1, shrink=2))
    whole = measured_view(plan, MeasuredScan("scan", frames, np.zeros_like(unjudged), unjudged))
    four_together = np.where(unjudged, 0, frames)[11:, 17:33, :16].reshape(16, 4, 16, 16).sum(1)
    np.testing.assert_array_equal(whole.counts, four_together)
    np.testing.assert_array_equal(np.argwhere(whole.unusable[0]), [[3, 10]])
    view = laid_over(Scene("3 px", width=3, distance=2), whole)
    np.testing.assert_array_equal(np.flatnonzero(view.mask.all((0, 1))), [10, 11, 12])
    assert view.truth is whole.truth
    with pytest.raises(ValueError, match="scan has 2 flagged pixels"):
        measured_view(plan, MeasuredScan("scan", frames, unjudged, unjudged))
