"""Simulated scans cover a measured one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bcdi_inpaint.lab.simulate import realism

MEASURED = Path(__file__).parents[4] / "shared" / "data" / "aps34idc_S0054.npz"
PERIODS = (7.8, 3.7, 2.9)


def test_visibility_of_fringes_of_known_contrast() -> None:
    """Of a (1 + v cos) fringe the deviation over the mean is v / sqrt(2)."""
    frames = np.arange(96).reshape(-1, 1, 1)
    counts = np.broadcast_to(1e6 * (1 + 0.6 * np.cos(2 * np.pi * frames / 4)), (96, 96, 96))
    visibility = realism.likeness(counts, (4.0, 4.0, 4.0)).visibility
    np.testing.assert_allclose(visibility[2:6], 0.6 / np.sqrt(2), rtol=0.15)


def test_photon_noise_is_no_fringe() -> None:
    counts = np.random.default_rng(0).poisson(3.0, (96, 96, 96))
    seen = realism.likeness(counts, (4.0, 4.0, 4.0))
    assert seen.visibility[3:9].max() < 0.15
    np.testing.assert_allclose(seen.zeros[4:9], np.exp(-3), atol=0.02)


def test_simulated_scans_cover_the_measured_one() -> None:
    if not MEASURED.exists():
        pytest.skip(f"{MEASURED} is absent: it holds a measured scan")
    counts = realism.measured_counts(MEASURED)
    measured = realism.likeness(counts, PERIODS)
    simulated = realism.simulated_likeness(counts, PERIODS, range(12))
    for name in ("profile", "visibility", "zeros", "exceedance"):
        values = np.array([getattr(item, name) for item in simulated])
        lowest, highest = values.min(axis=0), values.max(axis=0)
        within = (lowest <= getattr(measured, name)) & (getattr(measured, name) <= highest)
        assert within.mean() > 0.85, name


def test_figure_is_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    items = [realism.likeness(rng.poisson(2.0, (64, 64, 64)), (2.5, 2.5, 2.5)) for _ in range(3)]
    realism.plot(items[0], items[1:], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
