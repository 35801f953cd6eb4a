"""Where detectors' HDF5 files hold their frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h5py
import numpy as np

from .guarded_file import text_attribute
from .sizes import check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECTRIS_DATA = re.compile(r"data_\d{6}")
"""A master file's links to its data files, in the order of the frames (SIMPLON API reference)."""

CXI_FRAMES = ("entry_1/data_1/data", "entry_1/instrument_1/detector_1/data")


def frame_datasets(file: h5py.File) -> list[str]:
    """Names of the datasets that hold a file's frames, in the order of the frames.

    Those of a Dectris master file; else what NeXus' ``default`` and ``signal`` lead to; else those of a CXI file;
    else the only dataset with three or four axes that is no mask.

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
        if isinstance(node, h5py.Dataset) and node.ndim in (3, 4) and "mask" not in name:
            stacks[name] = node

    default = _default(file) or next((name for name in CXI_FRAMES if name in file), None)
    if default is not None:
        return [default]
    file.visititems(look)
    if len(stacks) == 1:
        return list(stacks)
    listed = ", ".join(stacks) or "none"
    raise ValueError(f"name the dataset of frames in {file.filename}; with 3 or 4 axes: {listed}")


def read_frames_of(file: h5py.File, names: list[str], largest: int) -> NDArray[np.number]:
    """All frames of some datasets, one after the other, none of which may be larger than `largest` bytes."""
    parts = []
    for name in names:
        dataset = file.get(name)
        link = file.get(name, getlink=True)
        if dataset is None and isinstance(link, h5py.ExternalLink):
            raise OSError(f"{file.filename} links to {link.filename}, which isn't there")
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"{file.filename} has no dataset {name!r}")  # noqa: TRY004
        check_size(dataset.shape, dataset.dtype, largest)
        parts.append(dataset[()])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _default(file: h5py.File) -> str | None:
    """What NeXus' ``default`` attributes and ``signal`` lead to."""
    group: object = file
    for _ in range(3):
        if not isinstance(group, h5py.Group):
            return None
        signal = text_attribute(group, "signal")
        if signal and isinstance(group.get(signal), h5py.Dataset):
            return str(group[signal].name)
        default = text_attribute(group, "default")
        group = group.get(default) if default else None
    return None
