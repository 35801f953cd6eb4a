from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from bcdi_inpaint.lab.evaluate import metrics


def test_pcc_by_hand():
    # log(1 + I) is (0, ln 2, ln 4) against (0, ln 4, ln 2): in units of ln 2, (0, 1, 2) and (0, 2, 1).
    # Deviations (-1, 0, 1) and (-1, 1, 0): the correlation is 1 / 2.
    assert metrics.pcc([0, 1, 3], [0, 3, 1]) == pytest.approx(0.5)


def test_pcc_is_of_logarithms_not_of_counts():
    assert metrics.pcc([0, 1, 3, 7], [0, 3, 15, 63]) == pytest.approx(1)
    assert np.corrcoef([0, 1, 3, 7], [0, 3, 15, 63])[0, 1] < 0.99


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_pcc_without_variation_is_nan(constant):
    assert np.isnan(metrics.pcc(np.full(1000, constant), np.arange(1000)))


def test_perfect_predictor_reaches_the_ceiling_and_a_smoother_one_stays_below():
    rng = np.random.default_rng(1)
    rate = np.exp(ndimage.gaussian_filter(rng.normal(size=(24, 24, 24)), 1.5) * 12)
    counts = rng.poisson(rate)
    ceiling = metrics.pcc_ceiling(rate, counts)
    smooth = np.expm1(ndimage.gaussian_filter(np.log1p(rate), 2))
    assert metrics.pcc(rate, counts) == ceiling < 0.95
    assert 0.2 < metrics.pcc(smooth, counts) < ceiling
    assert metrics.pcc(rate, rate) == pytest.approx(1)


@pytest.mark.parametrize(
    ("mean", "ceiling"), [((0.2, 0.5), 0.65), ((1, 3), 0.87), ((10, 100), 0.95)]
)
def test_ceiling_falls_with_the_counts(mean, ceiling):
    """The ceilings of patches that were measured on three other simulated particles."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(20):
        log_rate = ndimage.gaussian_filter(rng.normal(size=(32, 32, 32)), 2, mode="wrap")
        rate = np.exp(1.3 * log_rate / log_rate.std())
        rate *= np.exp(rng.uniform(*np.log(mean))) / rate.mean()
        found.append(metrics.pcc_ceiling(rate, rng.poisson(rate)))
    assert np.mean(found) == pytest.approx(ceiling, abs=0.06)


def test_amplitude_residual_by_hand():
    # |2 - 1| + |0 - 2| + |3 - 3| over 1 + 2 + 3.
    assert metrics.amplitude_residual([4, 0, 9], [1, 4, 9]) == pytest.approx(0.5)
    assert np.isnan(metrics.amplitude_residual([1.0], [0.0]))


def _ratio(sums: dict[str, list[float]]) -> np.ndarray:
    return metrics.ratio(sums["filled"], sums["true"])


def test_bands_by_hand():
    fill = [0.1, 0.2, 0.5, 2, 2, 5, 50, 200]
    truth = [0.0, 0.6, 0.5, 1, 2, 4, 60, 100]
    by_fill = metrics.band_sums(fill, truth, by="fill")
    np.testing.assert_array_equal(by_fill["voxels"], [2, 1, 2, 1, 1, 1])
    np.testing.assert_allclose(_ratio(by_fill), [0.3 / 0.6, 1, 4 / 3, 5 / 4, 5 / 6, 2])
    by_rate = metrics.band_sums(fill, truth, by="rate")
    np.testing.assert_array_equal(by_rate["voxels"], [1, 2, 2, 1, 1, 1])
    assert np.isnan(_ratio(by_rate)[0])
    np.testing.assert_allclose(_ratio(by_rate)[1:], [0.7 / 1.1, 4 / 3, 5 / 4, 5 / 6, 2])


def test_band_edges_belong_to_the_upper_band():
    np.testing.assert_array_equal(
        metrics.band_sums([0.3, 1, 3, 10, 100], np.ones(5))["voxels"], [0, 1, 1, 1, 1, 1]
    )


def test_banding_by_the_truth_makes_the_best_predictor_look_biased():
    """Rate and data from a known prior: the posterior mean is the best that can be done."""
    rng = np.random.default_rng(3)
    rate = rng.gamma(1.0, 5.0, 200_000)
    seen = rng.poisson(rate)
    best = (1.0 + seen) / (1 / 5.0 + 1)
    by_fill = metrics.band_sums(best, rate, by="fill")
    filled = np.array(by_fill["voxels"]) > 0
    np.testing.assert_allclose(_ratio(by_fill)[filled], 1, atol=0.02)
    by_rate = _ratio(metrics.band_sums(best, rate, by="rate"))
    assert by_rate[0] > 1.5
    assert by_rate[4] < 0.97


def test_bands_of_several_gaps_add_up():
    a = metrics.band_sums([0.5, 2], [1, 2])
    b = metrics.band_sums([0.5, 20], [0.25, 30])
    both = metrics.band_sums([0.5, 2, 0.5, 20], [1, 2, 0.25, 30])
    for name, sums in both.items():
        np.testing.assert_allclose(np.add(a[name], b[name]), sums)


def _gamma_case(n: int = 60_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    mean = np.exp(rng.uniform(np.log(0.05), np.log(1000), n))
    sigma = mean * rng.uniform(0.05, 1.5, n)
    return mean, sigma, rng.gamma((mean / sigma) ** 2, sigma**2 / mean)


def test_coverage_of_calibrated_and_of_overconfident_intervals():
    mean, sigma, rate = _gamma_case()
    assert metrics.coverage(mean, sigma, rate) == pytest.approx((0.68, 0.95), abs=0.01)
    overconfident = metrics.coverage(mean, sigma / 2, rate)
    assert overconfident[0] < 0.5
    assert overconfident[1] < 0.8
    counts = np.random.default_rng(5).poisson(rate)
    found = metrics.coverage_of_counts(mean, sigma, counts)
    assert found == pytest.approx((0.68, 0.95), abs=0.01)


def test_coverage_by_hand():
    # With sigma = mean the gamma distribution is exponential: the central 68 % of a mean of 1 are
    # -ln(.84) = 0.174 ... -ln(.16) = 1.833.
    rates = [0.17, 0.18, 1.83, 1.84]
    assert metrics.coverage(np.ones(4), np.ones(4), rates) == (0.5, 1.0)


def test_no_uncertainty_covers_only_what_is_exact():
    assert metrics.coverage([1, 2, 0, 0], np.zeros(4), [1, 3, 0, 1]) == (0.5, 0.5)


def test_coverage_of_counts_without_uncertainty_is_poisson():
    counts = np.random.default_rng(6).poisson(2.5, 100_000)
    mean = np.full(100_000, 2.5)
    found = metrics.coverage_of_counts(mean, np.zeros(100_000), counts)
    assert found == pytest.approx((0.68, 0.95), abs=0.01)


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [-1.0, 1.0], [np.inf, 1.0]])
def test_impossible_counts_are_refused(bad):
    for measure in (metrics.pcc, metrics.amplitude_residual, metrics.band_sums):
        with pytest.raises(ValueError, match="finite and at least 0"):
            measure(bad, [1.0, 2.0])


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        metrics.pcc([1.0, 2.0], [1.0, 2.0, 3.0])


counts_arrays = arrays(np.float64, 40, elements=st.floats(0, 1e6))


@given(counts_arrays, counts_arrays)
@settings(max_examples=60, deadline=None)
def test_pcc_laws(a, b):
    value = metrics.pcc(a, b)
    if not np.isnan(value):
        assert -1 - 1e-9 <= value <= 1 + 1e-9
        assert value == pytest.approx(metrics.pcc(b, a))
        order = np.random.default_rng(0).permutation(40)
        assert value == pytest.approx(metrics.pcc(a[order], b[order]), abs=1e-9)


@given(counts_arrays, counts_arrays)
@settings(max_examples=60, deadline=None)
def test_bands_hold_every_voxel_and_every_count(a, b):
    for by in ("fill", "rate"):
        sums = metrics.band_sums(a, b, by=by)
        assert sum(sums["voxels"]) == 40
        assert sum(sums["filled"]) == pytest.approx(a.sum())
        assert sum(sums["true"]) == pytest.approx(b.sum())


@pytest.mark.slow
def test_metrics_do_without_pandas():
    asked = (
        "from bcdi_inpaint.lab.evaluate import metrics; print(metrics.pcc([0, 1, 3], [0, 3, 1]))"
    )
    command = [sys.executable, "-c", f"import sys; sys.modules['pandas'] = None; {asked}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(0.5)
