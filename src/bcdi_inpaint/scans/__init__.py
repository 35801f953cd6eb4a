"""Bluesky documents, a finished run or a file -> ``RockingScan``."""

from __future__ import annotations

from bcdi_inpaint.geometry import Span

from .announced import announced_pixels, from_documents, read_points
from .documents import RunDocuments
from .from_files import from_file
from .hdf5 import Retry, read_frames
from .images import choose_image, declared_images
from .local_files import OutsideRootsError, allowed_path
from .locations import FramesInEvent, FramesInFile
from .pixel_facts import PixelFacts
from .reading import FramesPerPoint, ReadingOptions
from .recognition import (
    NoImagesError,
    RockingScanRule,
    Skip,
    SkipReason,
    is_rocking_scan,
    why_skipped,
)
from .rocking_scan import RockingScan, ScanMetadata
from .runs import from_run
from .sizes import LARGEST_STACK, MOST_POINTS, check_points, check_size
from .start_stop import RunStart, RunStop, printable

__all__ = [
    "LARGEST_STACK",
    "MOST_POINTS",
    "FramesInEvent",
    "FramesInFile",
    "FramesPerPoint",
    "NoImagesError",
    "OutsideRootsError",
    "PixelFacts",
    "ReadingOptions",
    "Retry",
    "RockingScan",
    "RockingScanRule",
    "RunDocuments",
    "RunStart",
    "RunStop",
    "ScanMetadata",
    "Skip",
    "SkipReason",
    "Span",
    "allowed_path",
    "announced_pixels",
    "check_points",
    "check_size",
    "choose_image",
    "declared_images",
    "from_documents",
    "from_file",
    "from_run",
    "is_rocking_scan",
    "printable",
    "read_frames",
    "read_points",
    "why_skipped",
]
