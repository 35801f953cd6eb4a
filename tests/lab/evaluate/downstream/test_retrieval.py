"""The bench's own phase retrieval, and what it is told of a gap."""

from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.filling import Inpainted, Report
from bcdi_inpaint.lab.evaluate.downstream.fills import FILLS
from bcdi_inpaint.lab.evaluate.downstream.retrieval import Bounds, Schedule, free_voxels, retrieve
from bcdi_inpaint.lab.evaluate.downstream.truth import aligned, errors


def test_the_best_ranked_of_a_few_starts_finds_the_object(crystal, counts):
    free = free_voxels(np.ones(counts.shape, bool), np.random.default_rng(1))
    found = [retrieve(Bounds.of(counts, counts), counts, free, seed=s) for s in range(4)]
    best = min(found, key=lambda solution: solution.merit)
    assert errors(aligned(best.image, crystal), crystal)["complex_l2"] < 0.15


def test_what_is_free_can_not_change_a_reconstruction(counts):
    hidden = np.zeros(counts.shape, bool)
    hidden[:, :, 20:24] = True
    free = free_voxels(~hidden, np.random.default_rng(1))
    short = Schedule(raar=12, er=4, shrink=4)
    one, other = [
        retrieve(
            Bounds.of(values, values).freed(hidden), counts, free, seed=0, schedule=short
        ).image
        for values in (counts, np.where(hidden | free, 1e5, counts))
    ]
    np.testing.assert_array_equal(one, other)


def test_voxels_that_rank_are_measured_and_away_from_the_peak():
    measured = np.ones((48, 48, 48), bool)
    measured[:, 30:36] = False
    free = free_voxels(measured, np.random.default_rng(0))
    assert not (free & ~measured).any()
    assert not free[24, 24, 24]
    assert 0.005 < free.mean() < 0.03


@pytest.mark.parametrize("use", ["zero", "free", "hard", "soft", "band"])
def test_every_treatment_keeps_what_was_measured(counts, use):
    mask = np.zeros(counts.shape, bool)
    mask[:, 10:14] = True
    sigma = np.where(mask, 3, 0).astype(np.float32)
    filled = Inpainted(counts, sigma, mask, Report("", int(mask.sum()), 0.0, 0.0))
    bounds = next(fill for fill in FILLS.values() if fill.use == use).bounds(filled)
    np.testing.assert_array_equal(bounds.low[~mask], np.sqrt(counts[~mask]))
    np.testing.assert_array_equal(bounds.high[~mask], np.sqrt(counts[~mask]))
    assert (bounds.low <= bounds.high).all()
    assert np.isinf(bounds.high[mask]).all() == (use == "free")
