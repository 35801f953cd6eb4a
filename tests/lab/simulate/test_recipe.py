"""Parameters are drawn from one seed, and the splits share nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from bcdi_inpaint.lab.simulate import Recipe, draw_recipe
from bcdi_inpaint.lab.simulate.recipes import EVALUATION_FAMILIES, EVALUATION_STRAINS

SEEDS = range(300)


def test_training_never_sees_the_families_kept_for_evaluation() -> None:
    training = [draw_recipe(seed) for seed in SEEDS]
    evaluation = [draw_recipe(seed, split="evaluation") for seed in SEEDS]
    assert {r.family for r in evaluation} == set(EVALUATION_FAMILIES)
    assert {r.strain for r in evaluation} == set(EVALUATION_STRAINS)
    assert {r.family for r in evaluation} - {r.family for r in training} == {"hexagonal_prism"}
    assert {r.strain for r in evaluation} - {r.strain for r in training} == {"inclusion"}


def test_splits_draw_from_disjoint_streams() -> None:
    draws = {
        (split, stage): draw_recipe(11, split=split).stream(stage).random()
        for split in ("training", "evaluation")
        for stage in ("recipe", "rocking", "crystal", "strain", "detector", "noise")
    }
    assert len(set(draws.values())) == len(draws)


def test_draws_cover_what_beamlines_measure() -> None:
    recipes = [draw_recipe(seed) for seed in SEEDS]
    oversampling = np.array([r.oversampling for r in recipes])
    np.testing.assert_allclose(oversampling.min(axis=0), 2.5, atol=0.1)
    assert (oversampling.max(axis=0) > 7.5).all()
    assert np.abs(np.corrcoef(oversampling.T) - np.eye(3)).max() < 0.25  # independent
    magnitude = np.log10([r.peak_counts for r in recipes])
    assert magnitude.min() < 2.2
    assert magnitude.max() > 6.8
    assert np.histogram(magnitude, 5, (2, 7))[0].min() > 40  # log-uniform


def test_a_pinned_parameter_changes_nothing_else() -> None:
    drawn, pinned = draw_recipe(5), draw_recipe(5, peak_counts=1234.0)
    assert pinned.peak_counts == 1234.0
    assert replace(pinned, peak_counts=drawn.peak_counts) == drawn


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("split", "validation"),
        ("seed", -1),
        ("shape", (128, 128)),
        ("oversampling", (0.5, 3.0, 3.0)),
        ("peak_counts", 0.0),
        ("peak_counts", 1e12),
        ("saturation", 0),
    ],
)
def test_refuses_what_cannot_be_simulated(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} is "):
        replace(draw_recipe(0), **{name: value})  # type: ignore[arg-type]


def test_refuses_a_parameter_it_does_not_have() -> None:
    assert "colour" not in {field.name for field in fields(Recipe)}
    with pytest.raises(TypeError, match="colour"):
        draw_recipe(0, colour="red")
