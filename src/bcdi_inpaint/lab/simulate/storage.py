"""Simulated scans in HDF5 files, one each."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin

from bcdi_inpaint.atomic_writing import whole_file

from .recipes import Recipe
from .rendering import SimulatedScan

if TYPE_CHECKING:
    from pathlib import Path


def write_scan(path: Path, scan: SimulatedScan) -> None:
    """Write a scan; the file appears under its name only when it is complete."""
    compression = hdf5plugin.Bitshuffle(cname="lz4")
    with whole_file(path) as part, h5py.File(part, "w") as file:
        file.attrs["recipe"] = json.dumps(asdict(scan.recipe))
        file.create_dataset("rate", data=scan.rate, **compression)
        file.create_dataset("counts", data=scan.counts, **compression)
        file.create_dataset("bad_pixels", data=scan.bad_pixels)
        file.create_dataset("angles", data=scan.angles)
        file.create_dataset("steps", data=scan.steps)
        if scan.amplitude is not None:
            file.create_dataset("amplitude", data=scan.amplitude, **compression)


def read_scan(path: Path) -> SimulatedScan:
    """Read a scan that `write_scan` wrote."""
    with h5py.File(path) as file:
        return SimulatedScan(
            rate=file["rate"][()],
            counts=file["counts"][()],
            angles=file["angles"][()],
            steps=file["steps"][()],
            bad_pixels=file["bad_pixels"][()],
            amplitude=file["amplitude"][()] if "amplitude" in file else None,
            recipe=_recipe(file),
        )


def read_recipe(path: Path) -> Recipe:
    """Read just the parameters of a scan that `write_scan` wrote."""
    with h5py.File(path) as file:
        return _recipe(file)


def _recipe(file: h5py.File) -> Recipe:
    fields: dict[str, Any] = json.loads(file.attrs["recipe"])
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(value)
    return Recipe(**fields)
