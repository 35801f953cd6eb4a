"""Bluesky documents, a finished run or a file -> ``RockingScan``."""

from __future__ import annotations

from .documents import FramesInEvent, FramesInFile, RunDocuments
from .files import OutsideRootsError, Retry, allowed_path, read_frames
from .local import from_file
from .recognition import RockingScanRule, is_rocking_scan
from .rocking_scan import RockingScan, ScanMetadata, Span
from .run import from_run

__all__ = [
    "FramesInEvent",
    "FramesInFile",
    "OutsideRootsError",
    "Retry",
    "RockingScan",
    "RockingScanRule",
    "RunDocuments",
    "ScanMetadata",
    "Span",
    "allowed_path",
    "from_file",
    "from_run",
    "is_rocking_scan",
    "read_frames",
]
