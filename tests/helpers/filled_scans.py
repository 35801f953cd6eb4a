"""A small scan and its fill, in memory and in Tiled, and a raw run."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bcdi_inpaint.filling.result import Inpainted, Report, SelfCheck
from bcdi_inpaint.scans.rocking_scan import RockingScan, ScanMetadata

if TYPE_CHECKING:
    from tiled.client.container import Container

MakeScan = Callable[..., tuple[RockingScan, Inpainted]]

METADATA = ScanMetadata(
    raw_path="cdi/raw/uid",
    scan_id=54,
    sample="Pt_a",
    plan_name="rel_scan",
    time=1.7e9,
    data_key="maxipix_image",
    detector="maxipix_2x2",
    motor="eta",
    energy=8994.0,
    distance=1.2,
    pixel_size=(55e-6, 56e-6),
    direct_beam=(250.5, 261.25),
    sample_angles={"phi": 12.5},
    detector_angles={"delta": 33.4, "nu": 0.25},
    roi=((240, 264), (250, 270)),
    exit_status="success",
    frames_expected=12,
    notes=("one frame was repeated", "read from the file"),
    extra={"proposal": "hc-1234", "attenuation": 3.5},
)

SELF_CHECK = SelfCheck(
    voxels=240,
    pcc=0.96,
    pcc_kriging=0.95,
    pcc_linear=0.91,
    pcc_ceiling=0.98,
    counts_ratio=1.01,
    counts_ratio_kriging=1.05,
    counts_ratio_linear=1.2,
    verdict="trusted",
)


def scan_with_fill(
    *,
    shape: tuple[int, int, int] = (12, 24, 20),
    method: str = "kriging",
    dtype: Any = np.float32,
    report: dict[str, Any] | None = None,
    **metadata: Any,
) -> tuple[RockingScan, Inpainted]:
    """A scan with a Bragg peak beside a gap, and its fill (the truth, where it is missing)."""
    frame, row, col = np.ogrid[tuple(slice(0, n) for n in shape)]
    centre = [n / 2 for n in shape]
    distance = (frame - centre[0]) ** 2 + (row - centre[1]) ** 2 + (col - centre[2]) ** 2
    rate = 3000 * np.exp(-distance / 18)
    counts = np.random.default_rng(7).poisson(rate).astype(np.uint32)
    mask = np.zeros(shape[1:], bool)
    mask[15:19] = True
    missing = np.broadcast_to(mask, shape)
    scan = RockingScan(
        frames=np.where(missing, 0, counts),
        mask=mask,
        angles=np.linspace(17.0, 17.6, shape[0]),
        metadata=replace(METADATA, **{"raw_uid": str(uuid.uuid4()), **metadata}),
    )
    filled = Inpainted(
        intensity=np.where(missing, rate, counts).astype(dtype),
        sigma=np.where(missing, np.sqrt(rate) / 2, 0).astype(np.float32),
        mask=missing.copy(),
        report=Report(
            **{
                "method": method,
                "voxels_missing": int(missing.sum()),
                "gap_share": float(missing.mean()),
                "seconds": 0.5,
                "notes": ("the gap is near the peak",),
                "self_check": SELF_CHECK,
                **(report or {}),
            }
        ),
    )
    return scan, filled


@pytest.fixture
def make_scan() -> MakeScan:
    return scan_with_fill


@pytest.fixture(scope="session")
def scan_and_fill() -> tuple[RockingScan, Inpainted]:
    """One for all tests: don't change it."""
    return scan_with_fill()


@pytest.fixture(scope="session")
def written(tiled_server: Container, scan_and_fill: tuple[RockingScan, Inpainted]) -> Container:
    """The node of `scan_and_fill`, one for all tests: don't change it."""
    from bcdi_inpaint.catalog import write

    return write(tiled_server.create_container(), *scan_and_fill)


def insert_run(raw: Container, *, time: float | None = None, **start: Any) -> Container:
    """A small raw run, written as a beamline does."""
    from bluesky_tiled_plugins import TiledWriter
    from event_model import compose_run

    writer = TiledWriter(raw, batch_size=100)
    run = compose_run(time=time, metadata={"scan_id": 54, "sample": "Pt_a", **start})
    writer("start", run.start_doc)
    descriptor = run.compose_descriptor(
        name="primary", data_keys={"eta": {"dtype": "number", "shape": [], "source": "motor"}}
    )
    writer("descriptor", descriptor.descriptor_doc)
    for i in range(3):
        event = descriptor.compose_event(data={"eta": 17.0 + i}, timestamps={"eta": float(i)})
        writer("event", event)
    writer("stop", run.compose_stop())
    return raw[run.start_doc["uid"]]


@pytest.fixture
def run(raw: Container) -> Container:
    """A raw run."""
    return insert_run(raw)
