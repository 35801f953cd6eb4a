"""A Tiled server that the worker process can reach, a scan, and an installed console."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint.console import install
from bcdi_inpaint.live import Settings
from bcdi_inpaint.simulate.beamline import ArrayDetector, at_motor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bluesky import RunEngine
    from numpy.typing import NDArray
    from tiled.client.container import Container

    from bcdi_inpaint.console import Inpaint

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

    with SimpleTiledServer(tmp_path_factory.mktemp("tiled")) as server:
        client = from_uri(server.uri)
        client.context.show_progress = False
        yield client
        client.context.close()


@pytest.fixture
def places(served: Container) -> tuple[Container, Container]:
    """Clients of an empty catalogue of runs and of an empty container of filled scans."""
    from tiled.structures.core import Spec

    beamline = served.create_container(f"beamline-{uuid.uuid4().hex[:8]}")
    raw = beamline.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    return raw, beamline.create_container("processed")


@pytest.fixture
def inpaint(
    RE: RunEngine, places: tuple[Container, Container], tmp_path: Path
) -> Iterator[Inpaint]:
    """The console, installed in a RunEngine whose runs go to Tiled."""
    raw, processed = places
    RE.subscribe(TiledWriter(raw))
    settings = Settings(method="linear", mask=GAP)
    handle = install(RE, raw, processed, folder=tmp_path / "console", settings=settings)
    yield handle
    handle.close(0.0)


@pytest.fixture
def rock(RE: RunEngine, stack: NDArray[np.uint16]) -> Callable[..., str]:
    """Do a rocking scan; returns its uid."""
    from bluesky.plans import scan

    motor = SynAxis(name="eta", egu="deg")
    detector = ArrayDetector(at_motor(stack, ANGLES, motor), name="det")

    def do(**metadata: Any) -> str:
        plan = scan([detector], motor, ANGLES[0], ANGLES[-1], len(ANGLES), md=metadata)
        uid: str = RE(plan).run_start_uids[0]
        return uid

    return do
