"""A fill's own check: artificial gaps over measured voxels, and kriging where the model loses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import bcdi_inpaint as bi
from bcdi_inpaint.export.treatment import recommended
from bcdi_inpaint.filling import SelfCheck, judged
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.weights import save_model
from bcdi_inpaint.filling.self_checking import artificial_gaps, brightness
from bcdi_inpaint.lab.simulate import simulate_scan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    counts = simulate_scan(
        12, (48, 64, 64), split="evaluation", peak_counts=1e6, oversampling=(5, 5, 5)
    ).counts
    mask = np.zeros((64, 64), bool)
    mask[36:42] = True
    return counts, mask


def test_a_good_fill_is_trusted(scan: tuple[np.ndarray, np.ndarray]) -> None:
    check = bi.inpaint(*scan).report.self_check
    assert check is not None
    assert check.verdict == "trusted"
    assert check.pcc > check.pcc_linear
    assert check.pcc < check.pcc_ceiling <= 1
    assert 0.7 < check.counts_ratio < 1.4


def test_a_gap_over_the_bragg_peak_is_doubtful_and_not_handed_on_as_measured(
    scan: tuple[np.ndarray, np.ndarray],
) -> None:
    counts, _ = scan
    over_peak = np.zeros((64, 64), bool)
    over_peak[26:38] = True
    out = bi.inpaint(counts, over_peak)
    check = out.report.self_check
    assert check is not None
    assert check.verdict == "doubtful"
    assert "of all counts are in doubt" in check.reason
    assert check.note in out.report.notes
    assert recommended(out) == "free"


def test_the_verdict_follows_the_fill() -> None:
    figures: dict[str, Any] = dict.fromkeys(
        (
            "pcc_kriging",
            "pcc_linear",
            "counts_ratio",
            "counts_ratio_kriging",
            "counts_ratio_linear",
        ),
        1.0,
    )
    check = SelfCheck(100, 0.9, pcc_ceiling=0.95, verdict="doubtful", **figures)
    stack, mask = np.full((2, 10, 10), 100.0), np.zeros((2, 10, 10), bool)
    mask[:, 4] = True

    def verdict(spread: float, check: SelfCheck = check) -> tuple[str, str]:
        sigma = np.where(mask, np.float32(spread), np.float32(0))
        found = judged(check, stack, sigma, mask)
        return found.verdict, found.reason

    assert verdict(30) == ("trusted", "sigma is 30% of what was filled, 3.0% of all counts")
    assert verdict(65)[0] == "doubtful"
    assert "surroundings hardly determine" in verdict(65)[1]
    assert "Bragg peak" in verdict(80)[1]
    assert "below the ceiling" in verdict(30, replace(check, pcc=0.8))[1]
    assert verdict(30, replace(check, verdict="kriging used instead"))[0] == "kriging used instead"


def test_a_model_that_loses_is_replaced(
    scan: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    network = PatchingNetwork((8, 8))
    torch.nn.init.normal_(network.head.weight, std=2.0)
    save_model(network, tmp_path / "bad.safetensors", {})
    out = bi.inpaint(*scan, method="patching", model=str(tmp_path / "bad.safetensors"))
    assert out.report.method == "kriging"
    assert out.report.model_name == ""
    assert out.report.self_check is not None
    assert out.report.self_check.verdict == "kriging used instead"
    assert "kriging used instead" in out.report.to_dict()["notes"]
    np.testing.assert_array_equal(
        out.intensity, bi.inpaint(*scan, method="kriging", self_check=False).intensity
    )


def test_a_method_that_was_asked_for_stays(scan: tuple[np.ndarray, np.ndarray]) -> None:
    report = bi.inpaint(*scan, method="nearest").report
    assert report.method == "nearest"
    assert report.self_check is not None


def test_no_room_for_a_twin_is_said(scan: tuple[np.ndarray, np.ndarray]) -> None:
    counts, _ = scan
    mask = np.ones((64, 64), bool)
    mask[:20] = False
    report = bi.inpaint(counts, mask, method="linear").report
    assert report.self_check is None
    assert any("no artificial gap" in note for note in report.notes)


def test_the_check_does_not_look_into_the_gap(scan: tuple[np.ndarray, np.ndarray]) -> None:
    counts, mask = scan
    other = counts.copy()
    other[:, mask] = 2**31 - 1
    assert (
        bi.inpaint(counts, mask, method="linear").report.self_check
        == bi.inpaint(other, mask, method="linear").report.self_check
    )


@pytest.mark.slow
def test_a_twin_of_another_crystal_costs_the_fill_its_trust() -> None:
    shape = (80, 80, 80)
    settings: dict[str, Any] = {
        "peak_counts": 1e6,
        "oversampling": (6.0, 6.0, 6.0),
        "peak_offset": (0.0, 0.0, 0.0),
        "aliens": 0,
        "streaks": 0,
        "background": 0.01,
        "scatter": 0.0,
    }
    counts, other = (
        simulate_scan(
            seed, shape, family=family, strain=strain, strain_strength=s, **settings
        ).counts
        for seed, family, strain, s in ((12, "cube", "smooth", 0.2), (112, "cube", "strong", 0.9))
    )
    joined = counts.copy()
    joined[:, :, :30] = np.roll(other, 9, axis=1)[:, :, :30]
    gap = np.zeros(shape[1:], bool)
    gap[:, 48:68] = True

    def verdict(pattern: np.ndarray) -> str:
        check = bi.inpaint(np.where(gap, 0, pattern), gap).report.self_check
        assert check is not None
        return check.verdict

    assert verdict(counts) == "trusted"
    assert verdict(joined) == "doubtful"


def test_brightness_compares_the_copies_with_the_gaps_they_copy() -> None:
    mask = np.zeros((12, 40, 40), bool)
    mask[:, :, 18:21] = True
    stack = np.full(mask.shape, 10.0)
    stack[:, :, 24:] = 70.0
    gaps = artificial_gaps(np.where(mask, 0, stack), mask, None)
    assert brightness(gaps, stack, mask) == pytest.approx(7)
    assert np.isnan(brightness(gaps, np.where(mask, 0, stack), mask))
