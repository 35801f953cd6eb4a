"""Runs in an old catalogue, found and filled through databroker's own interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import httpx
import numpy as np
import pytest
from event_model import compose_run

from bcdi_inpaint.catalog import find, write
from bcdi_inpaint.filling import inpaint
from bcdi_inpaint.scans import OutsideRootsError, is_rocking_scan
from bcdi_inpaint.scans.databroker import from_databroker

pytest.importorskip("mongomock", reason="databroker's temporary catalogue is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from tiled.client.container import Container

MASK = np.zeros((20, 24), bool)
MASK[8:11] = True


class MissingHandler:
    """What a server has for a Resource that it can't read any more."""

    def __init__(self, path: str, **options: Any) -> None:
        raise OSError(f"{path} is on a disk that was retired")


class NpyHandler:
    """A beamline's own kind of file: one npy for each point."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, number: int) -> NDArray[Any]:
        return np.load(f"{self._path}_{number}.npy")[np.newaxis]


@pytest.fixture(scope="module")
def catalog() -> Iterator[Container]:
    """databroker's temporary catalogue, with handlers of its own beside the installed ones."""
    from area_detector_handlers.handlers import AreaDetectorHDF5Handler
    from databroker.mongo_normalized import MongoAdapter
    from tiled.client import Context, from_context
    from tiled.server.app import build_app

    tree = MongoAdapter.from_mongomock(
        handler_registry={
            "AD_HDF5": AreaDetectorHDF5Handler,
            "AD_HDF5_SWMR": MissingHandler,
            "NPY_SEQ": NpyHandler,
        }
    )
    # As over a network, errors of the server arrive as its answers.
    with Context.from_app(build_app(tree), raise_server_exceptions=False) as context:
        context.show_progress = False
        yield from_context(context)


def insert(
    catalog: Container,
    frames: NDArray[Any],
    *,
    resource: dict[str, Any] | None = None,
    datum: str = "point_number",
    **start: Any,
) -> Container:
    """Put a run into the catalogue: frames ``(point, [frame,] row, col)`` by resource or in Events."""
    run = compose_run(
        metadata={
            "plan_name": "rel_scan",
            "motors": ["eta"],
            "num_points": len(frames),
            "scan_id": 7,
            "sample": "Pt_a",
            **start,
        }
    )
    image = {"dtype": "array", "shape": list(frames.shape[1:]), "source": "PV:IMG"}
    image["dtype_str"] = frames.dtype.str
    if resource is not None:
        image["external"] = "FILESTORE:"
    eta = {"dtype": "number", "shape": [], "source": "PV:ETA", "units": "deg"}
    descriptor = run.compose_descriptor(name="primary", data_keys={"eta": eta, "image": image})
    catalog.post_document("start", run.start_doc)
    catalog.post_document("descriptor", descriptor.descriptor_doc)
    if resource is not None:
        composed = run.compose_resource(**resource)
        catalog.post_document("resource", composed.resource_doc)
    for i, frame in enumerate(frames):
        value: Any = frame.tolist()
        if resource is not None:
            datum_doc = composed.compose_datum(datum_kwargs={datum: i})
            catalog.post_document("datum", datum_doc)
            value = datum_doc["datum_id"]
        event = descriptor.compose_event(
            data={"eta": 17.0 + i / 10, "image": value},
            timestamps={"eta": 0.0, "image": 0.0},
            filled={} if resource is None else {"image": False},
        )
        catalog.post_document("event", event)
    catalog.post_document("stop", run.compose_stop())
    return catalog[run.start_doc["uid"]]


@pytest.fixture
def stack() -> NDArray[np.uint16]:
    frame, row, col = np.ogrid[:8, :20, :24]
    rate = 500 * np.exp(-((frame - 4) ** 2 + (row - 9) ** 2 + (col - 12) ** 2) / 20)
    return np.random.default_rng(1).poisson(rate).astype(np.uint16)


def hdf5(folder: Path, frames: NDArray[Any], spec: str, per_point: int = 1) -> dict[str, Any]:
    """A file as areaDetector writes it, and the Resource that announces it."""
    with h5py.File(folder / "frames.h5", "w") as file:
        file["entry/data/data"] = frames.reshape(-1, *frames.shape[-2:])
    return {
        "spec": spec,
        "root": str(folder),
        "resource_path": "frames.h5",
        "resource_kwargs": {"frame_per_point": per_point},
    }


@pytest.mark.slow
def test_a_run_is_found_read_filled_and_lies_in_tiled(
    catalog: Container, processed: Container, stack: NDArray[Any], tmp_path: Path
) -> None:
    resource = hdf5(tmp_path, stack[:, np.newaxis], "AD_HDF5")
    insert(catalog, stack[:, np.newaxis], resource=resource, scan_id=101)
    insert(catalog, stack[:, np.newaxis], resource=resource, scan_id=102, plan_name="count")
    rocking = [
        run
        for run in catalog.values()
        if run.metadata["start"]["scan_id"] in (101, 102) and is_rocking_scan(run.metadata["start"])
    ]
    assert len(rocking) == 1

    scan = from_databroker(rocking[0], mask=MASK)
    np.testing.assert_array_equal(scan.frames, stack)
    np.testing.assert_allclose(scan.angles, 17 + np.arange(8) / 10)
    known = scan.metadata
    assert (known.scan_id, known.sample, known.data_key, known.motor) == (
        101,
        "Pt_a",
        "image",
        "eta",
    )
    assert known.raw_path == "/".join(rocking[0].path_parts)
    assert known.exit_status == "success"

    node = write(processed, scan, inpaint(scan.frames, scan.mask, method="linear"))
    (found,) = find(processed, rocking[0].metadata["start"]["uid"])
    assert found.uri == node.uri
    measured = ~found["mask"].read()
    np.testing.assert_array_equal(found["intensity"].read()[measured], stack[measured])


def test_frames_in_events(catalog: Container, stack: NDArray[Any]) -> None:
    scan = from_databroker(insert(catalog, stack), mask=MASK)
    np.testing.assert_array_equal(scan.frames, stack)


def test_a_handler_of_the_beamlines_own(
    catalog: Container, stack: NDArray[Any], tmp_path: Path
) -> None:
    for i, frame in enumerate(stack):
        np.save(tmp_path / f"frame_{i}.npy", frame)
    resource = {
        "spec": "NPY_SEQ",
        "root": str(tmp_path),
        "resource_path": "frame",
        "resource_kwargs": {},
    }
    run = insert(catalog, stack[:, np.newaxis], resource=resource, datum="number")
    np.testing.assert_array_equal(from_databroker(run, mask=MASK).frames, stack)


def test_several_frames_at_a_point(catalog: Container, stack: NDArray[Any], tmp_path: Path) -> None:
    pairs = np.stack([stack, 2 * stack], axis=1)
    run = insert(catalog, pairs, resource=hdf5(tmp_path, pairs, "AD_HDF5", per_point=2))
    with pytest.raises(ValueError, match="pass frames_per_point="):
        from_databroker(run, mask=MASK)
    scan = from_databroker(run, mask=MASK, frames_per_point="sum")
    np.testing.assert_array_equal(scan.frames, 3 * stack)


def test_the_first_interface_of_databroker(catalog: Container, stack: NDArray[Any]) -> None:
    pytest.importorskip("humanize", reason="databroker's first interface is not installed")
    from databroker import Broker

    run = insert(catalog, stack)
    header = Broker(catalog)[run.metadata["start"]["uid"]]
    np.testing.assert_array_equal(from_databroker(header, mask=MASK).frames, stack)


@pytest.mark.slow
def test_what_databroker_can_not_serve_is_read_from_the_file(
    catalog: Container, stack: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 1)
    resource = hdf5(tmp_path, stack[:, np.newaxis], "AD_HDF5_SWMR")
    run = insert(catalog, stack[:, np.newaxis], resource=resource)
    with pytest.raises(httpx.HTTPStatusError):
        from_databroker(run, mask=MASK)
    with pytest.raises(OutsideRootsError):
        from_databroker(run, mask=MASK, file_roots=[tmp_path / "elsewhere"])
    scan = from_databroker(run, mask=MASK, file_roots=[tmp_path])
    np.testing.assert_array_equal(scan.frames, stack)


def test_a_run_without_frames_is_refused(catalog: Container) -> None:
    run = compose_run(metadata={"scan_id": 9})
    catalog.post_document("start", run.start_doc)
    catalog.post_document("stop", run.compose_stop())
    with pytest.raises(ValueError, match="the run has no frames"):
        from_databroker(catalog[run.start_doc["uid"]])


def test_a_run_of_tiled_is_sent_to_from_run(raw: Container) -> None:
    from bluesky_tiled_plugins import TiledWriter

    run = compose_run()
    writer = TiledWriter(raw)
    writer("start", run.start_doc)
    writer("stop", run.compose_stop())
    with pytest.raises(ValueError, match="read it with from_run"):
        from_databroker(raw[run.start_doc["uid"]])
