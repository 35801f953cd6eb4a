"""Simulated scans cover a measured one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bcdi_inpaint.cli import app
from bcdi_inpaint.lab.simulate import realism

MEASURED = Path(__file__).parents[4] / "shared" / "data" / "aps34idc_S0054.npz"
PERIODS = (7.8, 3.7, 2.9)


def test_visibility_of_fringes_of_known_contrast() -> None:
    """Of a (1 + v cos) fringe the deviation over the mean is v / sqrt(2)."""
    frames = np.arange(96).reshape(-1, 1, 1)
    counts = np.broadcast_to(1e6 * (1 + 0.6 * np.cos(2 * np.pi * frames / 4)), (96, 96, 96))
    visibility = realism.statistics_of(counts, (4.0, 4.0, 4.0)).visibility
    np.testing.assert_allclose(visibility[2:6], 0.6 / np.sqrt(2), rtol=0.15)


def test_photon_noise_is_no_fringe() -> None:
    counts = np.random.default_rng(0).poisson(3.0, (96, 96, 96))
    seen = realism.statistics_of(counts, (4.0, 4.0, 4.0))
    assert seen.visibility[3:9].max() < 0.15
    np.testing.assert_allclose(seen.zeros[4:9], np.exp(-3), atol=0.02)


@pytest.mark.slow
def test_simulated_scans_cover_the_measured_one() -> None:
    if not MEASURED.exists():
        pytest.skip(f"{MEASURED} is absent: it holds a measured scan")
    counts = realism.measured_counts(MEASURED)
    measured = realism.statistics_of(counts, PERIODS)
    simulated = [realism.simulated_statistics(counts, PERIODS, seed) for seed in range(12)]
    for name in ("profile", "visibility", "zeros", "exceedance"):
        values = np.array([getattr(item, name) for item in simulated])
        lowest, highest = values.min(axis=0), values.max(axis=0)
        within = (lowest <= getattr(measured, name)) & (getattr(measured, name) <= highest)
        assert within.mean() > 0.85, name


@pytest.mark.slow
def test_the_command_draws_a_figure(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(2.0, (64, 66, 68))
    counts[30, 33, 35] = 1000
    scan, figure = tmp_path / "scan.npz", tmp_path / "figure.png"
    np.savez(scan, data=counts)
    command = ["compare-simulation", str(scan), str(figure), "--periods", "1.5", "1.5", "1.5"]
    out = CliRunner().invoke(app, [*command, "--count", "2"])
    assert out.exit_code == 0, out.output
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_scan_that_is_too_small_is_refused(tmp_path: Path) -> None:
    scan = tmp_path / "scan.npz"
    np.savez(scan, data=np.ones((20, 20, 20)))
    with pytest.raises(ValueError, match="doesn't reach"):
        realism.compare(scan, tmp_path / "figure.png", (2.5, 2.5, 2.5))
