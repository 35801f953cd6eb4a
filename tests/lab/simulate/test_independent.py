"""The simulator that training never draws from."""

from __future__ import annotations

import numpy as np

from bcdi_inpaint.lab.simulate.independent import independent_scan

SHAPE = (24, 32, 40)


def test_a_seed_gives_one_scan_and_another_seed_another() -> None:
    first = independent_scan(1, SHAPE)
    assert first.shape == SHAPE
    assert first.dtype == np.int32
    np.testing.assert_array_equal(first, independent_scan(1, SHAPE))
    assert not np.array_equal(first, independent_scan(2, SHAPE))


def test_the_peak_is_as_bright_as_asked_and_far_from_the_edges() -> None:
    for seed in range(6):
        scan = independent_scan(seed, SHAPE, peak_counts=1e5)
        assert 0.9e5 < scan.max() < 1.1e5
        peak = np.unravel_index(scan.argmax(), SHAPE)
        assert all(n / 4 < place < 3 * n / 4 for n, place in zip(SHAPE, peak, strict=True))


def test_counts_are_photons_around_a_rate() -> None:
    bright, dim = (independent_scan(4, SHAPE, peak_counts=peak) for peak in (1e6, 1e3))
    # Equal seeds differ in their brightness alone, so dim counts scatter about the bright ones.
    lit = bright > 2e4
    expected = bright[lit] * (dim.max() / bright.max())
    off = (dim[lit] - expected) / np.sqrt(expected)
    assert 0.5 < np.std(off) < 2
