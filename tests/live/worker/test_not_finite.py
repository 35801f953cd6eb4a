"""A fill that is not finite never completes a node, whatever the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.weights import save_model
from bcdi_inpaint.live.worker.live_run import LiveRun
from bcdi_inpaint.live.worker.pipeline import Catalogs, fill_finished
from tests.helpers.quick import mostly_slow


@pytest.fixture(params=mostly_slow([float("nan"), float("inf"), 1e30]))
def weights(request, tmp_path):
    """A file of weights that give no numbers."""
    network = PatchingNetwork((8, 8))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(request.param)
    save_model(network, tmp_path / "bad.safetensors", {})
    return str(tmp_path / "bad.safetensors")


def all_finite(nodes):
    """Whether complete nodes, if there are any, hold nothing but numbers."""
    complete = [node for node in nodes if node.metadata["complete"]]
    return all(
        np.isfinite(node[name].read()).all() for node in complete for name in ("intensity", "sigma")
    )


@pytest.mark.parametrize("self_check", [False, True])
@pytest.mark.parametrize("live", [False, True])
def test_no_node_is_completed(
    weights, places, settings, documents, stack, angles, self_check, live
):
    catalogs = Catalogs(*places)
    options = {"model": weights, "self_check": self_check}
    settings = replace(settings, method="patching", options=options, final_seconds=0)
    run = documents(stack, angles)
    uid = run[0][1]["uid"]
    following = LiveRun(catalogs, uid, settings, lambda _: None)
    writer = TiledWriter(catalogs.raw)
    refused = ""
    try:
        for name, doc in run:
            writer(name, doc)
            if live:
                following.take(name, doc)
                while name == "event" and following.advance():
                    pass
        if live:
            following.finish()
        else:
            fill_finished(catalogs, uid, settings, again=False)
    except ArithmeticError as error:
        refused = str(error)
    nodes = list(catalogs.processed.values())
    assert bool(refused) == (not any(node.metadata["complete"] for node in nodes))
    assert "is not finite" in refused or self_check  # then kriging may have filled instead
    assert all_finite(nodes)
