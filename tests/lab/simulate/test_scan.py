"""A simulated scan is a function of its recipe; its counts are Poisson numbers about its rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bcdi_inpaint.lab.simulate import draw_recipe, render, simulate_scan

SHAPE = (48, 48, 48)


def test_same_seed_gives_the_same_scan() -> None:
    first, second = (simulate_scan(3, SHAPE, amplitude=True) for _ in range(2))
    np.testing.assert_array_equal(first.rate, second.rate)
    np.testing.assert_array_equal(first.counts, second.counts)
    np.testing.assert_array_equal(first.amplitude, second.amplitude)
    assert first.recipe == second.recipe


def test_splits_of_one_seed_have_nothing_in_common() -> None:
    training, evaluation = (
        simulate_scan(3, SHAPE, split=split) for split in ("training", "evaluation")
    )
    assert training.recipe.oversampling != evaluation.recipe.oversampling
    assert not np.array_equal(training.counts, evaluation.counts)


def test_shapes_and_types() -> None:
    scan = simulate_scan(1, (20, 24, 28))
    assert scan.rate.shape == scan.counts.shape == (20, 24, 28)
    assert scan.rate.dtype == np.float32
    assert scan.counts.dtype == np.int32
    assert scan.angles.shape == (20,)
    assert scan.bad_pixels.shape == (24, 28)
    assert scan.amplitude is None


def test_counts_are_poisson_numbers_about_the_rate() -> None:
    scan = simulate_scan(2, SHAPE, peak_counts=1e5, background=2.0, saturation=2**31 - 1)
    lit = scan.rate > 1
    residual = (scan.counts[lit] - scan.rate[lit]) / np.sqrt(scan.rate[lit])
    assert abs(residual.mean()) < 5 / np.sqrt(residual.size)
    np.testing.assert_allclose(residual.var(), 1, atol=0.03)


def test_another_noise_stream_is_another_scan_of_the_same_rate() -> None:
    """Peak counts scale the crystal's part and leave everything else as it was."""
    recipe = draw_recipe(5, SHAPE, background=0.0, scatter=0.0, aliens=0, streaks=0, hot_pixels=0)
    bright = render(replace(recipe, peak_counts=1e5, saturation=2**31 - 1))
    dim = render(replace(recipe, peak_counts=1e3, saturation=2**31 - 1))
    np.testing.assert_allclose(bright.rate, 100 * dim.rate, rtol=1e-4, atol=1e-3)


def test_rate_without_surroundings_is_the_blurred_intensity() -> None:
    scan = simulate_scan(
        5,
        SHAPE,
        amplitude=True,
        background=0.0,
        scatter=0.0,
        aliens=0,
        streaks=0,
        hot_pixels=0,
        dead_pixels=0,
        flat_field=0.0,
        flux_spread=0.0,
        saturation=2**31 - 1,
        blur=(0.0, 0.0, 0.0),
    )
    assert scan.amplitude is not None
    intensity = np.abs(scan.amplitude) ** 2
    # the pixels' own width is left, along rows and columns
    assert np.corrcoef(intensity.ravel(), scan.rate.ravel())[0, 1] > 0.999
    assert np.isclose(intensity.sum(), scan.rate.sum(), rtol=0.02)


def test_torch_gives_the_same_rate_as_numpy() -> None:
    for seed in range(3):
        recipe = draw_recipe(seed, (32, 32, 32), split="evaluation")
        plain, torch = render(recipe), render(recipe, device="cpu")
        np.testing.assert_allclose(torch.rate, plain.rate, rtol=1e-3, atol=1e-5 * plain.rate.max())
