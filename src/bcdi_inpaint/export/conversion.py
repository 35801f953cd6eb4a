"""Filling files: no Tiled, no Bluesky."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.filling import inpaint
from bcdi_inpaint.filling.methods import DEFAULT, settings_of
from bcdi_inpaint.progress import no_progress
from bcdi_inpaint.scans import from_file
from bcdi_inpaint.scans.reading import AS_RECORDED

from .file_formats import FORMATS, format_of
from .filled_scan import FilledScan
from .treatment import recommended

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bcdi_inpaint.progress import Progress
    from bcdi_inpaint.scans import ReadingOptions

    from .file_formats import FileFormat
    from .treatment import Gaps


@dataclass(frozen=True, slots=True)
class FillingOptions:
    """How a stack is filled, as `bcdi_inpaint.inpaint` takes it; `options` are the method's alone."""

    method: str = DEFAULT
    device: str = "auto"
    twin: bool = True
    self_check: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a fill goes.

    Attributes
    ----------
    path
        A file, or a folder for the formats that take one.
    format
        One of `file_formats.FORMATS`; None = by the path's ending.
    gaps
        How a gap is handed to phase retrieval, for the formats that differ in it; None = by rule.
    replace
        Whether what is there already is replaced.
    """

    path: Path
    format: str | None = None
    gaps: Gaps | None = None
    replace: bool = False


def fill_file(
    source: Path,
    target: Target,
    filling: FillingOptions | None = None,
    reading: ReadingOptions = AS_RECORDED,
    *,
    dataset: str | None = None,
    angles: str | None = None,
    progress: Progress = no_progress,
) -> tuple[FilledScan, Gaps | None]:
    """Fill the scan in a file, or in a series of image files, and write it to another one.

    Parameters
    ----------
    source, reading, dataset, angles
        As `bcdi_inpaint.scans.from_file` takes them.
    target
        A file appears there when it is complete.
    filling
        None = as `bcdi_inpaint.inpaint` does by itself.
    progress
        Told what is being done, and how much of it is done.

    Returns
    -------
    scan, gaps
        What was written, and how the gap is handed on; None where the format knows no difference.

    Raises
    ------
    ValueError, OSError
        If `target` can't be written, or `source` can't be read or filled. Nothing is written then.
    """
    filling = filling or FillingOptions()
    kind = format_of(target.path, target.format)
    # The method's alone: self_check is none of them.
    chosen = settings_of(filling.method, filling.options)
    _check(source, target, kind)
    progress("reading", 0.0)
    scan = from_file(source, reading, dataset=dataset, angles=angles)
    filled = inpaint(
        scan.frames,
        scan.mask,
        filling.method,
        filling.device,
        twin=filling.twin,
        self_check=filling.self_check,
        progress=progress,
        **chosen,
    )
    progress("writing", 0.0)
    result = FilledScan(filled, scan.metadata, scan.angles, scan.monitor)
    gaps = (target.gaps or recommended(filled)) if kind.treats_gaps else None
    kind.write(target.path, result, **({"gaps": gaps} if gaps else {}))
    return result, gaps


def _check(source: Path, target: Target, kind: FileFormat) -> None:
    """Refuse what can't be written, before any work."""
    path = target.path
    if target.gaps is not None and not kind.treats_gaps:
        takers = ", ".join(name for name, known in FORMATS.items() if known.treats_gaps)
        raise ValueError(f"gaps='{target.gaps}' makes no difference in {path}: it is for {takers}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"nothing may be written to {path.parent}")
    if not path.exists():
        return
    if path.is_dir() != kind.folder:
        raise ValueError(
            f"{path} is {'a folder' if path.is_dir() else 'no folder'}: give another name"
        )
    if path.samefile(source):
        raise ValueError(f"{path} is the raw file itself: give another name for the filled scan")
    if not target.replace and (not kind.folder or any(path.iterdir())):
        raise FileExistsError(
            f"{path} exists{' and is not empty' * kind.folder}; --force replaces it"
        )
