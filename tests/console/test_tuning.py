"""The shipped network is tuned on a scan in Tiled, in another process, and fills it again."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bcdi_inpaint.console.commands import call
from tests.helpers.waiting import WAIT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fringes():
    """A stack unlike those that the network has seen, and its gap."""
    z, y, x = np.meshgrid(np.linspace(-2, 2, 20), *2 * [np.linspace(-3, 3, 64)], indexing="ij")
    rate = 500 * np.exp(-(x**2) - y**2 - z**2) * (1 + np.cos(6 * (x + y + z))) + 0.2
    gap = np.zeros((64, 64), bool)
    gap[:, 40:44] = True
    return np.random.default_rng(0).poisson(rate).astype(np.uint16), gap


def test_a_doubtful_scan_is_filled_by_a_network_tuned_on_it(station, fringes, tmp_path, capsys):
    """By itself while `finetune` is on; its fill is replaced if, and only if, that has helped."""
    stack, gap = fringes
    np.save(tmp_path / "gap.npy", gap)
    inpaint = station.inpaint
    for line in (f"mask {tmp_path / 'gap.npy'}", "threshold 1", "finetune on"):
        call(inpaint, line)
    uid = station.rock(stack)
    assert inpaint.wait(WAIT)
    said = capsys.readouterr().out
    scan = f"scan {station.scan_id(uid)}"
    assert f"{scan}: the network is being tuned on it" in said
    figures = re.search(r"deviance (\S+) before, (\S+) after", said)
    assert figures, said
    helped = f"{scan}: the network is tuned ({figures[0]}) and fills it again" in said
    assert helped or f"{scan}: tuning made the network no better ({figures[0]})" in said
    assert float(figures[2]) <= float(figures[1])

    nodes = station.nodes(uid)
    assert set(nodes) == {(uid, "linear"), *([(uid, "patching")] if helped else [])}
    models = [file.name for file in (station.folder / "models").iterdir()]
    assert models == ([f"tuned-{uid}.safetensors"] if helped else [])
    for node in nodes.values():
        tuned = f"the network was tuned on this scan: {figures[0]}"
        assert (tuned in node.metadata["notes"]) == (node.metadata["method"] == "patching")


def test_while_it_is_off_a_doubtful_scan_has_its_reason_said_and_nothing_is_tuned(
    station, fringes, tmp_path, capsys
):
    """Neither is tuning suggested: on the bench it gained next to nothing."""
    inpaint = station.inpaint
    over_peak = np.zeros((64, 64), bool)
    over_peak[:, 28:36] = True
    np.save(tmp_path / "gap.npy", over_peak)
    call(inpaint, f"mask {tmp_path / 'gap.npy'}")
    call(inpaint, "finetune off")
    uid = station.rock(fringes[0])
    assert inpaint.wait(WAIT)
    said = capsys.readouterr().out
    (node,) = station.nodes(uid).values()
    assert node.metadata["self_check_verdict"] == "doubtful"
    assert f"scan {station.scan_id(uid)}: {node.metadata['self_check_reason']}" in said
    assert "finetune now" not in said
    assert "is being tuned" not in said


def test_what_can_not_be_tuned_on_is_said_in_a_line(station, tmp_path, capsys):
    inpaint = station.inpaint
    scan = station.scan_id(station.rock())
    np.save(tmp_path / "other.npy", np.eye(5, dtype=bool))
    call(inpaint, f"mask {tmp_path / 'other.npy'}")
    call(inpaint, f"finetune now {scan}")
    assert inpaint.wait(WAIT)
    said = capsys.readouterr().out
    assert f"scan {scan}: the network is being tuned on it" in said
    assert re.search(rf"scan {scan}: the network could not be tuned: .*5.*\n", said)
