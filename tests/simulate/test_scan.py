"""A simulated scan is a function of its recipe, and the recipe of its seed."""

from __future__ import annotations

import numpy as np

from bcdi_inpaint.simulate import simulate_scan

SHAPE = (48, 48, 48)


def test_same_seed_gives_the_same_scan() -> None:
    first, second = simulate_scan(3, SHAPE), simulate_scan(3, SHAPE)
    np.testing.assert_array_equal(first.rate, second.rate)
    np.testing.assert_array_equal(first.counts, second.counts)
    assert first.recipe == second.recipe


def test_splits_of_one_seed_have_nothing_in_common() -> None:
    training, evaluation = (
        simulate_scan(3, SHAPE, split=split) for split in ("training", "evaluation")
    )
    assert training.recipe.oversampling != evaluation.recipe.oversampling
    assert not np.array_equal(training.counts, evaluation.counts)
