"""A gap is filled from its mirror image, as far as that can be believed."""

from __future__ import annotations

import numpy as np
import pytest

import bcdi_inpaint as bi
from bcdi_inpaint.filling.estimation import estimate
from bcdi_inpaint.filling.friedel.twin import twin_of
from bcdi_inpaint.lab.evaluate.metrics import coverage, pcc
from bcdi_inpaint.lab.simulate import SimulatedScan, simulate_scan

SHAPE = (72, 80, 80)


@pytest.fixture(scope="module")
def scan() -> SimulatedScan:
    return simulate_scan(
        21,
        SHAPE,
        split="evaluation",
        strain="smooth",
        strain_strength=0.25,
        peak_counts=3e5,
        oversampling=(4.0, 4.0, 4.5),
        peak_offset=(1.0, -2.0, -8.0),
        hot_pixels=0,
        dead_pixels=0,
        aliens=0,
        streaks=0,
    )


def columns(start: int, width: int) -> np.ndarray:
    mask = np.zeros(SHAPE[1:], bool)
    mask[:, start : start + width] = True
    return mask


def filled(scan: SimulatedScan, mask: np.ndarray, *, twin: bool) -> bi.Inpainted:
    return bi.inpaint(scan.counts, mask, "kriging", self_check=False, twin=twin)


def test_a_wide_gap_is_much_closer_to_the_truth(scan: SimulatedScan) -> None:
    mask = columns(40, 24)
    gap = np.broadcast_to(mask, SHAPE)
    without, with_it = (filled(scan, mask, twin=twin) for twin in (False, True))
    assert with_it.report.twin_share > 0.8
    away = [1 - pcc(out.intensity[gap], scan.rate[gap]) for out in (without, with_it)]
    assert away[1] < 0.6 * away[0]
    covered = coverage(with_it.intensity[gap], with_it.sigma[gap], scan.rate[gap])
    assert 0.5 < covered[0] < 0.95


def test_the_report_names_centre_symmetry_and_share(scan: SimulatedScan) -> None:
    report = filled(scan, columns(40, 6), twin=True).report
    assert report.centre is not None
    np.testing.assert_allclose(report.centre, np.array(SHAPE) // 2 + (1.0, -2.0, -8.0), atol=0.35)
    assert report.symmetry > 0.5
    assert filled(scan, columns(40, 6), twin=False).report.twin_share == 0


def test_where_nothing_is_believed_the_fill_is_what_it_would_be_without() -> None:
    counts = np.random.default_rng(0).poisson(3.0, (24, 40, 40))
    mask = np.zeros((40, 40), bool)
    mask[18:22] = True
    without, with_it = (
        bi.inpaint(counts, mask, "kriging", self_check=False, twin=twin) for twin in (False, True)
    )
    assert with_it.report.symmetry == 0
    np.testing.assert_array_equal(without.intensity, with_it.intensity)
    np.testing.assert_array_equal(without.sigma, with_it.sigma)


def test_what_lies_in_missing_voxels_never_comes_back_through_the_mirror(
    scan: SimulatedScan,
) -> None:
    # A cross: either arm's twin crosses the other arm.
    mask = columns(40, 6)
    mask[45:51] = True
    spoiled = np.where(mask, 2**31 - 1, scan.counts)
    first, second = (
        bi.inpaint(stack, mask, "kriging", self_check=False, twin=True)
        for stack in (scan.counts, spoiled)
    )
    np.testing.assert_array_equal(first.intensity, second.intensity)


def test_a_gap_that_is_its_own_mirror_image_has_no_twin(scan: SimulatedScan) -> None:
    mask = np.broadcast_to(columns(40, 6), SHAPE)
    found = estimate(np.where(mask, 0, scan.counts).astype(np.float32), mask)
    assert found.symmetry.believed
    start = round(found.symmetry.mirror[2] / 2) - 3
    through = np.broadcast_to(columns(start, 7), SHAPE)
    box = (slice(0, 72), slice(0, 80), slice(start, start + 7))
    assert twin_of(scan.counts, through, box, found.symmetry) is None
