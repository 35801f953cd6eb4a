"""What the HDF5 files for phase retrieval and viewers are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from .fields import from_report, from_scan
from .layout import Blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    from numpy.typing import DTypeLike, NDArray

    from .filled_scan import FilledScan


def frame_blocks(
    scan: FilledScan,
) -> Iterator[tuple[slice, NDArray[np.floating], NDArray[np.float32], NDArray[np.bool_]]]:
    """Blocks of frames: where they are, intensity, sigma and mask."""
    filled = scan.filled
    for part in Blocks.of(filled.intensity.shape, filled.intensity.dtype).parts():
        yield (
            part,
            np.asarray(filled.intensity[part]),
            np.asarray(filled.sigma[part]),
            np.asarray(filled.mask[part]),
        )


def new_volume(group: h5py.Group, name: str, scan: FilledScan, dtype: DTypeLike) -> h5py.Dataset:
    """An empty dataset of the volumes' shape, compressed frame by frame."""
    shape = scan.filled.intensity.shape
    return group.create_dataset(
        name,
        shape,
        dtype,
        chunks=(1, *shape[1:]),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )


def new_group(parent: h5py.Group, name: str, nx_class: str, **attributes: object) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update({"NX_class": nx_class, **attributes})
    return group


def put_quantity(group: h5py.Group, name: str, value: object, unit: str) -> None:
    group[name] = value
    group[name].attrs["units"] = unit


def put_monitor(entry: h5py.Group, scan: FilledScan) -> None:
    """The beam monitor's name and readings, one a frame, as recorded; the intensity is not divided by them."""
    if scan.monitor is not None:
        monitor = new_group(entry, "control", "NXmonitor")
        monitor["depends_on"] = "."
        monitor["name"] = plain_text(scan.metadata.monitor)
        put_quantity(monitor, "data", scan.monitor, "")


def put_detector(detector: h5py.Group, scan: FilledScan) -> None:
    """Distance, pixel size and direct beam in pixels of the stack (region and binning), and how values became counts."""
    metadata = scan.metadata
    if metadata.counts_per_unit is not None:
        put_quantity(detector, "counts_per_unit", metadata.counts_per_unit, "counts")
    if metadata.distance is not None:
        put_quantity(detector, "distance", metadata.distance, "m")
    origin = (0, 0) if metadata.roi is None else (metadata.roi[0][0], metadata.roi[1][0])
    for i, axis in enumerate("yx"):
        if metadata.pixel_size is not None:
            size = metadata.pixel_size[i] * metadata.binning[i]
            put_quantity(detector, f"{axis}_pixel_size", size, "m")
        if metadata.direct_beam is not None:
            centre = (metadata.direct_beam[i] - origin[i]) / metadata.binning[i]
            put_quantity(detector, f"beam_center_{axis}", centre, "pixel")


def provenance(scan: FilledScan) -> dict[str, Any]:
    """Everything else that is known, as attributes."""
    flat = {**from_scan(scan.metadata), **from_report(scan.filled.report)}
    return {
        name: plain_text(value) if isinstance(value, str) else value
        for name, value in flat.items()
        if value is not None
    }


def plain_text(words: str) -> str:
    """Words as HDF5 takes them: no zeros, no halves of characters."""
    return words.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
