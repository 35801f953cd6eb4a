"""A Tiled server that the worker process can reach, a scan, and an installed console."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint.console import install
from bcdi_inpaint.console.toggles import Toggles
from bcdi_inpaint.live import Settings
from bcdi_inpaint.testing.devices import ArrayDetector, at_motor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluesky import RunEngine
    from numpy.typing import NDArray
    from tiled.client.container import Container

    from bcdi_inpaint.console import Inpaint

WAIT = 240
"""Seconds; only a fault makes anything take so long."""
ANGLES = np.linspace(-0.2, 0.2, 20)
GAP = np.zeros((24, 32), bool)
GAP[:, 20:23] = True


@pytest.fixture(scope="session")
def gap() -> NDArray[np.bool_]:
    """(row, col), True = missing."""
    return GAP


@pytest.fixture(scope="session")
def stack() -> NDArray[np.uint16]:
    """What the detector records: a peak behind a gap."""
    return _peak()


def _peak() -> NDArray[np.uint16]:
    """Poisson counts of a Gaussian peak, 0 in the gap."""
    z, y, x = np.meshgrid(
        np.linspace(-2, 2, len(ANGLES)),
        np.linspace(-3, 3, 24),
        np.linspace(-4, 4, 32),
        indexing="ij",
    )
    rate = 2000 * np.exp(-(x**2) - y**2 - z**2) + 0.5
    counts = np.random.default_rng(1).poisson(rate).astype(np.uint16)
    counts[:, GAP] = 0
    return counts


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The root of a real Tiled server behind a real port."""
    from tiled.client import from_uri
    from tiled.server import SimpleTiledServer
    from tiled.server.settings import get_settings

    # Tiled's servers in one process share their settings: a key of its own would lock out others.
    key = get_settings().single_user_api_key
    with SimpleTiledServer(tmp_path_factory.mktemp("tiled"), api_key=key) as server:
        client = from_uri(server.uri)
        client.context.show_progress = False
        yield client
        client.context.close()


@pytest.fixture
def places(served: Container) -> tuple[Container, Container]:
    """Clients of an empty catalogue of runs and of an empty container of filled scans."""
    return _places(served)


def _places(served: Container) -> tuple[Container, Container]:
    from tiled.structures.core import Spec

    beamline = served.create_container(f"beamline-{uuid.uuid4().hex[:8]}")
    raw = beamline.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    return raw, beamline.create_container("processed")


@dataclass(frozen=True)
class Station:
    """A RunEngine whose runs go to Tiled, and the console that is installed in it."""

    RE: RunEngine
    raw: Container
    processed: Container
    inpaint: Inpaint
    folder: Path

    def rock(self, stack: NDArray[Any] | None = None, **metadata: Any) -> str:
        """Do a rocking scan, of a peak behind a gap unless told otherwise; returns its uid."""
        from bluesky.plans import scan

        motor = SynAxis(name="eta", egu="deg")
        detector = ArrayDetector(
            at_motor(_peak() if stack is None else stack, ANGLES, motor), name="det"
        )
        plan = scan([detector], motor, ANGLES[0], ANGLES[-1], len(ANGLES), md=metadata)
        uid: str = self.RE(plan).run_start_uids[0]
        return uid

    def scan_id(self, uid: str) -> int:
        return int(self.raw[uid].metadata["start"]["scan_id"])

    def nodes(self, *uids: str) -> dict[tuple[str, str], Container]:
        """Filled scans of these runs, by run and method."""
        found = ((node.metadata, node) for node in self.processed.values())
        return {(m["raw_uid"], m["method"]): node for m, node in found if m["raw_uid"] in uids}


@pytest.fixture(scope="module")
def installed(
    module_engine: RunEngine, served: Container, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Station]:
    """One worker process for all tests of a module: it takes seconds to start."""
    raw, processed = _places(served)
    module_engine.subscribe(TiledWriter(raw))
    folder = tmp_path_factory.mktemp("console")
    settings = Settings(method="linear", mask=GAP)
    handle = install(
        module_engine, raw, processed, folder=folder, settings=settings, tuning_seconds=10.0
    )
    yield Station(module_engine, raw, processed, handle, folder)
    handle.close(0.0)


@pytest.fixture
def station(installed: Station) -> Station:
    """That, with nothing to do and nothing chosen."""
    assert installed.inpaint.wait(WAIT)
    (installed.folder / "inpaint.toml").unlink(missing_ok=True)
    installed.inpaint._toggles.take(Toggles(method="linear"))
    return installed
