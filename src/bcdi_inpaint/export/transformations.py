"""Circles and distances as NeXus has them: chains of NXtransformations, from the inner ones out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .hdf5_parts import new_group
from .layout import path_segment
from .q_space import axes_of, axis_of, direction, outer_first

if TYPE_CHECKING:
    from collections.abc import Mapping

    import h5py
    import numpy as np
    from numpy.typing import NDArray

    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

    Angles = float | NDArray[np.float64]

NOWHERE = "."
"""What the first of a chain depends on."""


def put_sample_circles(
    sample: h5py.Group, scan: ScanMetadata, angles: NDArray[np.float64] | None
) -> None:
    """The sample's circles, the rocking motor among them with its ``(frame,)`` angles, deg."""
    circles: dict[str, Angles] = dict(scan.sample_angles)
    if angles is not None:
        circles[scan.motor] = angles
    sample["depends_on"] = _put_circles(sample, circles, scan)


def put_detector_place(detector: h5py.Group, scan: ScanMetadata) -> None:
    """The detector's arms, and its distance along them."""
    last = _put_circles(detector, scan.detector_angles, scan)
    unknown = scan.detector_angles and last == NOWHERE
    if scan.distance is not None and not unknown:
        last = _put(detector, "distance", scan.distance, "m", "translation", "z+", last)
    detector["depends_on"] = last


def _put_circles(group: h5py.Group, circles: Mapping[str, Angles], scan: ScanMetadata) -> str:
    """The innermost circle's path; nothing is written where one of them turns about nobody knows what."""
    axes, last = axes_of(scan), NOWHERE
    if all(axis_of(name, axes) for name in circles):
        for name in outer_first(circles):
            axis = axis_of(name, axes) or ""
            last = _put(group, path_segment(name), circles[name], "deg", "rotation", axis, last)
    return last


def _put(
    group: h5py.Group, name: str, value: Angles, units: str, kind: str, axis: str, depends_on: str
) -> str:
    """Write one transformation; its absolute path."""
    chain = group.get("transformations")
    if chain is None:
        chain = new_group(group, "transformations", "NXtransformations")
    chain[name] = value
    chain[name].attrs.update(
        units=units, transformation_type=kind, vector=direction(axis), depends_on=depends_on
    )
    return str(chain[name].name)
