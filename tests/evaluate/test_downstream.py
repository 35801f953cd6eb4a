"""Phase retrieval of filled scans: the retrieval, the comparison with the truth, the study."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bcdi_inpaint.evaluate import Request, cohere
from bcdi_inpaint.evaluate.downstream import (
    FILLS,
    Digests,
    Ledger,
    Plan,
    Reconstruction,
    Scene,
    bounds_of,
    simulated_view,
    study,
)
from bcdi_inpaint.evaluate.downstream_report import report
from bcdi_inpaint.evaluate.retrieval import Bounds, Schedule, free_voxels, retrieve
from bcdi_inpaint.evaluate.truth import aligned, errors
from bcdi_inpaint.filling import Inpainted, Report

SHAPE = (24, 28, 32)
SHORT = Schedule(raar=12, er=4, shrink=4)
MINIATURE = Plan(
    scenes=(Scene("9 px", shape=(32, 32, 32), width=6),),
    measured=(),
    objects=1,
    starts=2,
    schedule=SHORT,
    crosses=1,
    cross_edge=40,
    pictured=("9 px",),
)


@pytest.fixture(scope="module")
def crystal():
    """A complex object without symmetry, at the array's corner as an inverse FFT puts it."""
    frame, row, col = np.meshgrid(*(np.arange(n) - n // 2 for n in SHAPE), indexing="ij")
    inside = (np.abs(frame) < 4) & (np.abs(row) < 5) & (np.abs(col) < 6) & (frame + row + col < 5)
    phase = 0.02 * (frame * row + col * col - 3 * row)
    return np.fft.ifftshift(inside * np.exp(1j * phase))


@pytest.fixture(scope="module")
def counts(crystal):
    waves = np.fft.fftshift(np.fft.fftn(crystal))
    rate = 1e6 * np.abs(waves) ** 2 / (np.abs(waves) ** 2).max()
    return np.random.default_rng(0).poisson(rate).astype(np.float32)


def test_the_best_ranked_of_a_few_starts_finds_the_object(crystal, counts):
    free = free_voxels(np.ones(SHAPE, bool), np.random.default_rng(1))
    found = [retrieve(Bounds.of(counts, counts), counts, free, seed=s) for s in range(4)]
    best = min(found, key=lambda solution: solution.merit)
    assert errors(aligned(best.image, crystal), crystal).complex_l2 < 0.15


def test_what_is_free_can_not_change_a_reconstruction(counts):
    hidden = np.zeros(SHAPE, bool)
    hidden[:, :, 20:24] = True
    free = free_voxels(~hidden, np.random.default_rng(1))
    images = [
        retrieve(
            Bounds.of(values, values).freed(hidden), counts, free, seed=0, schedule=SHORT
        ).image
        for values in (counts, np.where(hidden | free, 1e5, counts))
    ]
    np.testing.assert_array_equal(*images)


def test_voxels_that_rank_are_measured_and_away_from_the_peak():
    measured = np.ones((48, 48, 48), bool)
    measured[:, 30:36] = False
    free = free_voxels(measured, np.random.default_rng(0))
    assert not (free & ~measured).any()
    assert not free[24, 24, 24]
    assert 0.005 < free.mean() < 0.03


@pytest.mark.parametrize("use", ["zero", "free", "hard", "soft", "band"])
def test_every_treatment_keeps_what_was_measured(counts, use):
    mask = np.zeros(SHAPE, bool)
    mask[:, 10:14] = True
    sigma = np.where(mask, 3, 0).astype(np.float32)
    filled = Inpainted(counts, sigma, mask, Report("", int(mask.sum()), 0.0, 0.0))
    bounds = bounds_of(filled, next(f for f in FILLS.values() if f.use == use))
    np.testing.assert_array_equal(bounds.low[~mask], np.sqrt(counts[~mask]))
    np.testing.assert_array_equal(bounds.high[~mask], np.sqrt(counts[~mask]))
    assert (bounds.low <= bounds.high).all()
    assert np.isinf(bounds.high[mask]).all() == (use == "free")


def test_twin_shift_phase_and_scale_are_no_errors(crystal):
    twin = np.roll(crystal[::-1, ::-1, ::-1].conj(), 1, (0, 1, 2))
    steps = np.meshgrid(*(np.fft.fftfreq(n) for n in SHAPE), indexing="ij")
    ramp = np.exp(-2j * np.pi * sum(s * k for s, k in zip((2.5, -1.25, 4.0), steps, strict=True)))
    for image in (crystal, twin):
        changed = 3 * np.exp(1.2j) * np.fft.ifftn(np.fft.fftn(image) * ramp)
        assert errors(aligned(changed, crystal), crystal).complex_l2 < 0.03


def test_an_error_of_phase_is_found_in_the_figures(crystal):
    wrong = crystal * np.exp(0.3j * np.sign(np.random.default_rng(0).normal(size=SHAPE)))
    found = errors(aligned(wrong, crystal), crystal)
    assert found.phase_std == pytest.approx(0.3, abs=0.03)
    assert found.complex_l2 == pytest.approx(np.sin(0.3), abs=0.03)
    assert found.modulus_rmse < 0.06


def test_cohere_reads_our_export_and_finds_the_object(crystal, counts):
    if not cohere.available():
        pytest.skip("cohere is not installed")
    off_centre = np.roll(counts, (1, -2, 3), (0, 1, 2))  # the exporter rolls the peak to the middle
    waves = np.roll(np.fft.fftshift(np.fft.fftn(crystal)), (1, -2, 3), (0, 1, 2))
    truth = np.fft.ifftn(np.fft.ifftshift(waves))
    nothing = np.zeros(SHAPE, bool)
    filled = Inpainted(off_centre, np.zeros(SHAPE, np.float32), nothing, Report("", 0, 0.0, 0.0))
    found = list(cohere.reconstructions(filled, 3))
    best = min(found, key=lambda solution: solution.merit)
    assert errors(aligned(best.image, truth), truth).complex_l2 < 0.25
    again = next(iter(cohere.reconstructions(filled, 1)))
    assert again.merit == pytest.approx(found[0].merit, rel=1e-3)


def test_gap_and_object_of_a_scene_belong_to_the_counts():
    scene = Scene("x", 6, 4, shape=(32, 32, 32))
    view = simulated_view(scene, 3)
    np.testing.assert_array_equal(np.flatnonzero(view.mask[0].all(0)), range(20, 26))
    amplitude = np.abs(np.fft.fftshift(np.fft.fftn(view.truth)))
    assert np.corrcoef(np.sqrt(view.counts).ravel(), amplitude.ravel())[0, 1] > 0.98


def test_results_of_other_weights_are_dropped(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, lambda *_: True)
    line = Reconstruction("bench", "9 px", "1", "patching", "old", 0, 1.0, 0.1, 0.1, 0.1, 0.1)
    other = replace(line, fill="free", weights="")
    ledger.add(line, other)
    kept = Ledger(path, lambda fill, weights: fill.use == "free" or weights == "new")
    assert kept.lines == [other]
    assert len(path.read_text().splitlines()) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The command in miniature."""
    folder = tmp_path_factory.mktemp("downstream")
    request = Request(out=folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cohere, "CONFIGURATION", {**cohere.CONFIGURATION, **BRIEF})
        ledger = report(request, Console(quiet=True), MINIATURE)
    return folder, request, ledger


BRIEF = {"algorithm_sequence": "4*ER+6*HIO+4*ER"}


def test_the_study_holds_every_fill_of_every_start(finished):
    _, _, ledger = finished
    lines = [line for line in ledger.of(Reconstruction) if line.engine == "bench"]
    fills = set(FILLS) - {"reference"}
    assert {(r.fill, r.start) for r in lines} >= {(f, s) for f in fills for s in (0, 1)}
    assert all(np.isfinite(r.complex_l2) and r.complex_l2 > 0 for r in lines)
    weights = {r.fill: r.weights for r in lines}
    assert weights["patching"] == weights["patching, band"] != ""
    assert weights["linear"] == ""


def test_tables_and_pictures_are_written(finished):
    folder, _, _ = finished
    text = (folder / "tables.md").read_text()
    assert "complex L2 error" in text
    assert "true phases" in text
    assert "| 9 px |" in text
    assert json.loads((folder / "tables.json").read_text())["tables"]
    for picture in ("scatter.png", "true-phases.png", "slices-9-px.png"):
        assert (folder / picture).stat().st_size > 5_000


def test_a_second_run_makes_nothing_again(finished, tmp_path):
    folder, request, ledger = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = replace(request, methods=("linear", "kriging", "patching")).config()
    told: list[str] = []
    again = Ledger(tmp_path / "ledger.jsonl", Digests(config).current)
    study(MINIATURE, config, again, tmp_path, None, lambda what, _: told.append(what))
    assert told == ["done"]
    assert len(again.lines) == len(ledger.lines)
