"""An installed console."""

from __future__ import annotations

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
from tests.helpers.scans import ANGLES, gap_over, peak_behind, rock
from tests.helpers.waiting import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluesky import RunEngine
    from numpy.typing import NDArray
    from tiled.client.container import Container

    from bcdi_inpaint.console import Inpaint
    from tests.helpers.tiled_servers import Server

GAP = gap_over(np.s_[20:23])
"""Beside the peak."""


@pytest.fixture
def gap() -> NDArray[np.bool_]:
    return GAP


@dataclass(frozen=True)
class Station:
    """A RunEngine whose runs go to Tiled, and the console that is installed in it."""

    RE: RunEngine
    raw: Container
    processed: Container
    inpaint: Inpaint
    folder: Path

    def rock(self, stack: NDArray[Any] | None = None, **metadata: Any) -> str:
        """Do a rocking scan, of a peak beside a gap unless told otherwise; returns its uid."""
        motor = SynAxis(name="eta", egu="deg")
        stack = peak_behind(GAP) if stack is None else stack
        detector = ArrayDetector(at_motor(stack, ANGLES, motor), name="det")
        uid: str = self.RE(rock(detector, motor, **metadata)).run_start_uids[0]  # type: ignore[union-attr]
        return uid

    def scan_id(self, uid: str) -> int:
        return int(self.raw[uid].metadata["start"]["scan_id"])

    def nodes(self, *uids: str) -> dict[tuple[str, str], Container]:
        """Filled scans of these runs, by run and method."""
        found = ((node.metadata, node) for node in self.processed.values())
        return {(m["raw_uid"], m["method"]): node for m, node in found if m["raw_uid"] in uids}


@pytest.fixture(scope="module")
def installed(
    module_engine: RunEngine, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Station]:
    """One worker process for all tests of a module: it takes seconds to start."""
    raw, processed = server.beamline()
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
