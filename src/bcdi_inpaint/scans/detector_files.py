"""Where detectors' HDF5 files hold their frames, and the mask that they bring along."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h5py
import numpy as np

from bcdi_inpaint.geometry import CXI_BITS, NEXUS_BITS, rejected

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECTRIS_DATA = re.compile(r"data_\d{6}")
"""A master file's links to its data files, in the order of the frames (SIMPLON API reference)."""

MASKS = {
    "entry/instrument/detector/detectorSpecific/pixel_mask": NEXUS_BITS,
    "entry/instrument/detector/pixel_mask": NEXUS_BITS,
    "entry_1/instrument_1/detector_1/mask": CXI_BITS,
}
"""Where a file's own mask lies (Dectris, NeXus, CXI), and the bits that reject a pixel."""

NEXUS_MEANINGS = ("gap", "dead", "under-responding", "over-responding", "noisy")
"""Of the lowest bits of NXdetector's ``pixel_mask``."""


def frame_datasets(file: h5py.File) -> list[str]:
    """Names of the datasets that hold a file's frames, in the order of the frames.

    Those of a Dectris master file; else what NeXus' ``default`` and ``signal`` lead to; else the only dataset
    with three or four axes.

    Raises
    ------
    ValueError
        If there is none, or several.
    """
    group = file.get("entry/data")
    if isinstance(group, h5py.Group) and (links := sorted(filter(DECTRIS_DATA.fullmatch, group))):
        return [f"entry/data/{name}" for name in links]
    stacks: dict[str, h5py.Dataset] = {}

    def look(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset) and node.ndim in (3, 4):
            stacks[name] = node

    file.visititems(look)
    default = _default(file)
    if default is not None:
        return [default]
    if len(stacks) == 1:
        return list(stacks)
    listed = ", ".join(stacks) or "none"
    raise ValueError(f"name the dataset of frames in {file.filename}; with 3 or 4 axes: {listed}")


def read_frames_of(file: h5py.File, names: list[str]) -> NDArray[np.number]:
    """All frames of some datasets, one after the other.

    Raises
    ------
    OSError
        If a dataset lies in a file that isn't there.
    ValueError
        If one is no dataset.
    """
    parts = []
    for name in names:
        dataset = file.get(name)
        link = file.get(name, getlink=True)
        if dataset is None and isinstance(link, h5py.ExternalLink):
            raise OSError(f"{file.filename} links to {link.filename}, which isn't there")
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"{file.filename} has no dataset {name!r}")  # noqa: TRY004
        parts.append(dataset[()])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def own_mask(file: h5py.File) -> tuple[NDArray[np.bool_] | None, str]:
    """The mask that a file holds of its own pixels, and a sentence on it.

    Returns
    -------
    bool array or None
        ``(row, col)``, True = missing.
    """
    for name, bits in MASKS.items():
        stored = file.get(name)
        if (
            not isinstance(stored, h5py.Dataset)
            or stored.ndim != 2
            or stored.dtype.kind not in "iub"
        ):
            continue
        values = stored[()]
        counted = [
            f"{number} {meaning}"
            for bit, meaning in enumerate(NEXUS_MEANINGS)
            if bits == NEXUS_BITS and (number := np.count_nonzero(rejected(values, 1 << bit)))
        ]
        mask = rejected(values, bits)
        told = f" ({', '.join(counted)})" if counted else ""
        return mask, f"the file's own mask {name} marks {np.count_nonzero(mask)} pixels{told}"
    return None, ""


def _default(file: h5py.File) -> str | None:
    """What NeXus' ``default`` attributes and ``signal`` lead to."""
    group: object = file
    for _ in range(3):
        if not isinstance(group, h5py.Group):
            return None
        signal = group.attrs.get("signal")
        if isinstance(signal, str) and isinstance(group.get(signal), h5py.Dataset):
            return str(group[signal].name)
        default = group.attrs.get("default")
        group = group.get(default) if isinstance(default, str) else None
    return None
