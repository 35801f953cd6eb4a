"""What HDF5 files (NeXus, CXI, Dectris) hold beside frames: energy, distance, pixels, angles, sample."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bcdi_inpaint.constants import METRE_EV

from .guarded_file import text_attribute, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .file_contents import NamedValues

TELLING = re.compile(r"detector|beam|source|mono|sample", re.IGNORECASE)
"""Groups whose numbers and names are taken."""
MOVING = re.compile(r"sample|goniometer|positioner|measurement|bcdi_inpaint|data", re.IGNORECASE)
"""Groups whose columns may be the rocking angles."""
NO_READING = ("_end", "_increment", "_average", "_start", "_set")
"""Endings of Dectris' columns that repeat a readback."""

COUNTS_PER_UNIT = "counts_per_unit"
"""What our own files say that the recorded values were multiplied by."""
QUANTITIES = frozenset(
    {
        "incident_energy", "photon_energy", "energy", "incident_wavelength", "distance", "detector_distance",
        "y_pixel_size", "x_pixel_size", "beam_center_y", "beam_center_x", "bit_depth_image",
        COUNTS_PER_UNIT,
    }
)  # fmt: skip
DETECTOR_NAMES = {"description": "description", "local_name": "detector_model"}
METRES = {"m": 1.0, "nm": 1e-9, "angstrom": 1e-10, "a": 1e-10, "å": 1e-10, "": 1e-10}
"""Units of wavelengths; NeXus' and Dectris' is the angstrom, CXI's the metre."""


def read_values(file: h5py.File, frames: str) -> tuple[dict[str, Any], NamedValues]:
    """What a start document would say, and what devices would, under the names of `bcdi_inpaint.scans.facts`.

    Only the entry (first group) of the dataset `frames` is looked into. What stands in its own group goes before
    what stands elsewhere, and what several groups say differently is left out.
    """
    start: dict[str, Any] = {}
    said: dict[str, list[tuple[Any, str]]] = {}
    home = frames.strip("/").rpartition("/")[0]
    cxi = "cxi_version" in file
    for name, dataset in _datasets(file, frames):
        group, _, last = name.rpartition("/")
        if dataset.size != 1 or not TELLING.search(group):
            continue
        if last == "name" and "sample" in group.rpartition("/")[2]:
            start["sample_name"] = text_of(dataset[()])
        elif last in DETECTOR_NAMES and "detector" in group:
            said.setdefault(DETECTOR_NAMES[last], []).append((text_of(dataset[()]), ""))
        elif last in QUANTITIES and dataset.dtype.kind in "iuf":
            unit = text_attribute(dataset, "units") or ("J" if cxi and "energy" in last else "")
            values = said.setdefault(last, [])
            values.insert(0 if group == home else len(values), (dataset[()].item(), unit))
    named_values = {name: values[0] for name, values in said.items() if len(set(values)) == 1}
    wavelength = named_values.pop("incident_wavelength", None)
    if (
        wavelength is not None
        and not {"incident_energy", "photon_energy", "energy"} & named_values.keys()
    ):
        metres = wavelength[0] * METRES.get(wavelength[1].casefold(), np.nan)
        named_values["incident_energy"] = (METRE_EV / metres if metres else np.nan, "eV")
    return start, named_values


def columns_of(
    file: h5py.File, frames: str, points: int
) -> tuple[str, dict[str, tuple[NDArray[np.number], str]]]:
    """Columns of one number a point, with their units, and which one NeXus' ``axes`` name for the frames."""
    columns, home = {}, frames.strip("/").rpartition("/")[0]
    for name, dataset in _datasets(file, frames):
        group, _, last = name.rpartition("/")
        if (
            dataset.shape == (points,)
            and dataset.dtype.kind in "iuf"
            and (group == home or MOVING.search(group))
            and not last.endswith(NO_READING)
        ):
            columns[last] = (dataset[()], text_attribute(dataset, "units"))
    parent = file[frames].parent
    axes = np.atleast_1d(parent.attrs.get("axes", ()))
    axis = str(axes[0]) if len(axes) else ""
    return (axis if axis in columns else ""), columns


def monitor_column(
    file: h5py.File, frames: str, points: int
) -> dict[str, tuple[NDArray[np.number], str]]:
    """The readings of the entry's NXmonitor under its name, with their unit; nothing if there are several, or none."""
    found = {}
    for name, dataset in _datasets(file, frames):
        path, _, last = name.rpartition("/")
        group = file[path]
        if (
            last == "data"
            and dataset.shape == (points,)
            and dataset.dtype.kind in "iuf"
            and text_attribute(group, "NX_class") == "NXmonitor"
        ):
            named = group.get("name")
            own = text_of(named[()]) if isinstance(named, h5py.Dataset) and named.size else ""
            found[own or path.rpartition("/")[2]] = (dataset[()], text_attribute(dataset, "units"))
    return found if len(found) == 1 else {}


def _datasets(file: h5py.File, frames: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets of the entry that some frames belong to, with their full names; links are not followed."""
    entry = frames.strip("/").split("/")[0]
    if not isinstance(file.get(entry), h5py.Group):
        return
    found: list[tuple[str, h5py.Dataset]] = []

    def look(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            found.append((f"{entry}/{name}", node))

    file[entry].visititems(look)
    yield from found
