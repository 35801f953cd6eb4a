"""An installation without extras: what works, and what says which extra it needs.

Takes the ``tiled`` command of an installation that has the server.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

import httpx
import numpy as np
from bluesky import RunEngine
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis
from tiled.client import from_uri
from tiled.client.container import Container  # noqa: TC002
from tiled.structures.core import Spec

import bcdi_inpaint as bi
from bcdi_inpaint.geometry import read_mask
from bcdi_inpaint.live import InpaintCallback, Settings
from bcdi_inpaint.testing.devices import ArrayDetector, at_motor

COMMAND = Path(sys.executable).with_name("bcdi-inpaint")


def fill_an_array_and_a_file(folder: Path) -> None:
    stack = np.random.default_rng(0).poisson(20, (16, 516, 516))
    mask = bi.detector("maxipix_2x2").mask()
    assert bi.inpaint(stack[:, 200:316, 200:316], mask[200:316, 200:316]).report.voxels_missing
    np.save(folder / "scan.npy", stack[:, 200:316, 200:316])
    command = [COMMAND, "fill", folder / "scan.npy", folder / "out.npz"]
    subprocess.run([*command, "--detector", "maxipix_2x2", "--roi", "200:316,200:316"], check=True)


def a_scan_is_filled(server: Path) -> None:
    """The callback, with the Tiled server of another installation."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [server, "serve", "catalog", "--temp", "--api-key", "secret", "--port", port]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            root = connected(f"http://127.0.0.1:{port}")
            raw = root.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
            mask = np.zeros((32, 32), bool)
            mask[:, 20:23] = True
            angles = np.linspace(-1, 1, 16)
            stack = np.random.default_rng(0).poisson(20, (16, 32, 32)).astype(np.uint16)
            motor = SynAxis(name="theta")
            detector = ArrayDetector(at_motor(stack, angles, motor), name="det")
            engine = RunEngine({})
            engine.subscribe(TiledWriter(raw))
            settings = Settings(mask=mask)
            callback = InpaintCallback(raw, root.create_container("processed"), settings=settings)
            engine.subscribe(callback)
            engine(scan([detector], motor, -1, 1, 16))
            assert callback.wait(timeout=120)
            assert callback.status().complete == 1, callback.status()
            callback.close()
        finally:
            process.terminate()


def connected(uri: str) -> Container:
    for _ in range(120):
        with suppress(httpx.HTTPError):
            return from_uri(uri, api_key="secret")
        time.sleep(0.5)
    raise AssertionError("the Tiled server doesn't answer")


def an_extra_is_named(folder: Path) -> None:
    if find_spec("fabio") is None:
        (folder / "mask.edf").touch()
        message = ""
        try:
            read_mask(folder / "mask.edf")
        except ImportError as error:
            message = str(error)
        assert "bcdi-inpaint[edf]" in message, message
    if find_spec("uvicorn") is None:
        shown = subprocess.run([COMMAND, "demo"], capture_output=True, text=True, check=False)
        assert "bcdi-inpaint[server]" in shown.stderr, shown.stderr
        assert shown.returncode == 2


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        fill_an_array_and_a_file(Path(folder))
        an_extra_is_named(Path(folder))
    a_scan_is_filled(Path(sys.argv[1]))
    print("works without extras")
