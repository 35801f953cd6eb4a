"""The demonstration, as a process of its own, and what it is made of."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from bcdi_inpaint import detector, inpaint
from bcdi_inpaint.demo import FROM_PEAK, compare, replayed, simulated
from bcdi_inpaint.export.picture import draw

if TYPE_CHECKING:
    from bcdi_inpaint.demo import Experiment


def saved_scan(folder: Path, peak: tuple[int, int, int], shape=(12, 64, 60)) -> Path:
    distance = sum(
        ((np.arange(n) - p).reshape([-1 if a == axis else 1 for a in range(3)]) / 6) ** 2
        for axis, (n, p) in enumerate(zip(shape, peak, strict=True))
    )
    counts = np.random.default_rng(0).poisson(3000 * np.exp(-distance) + 0.5)
    counts[peak] = 5000
    np.savez(folder / "scan.npz", data=counts.astype(np.int32), theta=np.linspace(0, 1, shape[0]))
    return folder / "scan.npz"


@pytest.mark.parametrize("key", ["maxipix_2x2", "eiger2_4m", "medipix_quad_g3", "eiger2_1m"])
@pytest.mark.parametrize("peak", [(6, 30, 28), (0, 2, 3)])
def test_gaps_pass_near_the_peak(key: str, peak, tmp_path: Path) -> None:
    experiment = replayed(saved_scan(tmp_path, peak), key)
    known = detector(key)
    np.testing.assert_array_equal(experiment.mask, known.mask(roi=experiment.roi))
    for axis, lines in enumerate(known.lines()):
        crossed = experiment.mask.all(axis=1 - axis)
        assert crossed.any() == bool(lines)
        if lines:
            assert np.flatnonzero(crossed)[0] == peak[1 + axis] + FROM_PEAK


def test_the_simulated_scan_has_a_truth() -> None:
    experiment = simulated("maxipix_2x2")
    assert experiment.rate is not None
    assert experiment.counts.shape == experiment.rate.shape
    assert len(experiment.angles) == len(experiment.counts)
    assert 0.05 < experiment.mask.mean() < 0.15


def printed(experiment: Experiment, method: str) -> str:
    filled = inpaint(experiment.counts, experiment.mask, method)
    console = Console(file=io.StringIO(), width=120)
    console.print(compare(experiment, filled))
    return console.file.getvalue()


def test_the_fill_is_held_against_the_truth_the_baselines_and_the_ceiling(tmp_path: Path) -> None:
    told = printed(replayed(saved_scan(tmp_path, (6, 30, 28)), "maxipix_2x2"), "nearest")
    figures = {
        name: float(pcc)
        for name, pcc in re.findall(r"^ *([a-z ]+?) +(\d\.\d+)", told, re.MULTILINE)
    }
    assert list(figures) == ["nearest", "linear", "biharmonic", "a perfect fill"]
    assert figures["nearest"] < figures["biharmonic"] < figures["a perfect fill"] < 1


@pytest.mark.parametrize("with_truth", [True, False])
def test_the_picture_is_drawn_whatever_the_stack(with_truth: bool, tmp_path: Path) -> None:
    for shape, peak in (((12, 64, 60), (6, 30, 28)), ((3, 9, 200), (0, 0, 199))):
        counts = np.random.default_rng(0).poisson(1.0, shape)
        counts[peak] = 900
        mask = np.zeros(shape[1:], bool)
        mask[:, 20:24] = True
        filled = inpaint(counts, mask, "linear")
        draw(filled, counts if with_truth else None).savefig(tmp_path / "picture.png")
        assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_scan_is_measured_filled_found_and_the_server_stays(tmp_path: Path) -> None:
    from bluesky_tiled_plugins import BlueskyRun  # noqa: F401 (the client of runs)
    from tiled.client import from_uri

    from bcdi_inpaint import catalog

    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("bcdi-inpaint"), "demo", "--keep",
            "--scan", saved_scan(tmp_path, (6, 30, 28)), "--output", tmp_path / "kept",
            "--method", "biharmonic",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        told = ""
        while "Ctrl-C" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        assert "identical to the raw run's" in told
        (uri,) = re.findall(r'from_uri\("(\S+)"\)', told)
        demo = from_uri(uri)["demo"]
        (run,) = demo["raw"].values()
        (node,) = catalog.filled(run)
        filled = catalog.read(node)
        assert filled.report.method == "biharmonic"
        assert node.metadata["detector"] == "maxipix_2x2"
        assert filled.intensity.shape == (12, 64, 60)
        assert (tmp_path / "kept" / "bcdi-inpaint-demo.png").exists()
        demo.context.http_client.close()
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
