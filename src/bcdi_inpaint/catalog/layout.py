"""Spec, key and data sources of a filled scan in Tiled."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from tiled.structures.core import Spec, StructureFamily

from bcdi_inpaint.export.layout import path_segment

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike
    from tiled.structures.array import ArrayStructure
    from tiled.structures.data_source import DataSource

    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

SPEC = "BCDIInpainted"
SPECS = (Spec(SPEC, version="1.0"), Spec("composite"))
"""The first with a client registered decides the client's class; `composite` is its base."""

LONGEST = (20, 40, 60, 30, 10)
"""Bytes of number, sample, data key, method and attempt in a key, as Tiled quotes them."""
LONGEST_UID = 64
"""Longer ones are replaced by a hash. A key must be a valid file name, of at most 255 bytes."""


def node_key(scan: ScanMetadata, method: str, attempt: int) -> str:
    """Key of the node: unique for each attempt, so that creating it is an atomic claim.

    It begins with the scan's number and sample. It is made from the start document only: two services
    that claim the same attempt choose the same key.
    """
    number = "" if scan.scan_id is None else str(scan.scan_id)
    uid = path_segment(scan.raw_uid)
    if len(quote(uid)) > LONGEST_UID:
        uid = hashlib.sha256(scan.raw_uid.encode(errors="replace")).hexdigest()
    parts = (number, scan.sample, scan.data_key, method, str(attempt))
    said = [path_segment(part, most) for part, most in zip(parts, LONGEST, strict=True) if part]
    return "-".join([*said, uid])


def array_source(
    shape: tuple[int, ...],
    dtype: DTypeLike,
    chunks: tuple[tuple[int, ...], ...],
    dims: tuple[str, ...],
) -> DataSource[ArrayStructure]:
    """What Tiled needs to allocate an array."""
    from tiled.structures.array import ArrayStructure, BuiltinDtype
    from tiled.structures.data_source import DataSource

    structure = ArrayStructure(
        shape=shape,
        chunks=chunks,
        dims=dims,
        data_type=BuiltinDtype.from_numpy_dtype(np.dtype(dtype)),
    )
    return DataSource(structure=structure, structure_family=StructureFamily.array)


def in_file(
    source: DataSource[ArrayStructure], path: Path, dataset: str
) -> DataSource[ArrayStructure]:
    """The same array, in a dataset of an HDF5 file that Tiled may read but not write."""
    from tiled.structures.data_source import Asset, Management

    return replace(
        source,
        mimetype="application/x-hdf5",
        parameters={"dataset": dataset},
        assets=[
            Asset(
                data_uri=f"file://localhost{quote(str(path))}",
                is_directory=False,
                parameter="data_uris",
                num=0,
            )
        ],
        management=Management.external,
    )
