from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.lab.evaluate.real_space import real_space_errors


def _particle() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    grid = np.indices((32, 32, 32)) - 16.0
    shape = (np.abs(grid) < np.array([6, 5, 7]).reshape(3, 1, 1, 1)).all(axis=0)
    strained = shape * np.exp(1j * 0.02 * grid[0] * grid[1])
    wave = np.fft.fftshift(np.fft.fftn(strained))
    mask = np.zeros(shape.shape, bool)
    mask[:, :, 19:23] = True
    return np.abs(wave) ** 2, np.angle(wave), mask


def test_real_space_errors_vanish_for_the_truth_and_equal_the_gap_without_filling():
    rate, phase, mask = _particle()
    perfect = real_space_errors(rate, rate, phase, mask)
    assert perfect["phase_std_fill"] < 1e-9
    assert perfect["phase_std_gap"] > 1e-3
    assert perfect["modulus_rmse_fill"] < 1e-9
    assert perfect["strain_rmse_fill"] < 1e-9
    empty = real_space_errors(np.zeros_like(rate), rate, phase, mask)
    for name in ("phase_std", "modulus_rmse", "strain_rmse"):
        assert empty[f"{name}_gap"] == empty[f"{name}_fill"]
    half = real_space_errors(rate / 4, rate, phase, mask)
    assert half["phase_std_gap"] / half["phase_std_fill"] == pytest.approx(2, rel=0.1)
    assert half["modulus_rmse_gap"] / half["modulus_rmse_fill"] == pytest.approx(2, rel=0.1)


def test_real_space_errors_ignore_the_fill_outside_the_gap():
    rate, phase, mask = _particle()
    garbage = np.where(mask, rate, 7.0)
    assert real_space_errors(garbage, rate, phase, mask)["phase_std_fill"] < 1e-9


def test_strain_error_of_a_known_gradient():
    """A displaced spot of intensity leaves a ramp of known slope in real space."""
    delta = np.zeros((32, 32, 32))
    delta[16, 16, 16] = 1.0
    moved = np.roll(delta, 1, axis=2)
    mask = delta + moved > 0
    errors = real_space_errors(moved, delta, np.zeros_like(delta), mask)
    # exp(2 pi i x / 32): 2 pi / 32 rad a voxel along one of three axes, its wrapped ends included.
    assert errors["strain_rmse_fill"] == pytest.approx(2 * np.pi / 32 / np.sqrt(3))
