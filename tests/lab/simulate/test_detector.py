"""The detector's doings show in rate and counts, where they belong."""

from __future__ import annotations

from typing import Any

import numpy as np

from bcdi_inpaint.lab.simulate import SimulatedScan, simulate_scan

SHAPE = (32, 48, 40)
CLEAN: dict[str, Any] = {
    "peak_counts": 1e4,
    "background": 0.0,
    "scatter": 0.0,
    "aliens": 0,
    "streaks": 0,
    "hot_pixels": 0,
    "dead_pixels": 0,
    "flat_field": 0.0,
    "flux_spread": 0.0,
    "saturation": 2**31 - 1,
}


def scan(**parameters: Any) -> SimulatedScan:
    return simulate_scan(3, SHAPE, **{**CLEAN, **parameters})


def test_background_adds_everywhere() -> None:
    np.testing.assert_allclose(scan(background=0.5).rate - scan().rate, 0.5, atol=1e-3)


def test_scatter_fades_from_the_peak() -> None:
    added = scan(scatter=2.0, peak_offset=(0.0, 0.0, 0.0)).rate
    added = added - scan(peak_offset=(0.0, 0.0, 0.0)).rate
    assert np.isclose(added[16, 24, 20], 2, atol=0.01)
    assert added.min() > 0
    assert added[[0, -1]].max() < added[16].max()


def test_aliens_and_streaks_are_local() -> None:
    for name in ("aliens", "streaks"):
        added = scan(**{name: 1}).rate - scan().rate
        assert added.min() > -1e-2
        assert added.max() > 0.05
        assert np.median(added) < 0.05 * added.max()


def test_hot_and_dead_pixels_are_flagged() -> None:
    spoilt = scan(hot_pixels=5, dead_pixels=4)
    assert spoilt.bad_pixels.sum() == 9
    sums = spoilt.rate[:, spoilt.bad_pixels].sum(axis=0)
    assert (sums == 0).sum() == 4
    np.testing.assert_allclose(
        spoilt.rate[:, ~spoilt.bad_pixels], scan().rate[:, ~spoilt.bad_pixels], rtol=1e-6
    )


def test_flat_field_is_the_same_in_every_frame() -> None:
    ratio = scan(flat_field=0.03).rate / scan().rate
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], SHAPE), rtol=1e-4)
    assert 0.02 < ratio[0].std() < 0.08


def test_flux_changes_whole_frames() -> None:
    ratio = scan(flux_spread=0.02).rate / scan().rate
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], SHAPE), rtol=1e-4)
    assert 0.01 < ratio[:, 0, 0].std() < 0.04


def test_counts_stop_at_saturation() -> None:
    full = scan(saturation=1000)
    assert full.counts.max() == 1000
    assert full.rate.max() == 1000
