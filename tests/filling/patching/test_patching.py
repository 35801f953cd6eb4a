"""The patching network: its shape, its untrained state, its weights, its fills."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import bcdi_inpaint as bi
from bcdi_inpaint.filling.estimation import estimate
from bcdi_inpaint.filling.patching import bands as patching
from bcdi_inpaint.filling.patching.network import CHANNELS, PatchingNetwork
from bcdi_inpaint.filling.patching.weights import load_model, save_model, shipped_models
from bcdi_inpaint.lab.simulate import simulate_scan

CPU = torch.device("cpu")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small untrained network, in a file."""
    torch.manual_seed(0)
    path = tmp_path / "small.safetensors"
    save_model(PatchingNetwork((8, 8)), path, {"recipe": {"steps": 0}})
    return path


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    counts = simulate_scan(4, (40, 50, 44), peak_counts=1e5).counts
    mask = np.zeros((50, 44), bool)
    mask[30:36] = True
    mask[:, 10:14] = True
    return counts, mask


def test_an_untrained_network_leaves_kriging_as_it_is(
    scan: tuple[np.ndarray, np.ndarray], weights: Path
) -> None:
    counts, mask = scan
    missing = np.broadcast_to(mask, counts.shape).copy()
    known = np.where(missing, 0, counts).astype(np.float32)
    told = estimate(known, missing).around(
        known, missing, (slice(0, 40), slice(0, 50), slice(0, 44))
    )
    _, begun = patching.starting_point(torch.from_numpy(known), torch.from_numpy(missing), told)
    start = begun.numpy()
    filled = patching.fill(known, missing, surroundings=told, model=str(weights), device="cpu").rate
    np.testing.assert_allclose(filled[missing], start[missing], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("model", shipped_models())
def test_shipped_weights_are_small_and_say_what_they_saw(model: str) -> None:
    held = load_model(model, CPU)
    assert {"recipe", "curve", "portions", "commit", "data"} <= set(held.metadata)
    path = Path(patching.__file__).parent / "weights" / f"{model}.safetensors"
    assert path.stat().st_size < 15_000_000


def test_fills_are_bit_identical(scan: tuple[np.ndarray, np.ndarray], weights: Path) -> None:
    first, second = (
        bi.inpaint(*scan, method="patching", model=str(weights), self_check=False) for _ in range(2)
    )
    np.testing.assert_array_equal(first.intensity, second.intensity)
    np.testing.assert_array_equal(first.sigma, second.sigma)


def test_the_report_names_the_model(scan: tuple[np.ndarray, np.ndarray], weights: Path) -> None:
    report = bi.inpaint(*scan, method="patching", model=str(weights), self_check=False).report
    assert (report.model_name, len(report.model_hash)) == ("small", 64)
    assert report.to_dict()["model_hash"] == report.model_hash


@pytest.mark.parametrize(
    ("gap", "shape"),
    [
        (np.s_[:, :3], (20, 30, 30)),
        (np.s_[:, 12], (5, 30, 30)),
        (np.s_[2:4], (9, 20, 20)),
        (np.s_[:, 7, 7], (12, 20, 20)),
        (np.s_[:, 2:40], (20, 60, 20)),
    ],
    ids=["edge", "short", "frames", "pixel", "38 px"],
)
def test_any_gap_is_filled(gap: Any, shape: tuple[int, int, int], weights: Path) -> None:
    counts = np.random.default_rng(0).poisson(20, shape)
    mask = np.zeros(shape, bool)
    mask[gap] = True
    out = bi.inpaint(counts, mask, method="patching", model=str(weights))
    assert np.isfinite(out.intensity).all()
    assert out.intensity[mask].mean() == pytest.approx(20, rel=0.3)
    assert (out.sigma[mask] > 0).all()


def test_what_is_no_model_is_named(scan: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model='nothing' is not there; takes .*safetensors"):
        bi.inpaint(*scan, method="patching", model="nothing", self_check=False)
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="holds no patching network"):
        bi.inpaint(*scan, method="patching", model=str(junk), self_check=False)


def peak() -> int:
    """Bytes that this process has taken at most since it was last asked."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("widths", [[1200, 1200], [8] * 100_000, [], [0.5], "wide", {"a": 1}])
def test_widths_that_the_weights_do_not_have_take_no_memory(
    widths: object, scan: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "wide.safetensors"
    save_file({"stem.bias": torch.zeros(8)}, path, {"widths": json.dumps(widths)})
    peak()
    before = peak()
    with pytest.raises(ValueError, match="holds no patching network"):
        bi.inpaint(*scan, method="patching", model=str(path), self_check=False)
    assert peak() - before < 100 * 2**20


def test_a_folded_network_computes_the_same() -> None:
    model = load_model("patching", torch.device("cpu"))
    seen = torch.randn(1, CHANNELS, 16, 32, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model.folded(seen), model.network(seen), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(part, torch.nn.BatchNorm3d) for part in model.folded.modules())
    assert any(isinstance(part, torch.nn.BatchNorm3d) for part in model.network.modules())


def test_the_network_sees_further_than_the_widest_gap() -> None:
    network = PatchingNetwork((4, 4, 4, 4)).eval()
    torch.nn.init.normal_(network.head.weight)
    seen = torch.randn(1, CHANNELS, 16, 112, 16, requires_grad=True)
    network(seen)[0, 0, 8, 56, 8].backward()
    assert seen.grad is not None
    rows = seen.grad.abs().sum(dim=(0, 1, 2, 4)).nonzero().flatten()
    assert int(rows.max() - rows.min()) > 60
