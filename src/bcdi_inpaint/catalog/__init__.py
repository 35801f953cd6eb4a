"""Filled scans in Tiled: layout, writer, reader, client, queries, exporters.

Importing this costs a Tiled client next to nothing: neither torch nor matplotlib is loaded.
"""

from .client import BCDIInpainted
from .fill import ClaimLostError, Fill
from .layout import SPEC
from .metadata import FillMetadata
from .nodes import TagsRefusedError
from .queries import current, filled, find, open_processed, raw_run, raw_uids, unfilled
from .reader import FilledScan, open_scan, read
from .writer import AlreadyFilledError, ClaimedError, claim, write

__all__ = [
    "SPEC",
    "AlreadyFilledError",
    "BCDIInpainted",
    "ClaimLostError",
    "ClaimedError",
    "Fill",
    "FillMetadata",
    "FilledScan",
    "TagsRefusedError",
    "claim",
    "current",
    "filled",
    "find",
    "open_processed",
    "open_scan",
    "raw_run",
    "raw_uids",
    "read",
    "unfilled",
    "write",
]
