"""Reconstructions against the true object."""

from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.lab.evaluate.downstream.truth import aligned, errors


def test_twin_shift_phase_and_scale_are_no_errors(crystal):
    twin = np.roll(crystal[::-1, ::-1, ::-1].conj(), 1, (0, 1, 2))
    steps = np.meshgrid(*(np.fft.fftfreq(n) for n in crystal.shape), indexing="ij")
    ramp = np.exp(-2j * np.pi * sum(s * k for s, k in zip((2.5, -1.25, 4.0), steps, strict=True)))
    for image in (crystal, twin):
        changed = 3 * np.exp(1.2j) * np.fft.ifftn(np.fft.fftn(image) * ramp)
        assert errors(aligned(changed, crystal), crystal)["complex_l2"] < 0.03


def test_an_error_of_phase_is_found_in_the_figures(crystal):
    noise = np.random.default_rng(0).normal(size=crystal.shape)
    wrong = crystal * np.exp(0.3j * np.sign(noise))
    found = errors(aligned(wrong, crystal), crystal)
    assert found["phase_std"] == pytest.approx(0.3, abs=0.03)
    assert found["complex_l2"] == pytest.approx(np.sin(0.3), abs=0.03)
    assert found["modulus_rmse"] < 0.06
