"""A network is tuned on a scan in Tiled, in another process, and fills it again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint.console import install
from bcdi_inpaint.console.commands import call
from bcdi_inpaint.console.tuning import Job, Tuner
from bcdi_inpaint.filling.network import PatchingNetwork
from bcdi_inpaint.filling.weights import save_model
from bcdi_inpaint.live import Settings
from bcdi_inpaint.live.road import Desk
from bcdi_inpaint.simulate.beamline import ArrayDetector, in_order

WAIT = 240
"""Seconds; only a fault makes a test wait so long."""


@pytest.fixture
def model(tmp_path):
    """A network that fills at random."""
    torch.manual_seed(0)
    network = PatchingNetwork()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    path = tmp_path / "random.safetensors"
    save_model(network, path, {})
    return path


@pytest.mark.slow
def test_a_scan_is_filled_by_a_network_tuned_on_it(RE, places, model, tmp_path, capsys):
    raw, processed = places
    z, y, x = np.meshgrid(*3 * [np.linspace(-3, 3, 64)], indexing="ij")
    rate = 500 * np.exp(-(x**2) - y**2 - z**2) * (1 + np.cos(6 * (x + y + z))) + 0.2
    gap = np.zeros((64, 64), bool)
    gap[:, 40:44] = True
    counts = np.random.default_rng(0).poisson(rate).astype(np.uint16)
    detector = ArrayDetector(in_order(counts), name="det")
    RE.subscribe(TiledWriter(raw))
    settings = Settings(method="linear", mask=gap)
    inpaint = install(RE, raw, processed, folder=tmp_path, settings=settings, tuning_seconds=30.0)
    try:
        call(inpaint, f"model {model}")
        (uid,) = RE(scan([detector], SynAxis(name="eta", egu="deg"), -1, 1, 64)).run_start_uids
        assert inpaint.wait(WAIT)
        call(inpaint, "finetune now 1")
        assert inpaint.wait(WAIT)
        said = capsys.readouterr().out
        assert re.search(r"scan 1: the network is tuned \(deviance \S+ before, \S+ after\)", said)
        node = inpaint.last()
    finally:
        inpaint.close(0.0)
    assert node.metadata["raw_uid"] == uid
    assert node.metadata["method"] == "patching"
    assert "the network was tuned on this scan: deviance" in node.metadata["notes"]
    assert [file.name for file in Path(tmp_path, "models").iterdir()] == [
        f"tuned-{uid}.safetensors"
    ]


def test_a_run_that_is_not_there_can_not_be_tuned_on(places, model, tmp_path):
    settings = Settings(options={"model": str(model)})
    job = Job(Desk(*places), "nowhere", settings, tmp_path / "x.safetensors", 5.0)
    outcomes = []
    tuner = Tuner()
    tuner.tune(job, lambda _, outcome: outcomes.append(outcome))
    assert tuner.busy
    tuner._threads.shutdown()
    (outcome,) = outcomes
    assert "run nowhere is not in" in outcome["error"]
    assert not tuner.busy
