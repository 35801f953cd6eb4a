"""Which pixels of a detector are missing, and why. Needs numpy only.

A mask is a bool array, ``(row, col)`` or ``(frame, row, col)``; True means missing. It can come from the
detector's geometry (`detector`, `recognise`), from a file (`read_mask`), from values that are no counts
(`flagged`) and from pixels that misbehave (`hot_pixels`, `dead_pixels`); `merge` merges them and reports each
one's share.
"""

from __future__ import annotations

from .bad_pixels import MOST_BITS, dead_pixels, flagged, hot_pixels
from .chips import Detector, Lines, Module
from .lookup import detector, detectors, recognise
from .mask_files import CXI_BITS, NEXUS_BITS, PIXEL_MASK, read_mask, rejected
from .merging import MissingPixels, merge
from .recorded import Span, as_recorded

__all__ = [
    "CXI_BITS",
    "MOST_BITS",
    "NEXUS_BITS",
    "PIXEL_MASK",
    "Detector",
    "Lines",
    "MissingPixels",
    "Module",
    "Span",
    "as_recorded",
    "dead_pixels",
    "detector",
    "detectors",
    "flagged",
    "hot_pixels",
    "merge",
    "read_mask",
    "recognise",
    "rejected",
]
