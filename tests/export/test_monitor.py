"""The beam's monitor, and what recorded values were multiplied by, in files and back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bcdi_inpaint.catalog import FilledScan
from bcdi_inpaint.export.file_formats import FORMATS
from bcdi_inpaint.scans import from_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.filled_scans import MakeScan

KEEPING = ("npz", "nexus", "cxi")
"""Formats that have a place for them."""
READINGS = np.linspace(2.0, 1.5, 12)
"""They fall all the time, as a ring's current does: angles might, too."""


@pytest.fixture
def scan(make_scan: MakeScan) -> FilledScan:
    raw, filled = make_scan(monitor="hutch-i0", counts_per_unit=250.0)
    return FilledScan(filled, raw.metadata, raw.angles, READINGS)


def suffix(kind: str) -> str:
    return {"nexus": "nxs"}.get(kind, kind)


@pytest.mark.parametrize("angles", [True, False])
@pytest.mark.parametrize("kind", KEEPING)
def test_both_come_back(kind: str, angles: bool, scan: FilledScan, tmp_path: Path) -> None:
    if not angles:
        scan = replace(scan, angles=None, metadata=replace(scan.metadata, motor=""))
    path = tmp_path / f"scan.{suffix(kind)}"
    FORMATS[kind].write(path, scan)
    again = from_file(path, mask=False)
    assert again.metadata.monitor == "hutch-i0"
    np.testing.assert_array_equal(again.monitor, READINGS)
    assert again.metadata.counts_per_unit == 250
    measured = ~scan.filled.mask
    np.testing.assert_array_equal(again.frames[measured], scan.filled.intensity[measured])
    if angles:
        np.testing.assert_array_equal(again.angles, scan.angles)
    else:
        assert again.angles is None


@pytest.mark.parametrize("kind", KEEPING)
def test_of_raw_counts_without_a_monitor_nothing_is_said(
    kind: str, make_scan: MakeScan, tmp_path: Path
) -> None:
    raw, filled = make_scan()
    path = tmp_path / f"scan.{suffix(kind)}"
    FORMATS[kind].write(path, FilledScan(filled, raw.metadata, raw.angles))
    again = from_file(path, mask=False)
    assert again.monitor is None
    assert (again.metadata.monitor, again.metadata.counts_per_unit) == ("", None)


def test_what_is_multiplied_twice_says_so(scan: FilledScan, tmp_path: Path) -> None:
    FORMATS["npz"].write(tmp_path / "scan.npz", scan)
    again = from_file(tmp_path / "scan.npz", mask=False, counts_per_unit=2.0)
    assert again.metadata.counts_per_unit == 500


@pytest.mark.parametrize("kind", ["nexus", "cxi"])
def test_the_monitor_stands_where_nexus_has_it(kind: str, scan: FilledScan, tmp_path: Path) -> None:
    FORMATS[kind].write(tmp_path / "scan.h5", scan)
    with h5py.File(tmp_path / "scan.h5") as file:
        monitor = file[file.attrs["default"]]["control"]
        assert monitor.attrs["NX_class"] == "NXmonitor"
        assert monitor["name"].asstr()[()] == "hutch-i0"
        np.testing.assert_array_equal(monitor["data"], READINGS)


def test_of_several_monitors_in_a_file_none_is_taken(scan: FilledScan, tmp_path: Path) -> None:
    FORMATS["nexus"].write(tmp_path / "scan.h5", scan)
    with h5py.File(tmp_path / "scan.h5", "r+") as file:
        file.copy("entry/control", "entry/instrument/second")
        file["entry/instrument/second/name"][()] = "i1"
    assert from_file(tmp_path / "scan.h5", mask=False).monitor is None


@pytest.mark.parametrize("monitor", [np.ones(3), np.ones((12, 2))])
def test_an_array_of_another_shape_is_no_monitor(
    monitor: np.ndarray, scan: FilledScan, tmp_path: Path
) -> None:
    np.savez(tmp_path / "scan.npz", data=scan.filled.intensity, monitor=monitor)
    assert from_file(tmp_path / "scan.npz", mask=False).monitor is None
