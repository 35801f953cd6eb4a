"""Scans go in at the RunEngine, filled scans come out in Tiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bluesky.plans import count, scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint import inpaint
from bcdi_inpaint.live import InpaintCallback, Settings
from bcdi_inpaint.simulate.beamline import ArrayDetector, at_motor

if TYPE_CHECKING:
    from bluesky import RunEngine
    from numpy.typing import NDArray
    from tiled.client.container import Container

ANGLES = np.linspace(-0.2, 0.2, 20)
GAP = np.zeros((24, 32), bool)
GAP[:, 14:17] = True
SETTINGS = Settings(method="linear", mask=GAP)


def peak(n: int = len(ANGLES)) -> NDArray[np.uint16]:
    """Poisson counts of a Gaussian peak, 0 in the gap."""
    z, y, x = np.meshgrid(
        np.linspace(-2, 2, n), np.linspace(-3, 3, 24), np.linspace(-4, 4, 32), indexing="ij"
    )
    rate = 2000 * np.exp(-(x**2) - y**2 - z**2) + 0.5
    counts = np.random.default_rng(1).poisson(rate).astype(np.uint16)
    counts[:, GAP] = 0
    return counts


STACK = peak()


@pytest.fixture
def motor() -> SynAxis:
    return SynAxis(name="eta", egu="deg")


def test_a_rocking_scan_is_filled(
    RE: RunEngine, places: tuple[Container, Container], motor: SynAxis
) -> None:
    raw, processed = places
    detector = ArrayDetector(at_motor(STACK, ANGLES, motor), name="det")
    RE.subscribe(TiledWriter(raw))
    with InpaintCallback(raw, processed, settings=SETTINGS) as callback:
        RE.subscribe(callback)
        RE(count([detector], 3))
        uid = RE(scan([detector], motor, ANGLES[0], ANGLES[-1], len(ANGLES))).run_start_uids[0]
        assert callback.wait(60)
        status = callback.status()
    (node,) = processed.values()
    assert node.metadata["raw_uid"] == uid
    assert node.metadata["complete"]
    expected = inpaint(STACK, GAP, "linear")
    np.testing.assert_array_equal(node["intensity"].read(), expected.intensity)
    assert status.complete == 1
    assert status.last[0].uid == uid
