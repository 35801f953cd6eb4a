"""Writing a filled scan that is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bcdi_inpaint.export.volumes import write_volumes
from bcdi_inpaint.progress import no_progress

from .claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from tiled.client.container import Container

    from bcdi_inpaint.filling.result import Inpainted
    from bcdi_inpaint.progress import Progress
    from bcdi_inpaint.scans.rocking_scan import RockingScan

    from .node import Fill


def write(
    processed: Container,
    scan: RockingScan,
    filled: Inpainted,
    *,
    method: str = "",
    redo: bool = True,
    folder: Path | None = None,
    progress: Progress = no_progress,
) -> Container:
    """Write a filled scan at once.

    Parameters
    ----------
    processed
        The container of filled scans, ``<beamline>/processed/bcdi_inpaint``.
    scan, filled
        The scan and what `inpaint` made of it. The arrays may be anything that gives numpy arrays
        when sliced (memory maps, dask arrays): they are read block by block.
    method
        The method that was asked for, where it is not the one that filled in the end.
    redo
        Whether to replace a complete node (it becomes superseded) or to raise `AlreadyFilledError`.
    folder
        Write the volumes to an HDF5 file in this folder and register it, instead of sending them
        to Tiled. The server must see it under the same path and have it in ``readable_storage``.
    progress
        Called with the number of frames written, after every block.

    Returns
    -------
    Container
        Client of the node, complete.

    Raises
    ------
    ClaimedError, AlreadyFilledError, TagsRefusedError
        And whatever stops it in the middle; nothing half-written is left then.
    """
    if scan.frames.shape != filled.intensity.shape:
        raise ValueError(
            f"the scan has shape {scan.frames.shape}, its fill {filled.intensity.shape}"
        )
    fill = claim(processed, scan.metadata, method=method or filled.report.method, redo=redo)
    path = None if folder is None else folder.absolute() / f"{fill.key}.h5"
    try:
        if path is None:
            fill.write(filled, progress=progress)
        else:
            _write_file(fill, filled, path, progress)
        return fill.finish(filled, angles=scan.angles, monitor=scan.monitor)
    except BaseException:
        fill.abandon()
        if path is not None:
            path.unlink(missing_ok=True)
        raise


def _write_file(fill: Fill, filled: Inpainted, path: Path, progress: Progress) -> None:
    """Write the volumes to a file, and let Tiled serve them from there."""

    def after_block(what: str, done: float, total: float = 1.0) -> None:
        fill.renew_when_due()
        progress(what, done, total)

    write_volumes(path, filled, progress=after_block)
    fill.register(path, filled.intensity.shape, filled.intensity.dtype)
