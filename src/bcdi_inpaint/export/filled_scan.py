"""Filled scans in Tiled -> arrays and report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .fields import to_report, to_scan
from .layout import INTENSITY, MASK, MONITOR, SIGMA, VOLUMES, motor_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from tiled.client.container import Container

    from bcdi_inpaint.export.layout import NodeMetadata
    from bcdi_inpaint.filling.result import Inpainted
    from bcdi_inpaint.scans.rocking_scan import ScanMetadata


@dataclass(frozen=True, slots=True, eq=False)
class FilledScan:
    """A fill and what is known of its scan.

    Attributes
    ----------
    filled
        The volumes, numpy arrays or whatever gives numpy arrays when sliced, and the report.
    metadata
        Where the scan comes from.
    angles
        ``(frame,)`` float64, the rocking motor in degrees; None if none was recorded.
    monitor
        ``(frame,)`` float64, the beam monitor's readings as recorded; None if there is none.
    """

    filled: Inpainted
    metadata: ScanMetadata
    angles: NDArray[np.float64] | None = None
    monitor: NDArray[np.float64] | None = None


def read(node: Container) -> Inpainted:
    """Read a filled scan into memory.

    Raises
    ------
    ValueError
        If it is not complete.
    """
    require_complete(str(node.item["id"]), node.metadata)
    volumes = {name: np.asarray(node.base[name].read()) for name in VOLUMES}
    return assemble(volumes, node.metadata)


def open_scan(node: Container) -> FilledScan:
    """A filled scan whose volumes are read when they are sliced.

    Raises
    ------
    ValueError
        If it is not complete.
    """
    require_complete(str(node.item["id"]), node.metadata)
    base = node.base
    metadata = to_scan(node.metadata, access_tags=tuple(node.item["attributes"]["access_tags"]))
    key = motor_key(metadata.motor)
    return FilledScan(
        assemble({name: base[name] for name in VOLUMES}, node.metadata),
        metadata,
        np.asarray(base[key].read()) if metadata.motor and key in base else None,
        np.asarray(base[MONITOR].read()) if MONITOR in base else None,
    )


def assemble(volumes: Mapping[str, Any], flat: NodeMetadata) -> Inpainted:
    """Put the volumes and the report in the node's metadata together."""
    from bcdi_inpaint.filling.result import Inpainted

    return Inpainted(volumes[INTENSITY], volumes[SIGMA], volumes[MASK], to_report(flat))


def require_complete(key: str, flat: NodeMetadata) -> None:
    """Raise ValueError for a node that is still being written, or has failed."""
    if flat["complete"]:
        return
    if flat["failed"]:
        raise ValueError(f"{key} has failed: {flat['failed']}")
    raise ValueError(f"{key} is not complete: {flat['frames']} frames are there so far")
