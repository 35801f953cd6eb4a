"""Callbacks whose worker is in a thread, and a configuration for the test server."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiled.client.container import Container

from bcdi_inpaint.live import InpaintCallback
from bcdi_inpaint.service.config import ServiceConfig


@pytest.fixture
def callback(quick_callback: InpaintCallback) -> InpaintCallback:
    """A bad run does to a worker in a thread what it does to a process, and sooner."""
    return quick_callback


@pytest.fixture
def config(
    server: Any,
    places: tuple[Container, Container],
    gap: NDArray[np.bool_],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ServiceConfig:
    monkeypatch.setenv("TILED_API_KEY", "secret")
    np.save(tmp_path / "mask.npy", gap)
    raw, processed = places
    return ServiceConfig(
        name="tests",
        stop_seconds=30,
        tiled={
            "uri": server.uri,
            "raw": "/".join(raw.path_parts),
            "processed": "/".join(processed.path_parts),
            "poll_seconds": 0.5,
        },
        filling={"method": "linear", "mask": tmp_path / "mask.npy"},
        http={"port": 0},
    )
