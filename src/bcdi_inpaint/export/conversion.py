"""Filling files: no Tiled, no Bluesky."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.atomic_writing import whole_file
from bcdi_inpaint.filling import inpaint
from bcdi_inpaint.filling.methods import DEFAULT, settings_of
from bcdi_inpaint.progress import no_progress
from bcdi_inpaint.scans import from_file

from . import formats as exporters
from .filled_scan import FilledScan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.progress import Progress


def fill_file(
    source: Path,
    target: Path,
    *,
    method: str | None = None,
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
    twin: bool = True,
    self_check: bool = True,
    force: bool = False,
    progress: Progress = no_progress,
    **reading: Any,
) -> Inpainted:
    """Fill the scan in a file and write another file.

    Parameters
    ----------
    source
        npz, npy, tif or HDF5 (CXI, NeXus).
    target
        Its extension decides the format, see `WRITERS`. It appears when it is complete.
    method, device, twin, self_check
        As `bcdi_inpaint.inpaint` takes them.
    options
        Of the method.
    force
        Replace `target` if it is there.
    progress
        Called with what is being done.
    **reading
        What `bcdi_inpaint.scans.from_file` takes beside the path.

    Raises
    ------
    ValueError, OSError
        If `target` can't be written, or `source` can't be read or filled. Nothing is written then.
    """
    write = _writer(target)
    method = method or DEFAULT
    # The method's alone: self_check and the like are no options.
    chosen = settings_of(method, options or {})
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} to")
    if target.exists() and not force:
        raise FileExistsError(f"{target} exists; --force replaces it")
    if target.exists() and target.samefile(source):
        raise ValueError(f"{target} is the raw file itself: give another name for the filled one")
    with whole_file(target) as part:
        progress("reading", 0.0)
        scan = from_file(source, **reading)
        progress("filling", 0.1)
        filled = inpaint(
            scan.frames,
            scan.mask,
            method,
            device,
            twin=twin,
            self_check=self_check,
            **chosen,
        )
        progress("writing", 0.9)
        write(part, FilledScan(filled, scan.metadata, scan.angles))
    return filled


def _npz(path: Path, scan: FilledScan) -> None:
    """``data``, ``sigma``, ``filled`` (bool), ``theta`` and ``report`` (JSON)."""
    filled = scan.filled
    angles: dict[str, Any] = {} if scan.angles is None else {"theta": scan.angles}
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            data=filled.intensity,
            sigma=filled.sigma,
            filled=filled.mask,  # packages that find a "mask" would mask these voxels again
            report=np.array(json.dumps(filled.report.to_dict())),
            **angles,
        )


def _npy(path: Path, scan: FilledScan) -> None:
    with path.open("wb") as file:
        np.save(file, scan.filled.intensity)


WRITERS: dict[str, Callable[[Path, FilledScan], None]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".h5": exporters.nexus,
    ".hdf5": exporters.nexus,
    ".nxs": exporters.nexus,
    ".cxi": exporters.pynx_cxi,
    ".tif": exporters.tif,
    ".tiff": exporters.tif,
}
"""Extension -> what writes it: everything there is (npz, NeXus), PyNX's CXI, intensity alone."""


def _writer(target: Path) -> Callable[[Path, FilledScan], None]:
    try:
        return WRITERS[target.suffix.lower()]
    except KeyError:
        raise ValueError(f"{target}: the name must end in {', '.join(WRITERS)}") from None
