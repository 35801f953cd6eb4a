"""Bluesky documents, a finished run or a file -> ``RockingScan``."""

from __future__ import annotations

from .announced import from_documents, read_points
from .assembly import Choices
from .documents import FramesInEvent, FramesInFile, RunDocuments
from .from_files import from_file
from .hdf5 import OutsideRootsError, Retry, allowed_path, read_frames
from .recognition import RockingScanRule, is_rocking_scan
from .rocking_scan import RockingScan, ScanMetadata, Span
from .runs import from_run
from .sizes import LARGEST_STACK, check_size
from .start_stop import RunStart, RunStop

__all__ = [
    "LARGEST_STACK",
    "Choices",
    "FramesInEvent",
    "FramesInFile",
    "OutsideRootsError",
    "Retry",
    "RockingScan",
    "RockingScanRule",
    "RunDocuments",
    "RunStart",
    "RunStop",
    "ScanMetadata",
    "Span",
    "allowed_path",
    "check_size",
    "from_documents",
    "from_file",
    "from_run",
    "is_rocking_scan",
    "read_frames",
    "read_points",
]
