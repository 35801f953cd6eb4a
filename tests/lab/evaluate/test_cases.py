from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcdi_inpaint.lab.evaluate import cases
from bcdi_inpaint.lab.simulate import draw_recipe
from bcdi_inpaint.lab.simulate.recipes import (
    EVALUATION_FAMILIES,
    TRAINING_FAMILIES,
    TRAINING_STRAINS,
)

SHAPE = (128, 128, 128)


@given(
    st.sampled_from(["vertical", "horizontal", "cross"]),
    st.sampled_from([3, 6, 9, 12, 38, 41]),
    st.integers(1, 40),
    st.tuples(st.integers(30, 97), st.integers(30, 97)),
    st.integers(0, 2**32),
)
@settings(max_examples=200, deadline=None)
def test_gaps_lie_beside_the_peak_at_the_stated_distance(kind, width, distance, peak, seed):
    gap = cases.place_gap(kind, width, distance, peak, SHAPE[1:], np.random.default_rng(seed))
    mask = gap.mask(SHAPE[1:])
    assert not mask[peak]
    found = []
    for missing, centre, expected in (
        (mask.all(axis=1), peak[0], kind != "vertical"),
        (mask.all(axis=0), peak[1], kind != "horizontal"),
    ):
        assert missing.sum() == (width if expected else 0)
        if expected:
            indices = np.flatnonzero(missing)
            assert np.ptp(indices) == width - 1
            found.append(np.abs(indices - centre).min())
            edge = max(8, 16 - width // 2)
            assert indices[0] >= edge
            assert indices[-1] < 128 - edge
    assert gap.distance == min(found) <= distance


def test_gaps_are_where_they_are_asked_for_if_they_fit():
    rng = np.random.default_rng(0)
    sides = {cases.place_gap("vertical", 6, 10, (64, 64), (128, 128), rng).cols for _ in range(50)}
    assert sides == {(49, 55), (74, 80)}


def test_a_gap_without_room_is_refused():
    with pytest.raises(ValueError, match="41 px gap"):
        cases.place_gap("vertical", 41, 5, (32, 32), (64, 64), np.random.default_rng(0))


@pytest.mark.parametrize("which", ["held-out", "plain", "bright"])
def test_no_pattern_was_ever_seen_in_training(which):
    """Another stream of random numbers than training's at every seed, whatever the seed."""
    drawn = cases.recipes(which, 12, SHAPE)
    assert {recipe.split for recipe in drawn} == {"evaluation"}
    assert len({recipe.seed for recipe in drawn}) == 12
    for recipe in drawn[:3]:
        trained = draw_recipe(recipe.seed, SHAPE, split="training")
        assert recipe.stream("crystal").random() != trained.stream("crystal").random()
        assert recipe.diameter != trained.diameter
    assert drawn[:5] == cases.recipes(which, 5, SHAPE)


def test_sets_share_no_seed():
    seeds = [r.seed for which in cases.SEEDS for r in cases.recipes(which, 40, SHAPE)]
    assert len(seeds) == len(set(seeds))


def test_two_thirds_of_the_held_out_set_are_of_kinds_that_training_lacks():
    drawn = cases.recipes("held-out", 9, SHAPE)
    assert sum(cases.held_out(recipe) for recipe in drawn) >= 6
    assert any(recipe.family not in TRAINING_FAMILIES for recipe in drawn)
    assert any(recipe.strain not in TRAINING_STRAINS for recipe in drawn)
    assert all(recipe.family in EVALUATION_FAMILIES for recipe in drawn)


def test_bright_patterns():
    for recipe in cases.recipes("bright", 8, SHAPE):
        assert 1e6 <= recipe.peak_counts <= 1e7
        assert all(3 <= value <= 5 for value in recipe.oversampling)


@pytest.mark.parametrize(("kind", "width"), [("vertical", 6), ("cross", 9), ("vertical", 38)])
def test_patches_have_the_gap_in_the_middle_and_the_peak_far_off(kind, width):
    rng = np.random.default_rng(1)
    peak = (60, 66, 62)
    gap = cases.place_gap(kind, width, 10, peak[1:], SHAPE[1:], rng)
    boxes = cases.patches(gap, SHAPE, peak, 10, rng)
    assert len(boxes) == 10
    mask = np.broadcast_to(gap.mask(SHAPE[1:]), SHAPE)
    for box in boxes:
        size = [s.stop - s.start for s in box]
        assert sorted(size) == [32, 32, max(32, width)]
        centre = np.array([(s.start + s.stop) / 2 for s in box])
        assert np.linalg.norm(centre - peak) >= 20
        assert mask[box][:, size[1] // 2, size[2] // 2].all()
