"""The demonstration, as a process of its own, and what it is made of."""

from __future__ import annotations

import inspect
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import numpy as np
import pytest
from rich.console import Console

from bcdi_inpaint import catalog, detector, inpaint
from bcdi_inpaint.catalog.links import download
from bcdi_inpaint.catalog.local_server import FILE_EXTENSIONS, local_server
from bcdi_inpaint.console.plans import bcdi_rocking_fly, bcdi_rocking_scan
from bcdi_inpaint.demo import compare, replayed, simulated
from bcdi_inpaint.demo.experiment import FROM_PEAK
from bcdi_inpaint.export.picture import draw

if TYPE_CHECKING:
    from bcdi_inpaint.demo import Experiment
from tests.helpers.waiting import until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REAL = ROOT.parent / "shared" / "data" / "aps34idc_S0054.npz"


def saved_scan(
    folder: Path, peak: tuple[int, int, int], shape=(12, 64, 60), width=6, angles=(0.0, 1.0)
) -> Path:
    distance = sum(
        ((np.arange(n) - p).reshape([-1 if a == axis else 1 for a in range(3)]) / width) ** 2
        for axis, (n, p) in enumerate(zip(shape, peak, strict=True))
    )
    counts = np.random.default_rng(0).poisson(3000 * np.exp(-distance) + 0.5)
    counts[peak] = 5000
    theta = np.linspace(angles[0], angles[1], shape[0])
    np.savez(folder / "scan.npz", data=counts.astype(np.int32), theta=theta)
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


@pytest.mark.parametrize("key", ["maxipix_2x2", "eiger2_4m"])
def test_in_a_hard_case_the_gap_hides_the_peak(key: str, tmp_path: Path) -> None:
    experiment = replayed(saved_scan(tmp_path, (6, 30, 28)), key, hard=True)
    assert experiment.mask[30, 28]
    assert experiment.mask[26, 28] or experiment.mask[30, 24] or key == "maxipix_2x2"
    hidden = experiment.counts[:, experiment.mask].sum() / experiment.counts.sum()
    assert hidden > 0.5


def told_by_the_command(*options: str, folder: Path) -> str:
    """What ``bcdi-inpaint demo`` prints."""
    done = subprocess.run(
        [Path(sys.executable).with_name("bcdi-inpaint"), "demo", *options],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def counts_ratio(told: str) -> float:
    """Counts of the default fill over the true ones."""
    return float(re.findall(r"^ *patching .* ([\d.]+) *$", told, re.MULTILINE)[-1])


@pytest.mark.slow
def test_by_default_it_shows_a_good_case(tmp_path: Path) -> None:
    told = told_by_the_command(folder=tmp_path)
    assert re.search(r"^self-check +trusted", told, re.MULTILINE)
    assert 0.85 < counts_ratio(told) < 1.15
    (picture,) = re.findall(r"^picture: +(\S+)$", told, re.MULTILINE)
    assert Path(picture) == tmp_path / "bcdi-inpaint-demo.png"  # as the help says
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_hard_case_is_recognised(tmp_path: Path) -> None:
    told = told_by_the_command("--hard-case", folder=tmp_path)
    assert abs(counts_ratio(told) - 1) > 0.15
    assert not re.search(r"^self-check +trusted", told, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="no measured scan in ../shared/data")
def test_the_readmes_example_goes_with_a_measured_scan(tmp_path: Path) -> None:
    (command,) = re.findall(r"^ +bcdi-inpaint demo (--scan .*?) +#", README, re.MULTILINE)
    told = told_by_the_command(*command.replace("scan.npz", str(REAL)).split(), folder=tmp_path)
    assert "identical to the raw run's" in told
    assert 0.85 < counts_ratio(told) < 1.15


def test_the_simulated_scan_has_a_truth() -> None:
    experiment = simulated("maxipix_2x2")
    assert experiment.rate is not None
    assert experiment.counts.shape == experiment.rate.shape
    assert len(experiment.angles) == len(experiment.counts)
    assert 0.05 < experiment.mask.mean() < 0.15


@pytest.mark.parametrize("plan", [bcdi_rocking_scan, bcdi_rocking_fly])
def test_a_plan_by_its_defaults_meets_each_simulated_frame_once(plan: Any) -> None:
    """In the profile the crystal is scanned by these plans: nothing of it is missed, and no frame comes twice."""
    half_width, points = (
        inspect.signature(plan).parameters[name].default for name in ("half_width", "points")
    )
    positions = np.linspace(-half_width, half_width, points)
    np.testing.assert_allclose(simulated("maxipix_2x2").angles, positions)


def printed(experiment: Experiment, method: str) -> str:
    filled = inpaint(experiment.counts, experiment.mask, method)
    text = io.StringIO()
    Console(file=text, width=120).print(compare(experiment, filled))
    return text.getvalue()


def test_the_fill_is_held_against_the_truth_the_baselines_and_the_ceiling(tmp_path: Path) -> None:
    scan = saved_scan(tmp_path, (6, 30, 28), width=12)  # such that there is something in the gap
    told = printed(replayed(scan, "maxipix_2x2"), "nearest")
    figures = {
        name: float(pcc)
        for name, pcc in re.findall(r"^ *([a-z ]+?) +(\d\.\d+)", told, re.MULTILINE)
    }
    assert list(figures) == ["nearest", "kriging", "linear", "biharmonic", "a perfect fill"]
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
@pytest.mark.parametrize("ends", [(0.4, 0.6), (0.6, 0.4)], ids=["rising", "falling"])
def test_the_scan_can_be_on_the_fly(ends: tuple[float, float], tmp_path: Path) -> None:
    """No Events: frames and angles are announced by StreamDatums, and both reach the filled scan."""
    from tiled.client import from_uri

    pytest.importorskip("ophyd_async")
    path = saved_scan(tmp_path, (6, 30, 28), angles=ends)
    told = told_by_the_command(
        "--fly", "--scan", str(path), "--out", "kept", "--method", "linear", folder=tmp_path
    )
    assert "identical to the raw run's" in told
    kept = tmp_path / "kept"
    with local_server(kept / "tiled", kept / "detector-files") as server:
        demo = from_uri(server.uri)["demo"]
        (run,) = demo["raw"].values()
        names = {name for name, _ in run.documents()}
        assert "stream_datum" in names
        assert not names & {"event", "event_page"}
        (node,) = catalog.filled(run)
        assert node.metadata["plan_name"] == "bcdi_rocking_fly"
        filled = catalog.read(node)
        with np.load(path) as scan:
            measured = scan["data"][~filled.mask]
            step = scan["theta"][1] - scan["theta"][0]
        np.testing.assert_array_equal(filled.intensity[~filled.mask], measured)
        angles = node["eta_readback"].read()
        assert angles.shape == (12,)
        assert (np.diff(angles) * step >= 0).all()
        assert (abs(angles - 0.5) <= 0.1 + abs(step) / 2 + 1e-9).all()
        assert (angles[-1] - angles[0]) * step > 0
        demo.context.http_client.close()


@pytest.mark.slow
def test_a_scan_is_measured_filled_found_and_the_server_stays(tmp_path: Path, browser) -> None:
    from bluesky_tiled_plugins import BlueskyRun  # noqa: F401 (the client of runs)
    from tiled.client import from_uri

    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("bcdi-inpaint"), "demo", "--keep",
            "--scan", saved_scan(tmp_path, (6, 30, 28)), "--out", tmp_path / "kept",
            "--method", "biharmonic",
        ],
        env={**os.environ, "COLUMNS": "80"},
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

        (link,) = re.findall(r"the filled scan: (\S+)", told)
        browser.open(link)
        until(lambda: node.item["id"] in browser.text())
        (curl,) = re.findall(r"(curl -o .*)", told)
        subprocess.run(["bash", "-c", curl], cwd=tmp_path, check=True, capture_output=True)
        with h5py.File(tmp_path / "scan.cxi") as file:
            assert file["entry_1/data_1/data"].shape == (12, 64, 60)
        for extension in FILE_EXTENSIONS:
            got = httpx.get(download(node, extension, demo.context.api_key))
            assert got.status_code == 200, extension
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
