"""A disk that is full while a file is exported: it is said, an earlier file stays, and nothing is left."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bcdi_inpaint.catalog import FilledScan
from bcdi_inpaint.export import formats
from bcdi_inpaint.export.file_formats import FORMATS, npy, npz
from bcdi_inpaint.export.volumes import write_volumes
from tests.helpers.filled_scans import scan_with_fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAW, FILLED = scan_with_fill(shape=(12, 64, 64))
NOISE = np.random.default_rng(0).random(FILLED.intensity.shape, np.float32)  # can't be compressed
FILLED.intensity[...] = 1 + NOISE
SCAN = FilledScan(FILLED, RAW.metadata, RAW.angles)

EXPORTERS: dict[str, Any] = {
    "scan.cxi": formats.pynx_cxi,
    "scan.npz": formats.pynx_npz,
    "S54_pynx_input_data.npz": lambda path, scan: formats.cdiutils(path.parent, scan),
    "data.tif": formats.cohere,
    "scan.nxs": formats.nexus,
    "scan.tif": formats.tif,
    "filled.npz": npz,
    "filled.npy": npy,
    "scan.h5": lambda path, scan: write_volumes(path, scan.filled),
}


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [0, 100, 20_000])
@pytest.mark.parametrize("name", EXPORTERS)
def test_an_export_is_whole_or_not_there(name: str, size: int, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("an earlier one")
    with room_for(size), pytest.raises(OSError, match=rf"{name} can't be written"):
        EXPORTERS[name](path, SCAN)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert path.read_text() == "an earlier one"
    EXPORTERS[name](path, SCAN)
    assert path.stat().st_size > 20_000


def test_every_format_of_the_command_is_tried() -> None:
    assert set(FORMATS) == {
        "npz", "npy", "nexus", "cxi", "pynx", "pynx-npz", "cdiutils", "cohere", "tif",
    }  # fmt: skip
