"""How a filled scan lies in Tiled: spec, key, data sources."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from tiled.structures.core import Spec, StructureFamily

from bcdi_inpaint.export.layout import path_segment

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike
    from tiled.structures.data_source import DataSource

    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

SPEC = "BCDIInpainted"
SPECS = (Spec(SPEC, version="1.0"), Spec("composite"))
"""The first with a client registered decides the client's class; `composite` is its base."""

SAMPLE = 40
"""Characters of the sample's name in a key."""


def node_key(scan: ScanMetadata, method: str, attempt: int) -> str:
    """Key of the node: unique for each attempt, so that creating it is an atomic claim.

    It begins with what people know a scan by. All of it follows from the start document: two services
    that claim the same attempt choose the same key.
    """
    number = "" if scan.scan_id is None else str(scan.scan_id)
    parts = (number, scan.sample[:SAMPLE], scan.data_key, method, str(attempt), scan.raw_uid)
    return "-".join(path_segment(part) for part in parts if part)


def array_source(
    shape: tuple[int, ...],
    dtype: DTypeLike,
    chunks: tuple[tuple[int, ...], ...],
    dims: tuple[str, ...],
) -> DataSource[Any]:
    """What Tiled needs to make room for an array."""
    from tiled.structures.array import ArrayStructure, BuiltinDtype
    from tiled.structures.data_source import DataSource

    structure = ArrayStructure(
        shape=shape,
        chunks=chunks,
        dims=dims,
        data_type=BuiltinDtype.from_numpy_dtype(np.dtype(dtype)),
    )
    return DataSource(structure=structure, structure_family=StructureFamily.array)


def in_file(source: DataSource[Any], path: Path, dataset: str) -> DataSource[Any]:
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
