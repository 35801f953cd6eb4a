"""What users get from Tiled for a filled scan."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import dask.array
import h5py
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tiled.client import from_context
from tiled.client.composite import CompositeClient

from bcdi_inpaint.catalog import BCDIInpainted, claim, filled, open_processed, read, write
from bcdi_inpaint.export.plots import plot_q_on
from tests.helpers.filled_scans import METADATA, SELF_CHECK, insert_run

if TYPE_CHECKING:
    from pathlib import Path

    from tiled.client.container import Container

    from bcdi_inpaint.filling.result import Inpainted
    from bcdi_inpaint.scans.rocking_scan import RockingScan
    from tests.helpers.filled_scans import MakeScan

    Pair = tuple[RockingScan, Inpainted]


@pytest.fixture
def node_of_run(raw: Container, run: Container, make_scan: MakeScan) -> BCDIInpainted:
    """The filled scan of `run`, where the design wants it."""
    uid = run.metadata["start"]["uid"]
    pair = make_scan(raw_uid=uid, raw_path="/".join(run.path_parts))
    return write(open_processed(raw), *pair)


def test_a_node_comes_back_as_its_client(written: Container) -> None:
    assert isinstance(written, BCDIInpainted)
    assert isinstance(written.parent[written.item["id"]], BCDIInpainted)


def test_the_package_registers_the_client_with_tiled() -> None:
    (found,) = entry_points(group="tiled.special_client", name="BCDIInpainted")
    assert found.load() is BCDIInpainted


def test_repr_says_in_one_line_what_it_is(
    written: BCDIInpainted, processed: Container, make_scan: MakeScan
) -> None:
    assert repr(written) == (
        "<BCDIInpainted 'Pt_a' scan 54 12×24×20, maxipix_2x2, kriging, gap 16.7%, "
        "self-check PCC 0.960 (trusted), complete>"
    )
    scan, filled = make_scan(scan_id=None, sample="")
    fill = claim(processed, scan.metadata, method="patching")
    assert repr(processed[fill.key]) == (
        "<BCDIInpainted 'scan' no volumes, maxipix_2x2, patching, 0 frames so far>"
    )
    fill.allocate(filled.intensity.shape)
    assert "12×24×20" in repr(processed[fill.key])
    fill.fail("out of memory")
    assert repr(processed[fill.key]).endswith("patching, failed: out of memory>")


def test_a_fill_is_read_back_as_it_was(written: BCDIInpainted, scan_and_fill: Pair) -> None:
    _, filled = scan_and_fill
    for back in (written.to_inpainted(), read(written)):
        assert back.report == filled.report
        np.testing.assert_array_equal(back.intensity, filled.intensity)
        np.testing.assert_array_equal(back.sigma, filled.sigma)
        np.testing.assert_array_equal(back.mask, filled.mask)
    assert written.self_check == SELF_CHECK


def test_children_are_clients_that_are_sliced_in_the_server(written: BCDIInpainted) -> None:
    assert written.intensity[5].shape == (24, 20)
    assert written.sigma[:, 3].shape == (12, 20)
    assert written.mask[2:4].dtype == bool


def test_xarray_has_dimensions_units_and_angles(written: BCDIInpainted) -> None:
    dataset = written.to_xarray()
    assert dataset["intensity"].dims == ("frame", "row", "col")
    assert dataset["intensity"].attrs["units"] == "counts"
    assert dataset["sigma"].attrs["units"] == "counts"
    assert dataset.coords["eta"].attrs["units"] == "deg"
    np.testing.assert_allclose(dataset.coords["eta"], np.linspace(17, 17.6, 12))
    assert dataset.attrs["sample"] == "Pt_a"


@pytest.mark.slow
def test_the_monitor_lies_beside_the_volumes_and_is_exported(
    processed: Container, make_scan: MakeScan, tmp_path: Path
) -> None:
    scan, fill = make_scan()
    known = replace(scan.metadata, monitor="i0", counts_per_unit=250.0)
    node = write(processed, replace(scan, metadata=known, monitor=np.arange(12.0)), fill)
    np.testing.assert_array_equal(node["monitor"].read(), np.arange(12.0))
    np.testing.assert_array_equal(node.to_xarray().coords["monitor"], np.arange(12.0))
    assert (node.metadata["monitor"], node.metadata["counts_per_unit"]) == ("i0", 250)
    node.export_nexus(tmp_path / "scan.nxs")
    with h5py.File(tmp_path / "scan.nxs") as file:
        np.testing.assert_array_equal(file["entry/control/data"], np.arange(12.0))


def test_xarray_has_q_of_every_voxel_if_asked(written: BCDIInpainted) -> None:
    dataset = written.to_xarray(q=True)
    assert dataset.coords["q_x"].attrs["units"] == "1/angstrom"
    q = np.stack([dataset.coords[f"q_{axis}"] for axis in "xyz"])
    assert q.shape == (3, 12, 24, 20)
    np.testing.assert_array_equal(q[:, 3:4], written.q_space().vectors(slice(3, 4)))
    figure = Figure()
    plot_q_on(figure, written, written.q_space())
    assert [axis.get_xlabel() for axis in figure.axes[:3]] == [
        "along col (1/Å)",
        "along col (1/Å)",
        "along frame (1/Å)",
    ]


def test_lazy_xarray_is_computed_when_asked(written: BCDIInpainted, scan_and_fill: Pair) -> None:
    dataset = written.to_xarray(lazy=True)
    assert isinstance(dataset["intensity"].data, dask.array.Array)
    expected = scan_and_fill[1].intensity.sum(axis=0)
    np.testing.assert_allclose(dataset["intensity"].sum("frame").compute(), expected, rtol=1e-6)


def test_without_self_check_and_motor(processed: Container, make_scan: MakeScan) -> None:
    node = write(processed, *make_scan(motor="", report={"self_check": None}))
    assert node.self_check is None
    assert "self-check" not in repr(node)
    assert set(node.to_xarray().coords) == set()
    assert node.to_inpainted().report.self_check is None


def test_without_this_package_tiled_reads_the_node_as_one_dataset(written: Container) -> None:
    plain = CompositeClient(
        written.context, item=written.item, structure_clients=written.structure_clients
    )
    dataset = plain.read()
    assert dataset["intensity"].dims == ("frame", "row", "col")
    assert dataset["eta"].dims == ("frame",)


@pytest.mark.slow
def test_raw_is_the_run(node_of_run: BCDIInpainted, run: Container) -> None:
    assert node_of_run.raw.metadata["start"]["uid"] == run.metadata["start"]["uid"]
    assert node_of_run.raw["primary"]["eta"].read().tolist() == [17.0, 18.0, 19.0]


def test_raw_is_found_beside_when_its_path_has_changed(
    raw: Container, run: Container, make_scan: MakeScan
) -> None:
    uid = run.metadata["start"]["uid"]
    node = write(open_processed(raw), *make_scan(raw_uid=uid, raw_path="cdi/old/raw/gone"))
    assert node.raw.metadata["start"]["uid"] == uid


def test_a_run_that_is_nowhere_is_said_so(written: BCDIInpainted) -> None:
    with pytest.raises(KeyError, match="is neither at"):
        _ = written.raw


@pytest.mark.slow
def test_a_run_leads_to_its_filled_scans(
    raw: Container, run: Container, node_of_run: BCDIInpainted
) -> None:
    assert [node.uri for node in filled(run)] == [node_of_run.uri]
    assert filled(insert_run(raw)) == []


def test_a_beamline_without_filled_scans(run: Container) -> None:
    assert filled(run) == []


@pytest.mark.slow
def test_it_works_after_somebody_touched_v2(
    raw: Container, run: Container, node_of_run: BCDIInpainted
) -> None:
    from bluesky_tiled_plugins import BlueskyRun
    from tiled.client.container import DEFAULT_STRUCTURE_CLIENT_DISPATCH

    def poisoned() -> Container:
        return from_context(raw.context, node_path_parts=raw.path_parts)

    try:
        assert run.v2 is not None
        with pytest.raises(KeyError):  # this is what the poison does: the stream has lost its keys
            poisoned()[run.item["id"]]["primary"]["eta"]
        (node,) = filled(poisoned()[run.item["id"]])
        assert isinstance(node, BCDIInpainted)
        assert node.intensity.shape == (12, 24, 20)
        assert node.to_xarray()["intensity"].shape == (12, 24, 20)
        assert node.raw["primary"]["eta"].read().tolist() == [17.0, 18.0, 19.0]
    finally:
        for clients in DEFAULT_STRUCTURE_CLIENT_DISPATCH.values():
            clients.set("BlueskyRun", lambda: BlueskyRun)
            clients["BlueskyRun"]  # looked up once, it can be pickled again


def test_the_figure_shows_raw_filled_and_uncertainty(written: BCDIInpainted) -> None:
    figure = written.plot()
    FigureCanvasAgg(figure).draw()
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    raw, filled, uncertainty = images[:3]
    assert np.ma.getmaskarray(raw)[15:19].all()
    assert not np.ma.getmaskarray(filled).any()
    assert np.ma.getmaskarray(uncertainty)[:15].all()
    assert not np.ma.getmaskarray(uncertainty)[15:19].any()


def test_incomplete_nodes_are_not_read_as_results(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    fill.allocate(filled.intensity.shape)
    node = processed[fill.key]
    for reading in (node.to_inpainted, node.plot):
        with pytest.raises(ValueError, match="is not complete: 0 frames are there so far"):
            reading()
    fill.fail("disk full")
    with pytest.raises(ValueError, match="has failed: disk full"):
        processed[fill.key].to_inpainted()


@pytest.mark.slow
def test_importing_the_client_loads_nothing_heavy() -> None:
    code = (
        "import tiled.client.composite, tiled.client.array, sys; before = set(sys.modules);"
        "import bcdi_inpaint.catalog.client;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"torch", "matplotlib", "h5py", "skimage", "bluesky", "bluesky_tiled_plugins", "PIL"}
    assert not heavy & set(loaded)


def test_metadata_carry_what_phase_retrieval_needs(written: BCDIInpainted) -> None:
    known = written.metadata
    assert known["incident_energy"] == METADATA.energy
    assert (known["y_pixel_size"], known["x_pixel_size"]) == METADATA.pixel_size
    assert (known["beam_center_y"], known["beam_center_x"]) == METADATA.direct_beam
    assert known["sample_angle_phi"] == 12.5
    assert known["detector_angle_nu"] == 0.25
    assert known["roi"] == [[240, 264], [250, 270]]
    assert known["start_proposal"] == "hc-1234"
    assert not any(isinstance(value, dict) for value in known.values())
