"""Kinds of files that a fill is written to, and which of them a name stands for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.atomic_writing import whole_file

from . import formats as exporters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .filled_scan import FilledScan


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How a fill is written.

    Attributes
    ----------
    write
        ``write(path, scan)``, or ``write(path, scan, gaps=...)`` where `treats_gaps`.
    reader
        For whom.
    treats_gaps
        Whether it matters there how a gap is handed on.
    folder
        Whether the path is a folder.
    """

    write: Callable[..., Any]
    reader: str
    treats_gaps: bool = False
    folder: bool = False


def npz(path: Path, scan: FilledScan) -> None:
    """``intensity``, ``sigma``, ``mask`` (bool, what was filled), ``theta``, ``monitor``, ``report`` and ``meta`` (JSON).

    `bcdi_inpaint.scans.from_file` reads it back: under ``meta`` are the names that it looks for.
    """
    filled, known = scan.filled, scan.metadata
    meta = {
        "sample_name": known.sample,
        "scan_id": known.scan_id,
        "detector": known.detector,
        "energy": known.energy,
        "distance": known.distance,
        "roi": known.roi,
        "binning": known.binning,
        "monitor": known.monitor,
        "counts_per_unit": known.counts_per_unit,
        **dict(zip(("y_pixel_size", "x_pixel_size"), known.pixel_size or (), strict=False)),
        **dict(zip(("beam_center_y", "beam_center_x"), known.direct_beam or (), strict=False)),
        "sample_angles": dict(known.sample_angles),
        "detector_angles": dict(known.detector_angles),
    }
    columns: dict[str, Any] = {"theta": scan.angles, "monitor": scan.monitor}
    with whole_file(path) as part, part.open("wb") as file:  # numpy appends .npz to a name
        np.savez_compressed(
            file,
            intensity=filled.intensity,
            sigma=filled.sigma,
            mask=filled.mask,
            report=np.array(json.dumps(filled.report.to_dict())),
            meta=np.array(json.dumps({name: value for name, value in meta.items() if value})),
            **{name: column for name, column in columns.items() if column is not None},
        )


def npy(path: Path, scan: FilledScan) -> None:
    """The intensity alone."""
    with whole_file(path) as part, part.open("wb") as file:
        np.save(file, scan.filled.intensity)


def cohere(folder: Path, scan: FilledScan) -> None:
    """A cohere experiment's ``phasing_data/data.tif``."""
    exporters.cohere(folder / "phasing_data" / "data.tif", scan)


FORMATS = {
    "npz": FileFormat(npz, "numpy, with everything in it"),
    "npy": FileFormat(npy, "numpy, the intensity alone"),
    "nexus": FileFormat(exporters.nexus, "silx view, NeXpy, h5py"),
    "cxi": FileFormat(exporters.pynx_cxi, "PyNX", treats_gaps=True),
    "pynx": FileFormat(exporters.pynx_run, "PyNX, with a script", treats_gaps=True, folder=True),
    "pynx-npz": FileFormat(exporters.pynx_npz, "PyNX", treats_gaps=True),
    "cdiutils": FileFormat(exporters.cdiutils, "cdiutils", treats_gaps=True, folder=True),
    "cohere": FileFormat(cohere, "cohere", folder=True),
    "tif": FileFormat(exporters.tif, "ImageJ and others"),
}

ENDINGS = {
    ".npz": "npz", ".npy": "npy", ".h5": "nexus", ".hdf5": "nexus", ".nxs": "nexus", ".cxi": "cxi",
    ".tif": "tif", ".tiff": "tif",
}  # fmt: skip
"""What a file's ending stands for where no format is named."""


def format_of(path: Path, name: str | None) -> FileFormat:
    """The format that is named, else the one that the path's ending stands for.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name is None:
        name = ENDINGS.get(path.suffix.lower())
        if name is None:
            raise ValueError(
                f"{path}: the name must end in {', '.join(ENDINGS)}, or name its format"
            )
    elif name not in FORMATS:
        raise ValueError(f"there is no format {name!r}; there are: {', '.join(FORMATS)}")
    return FORMATS[name]
