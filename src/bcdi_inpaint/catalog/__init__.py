"""Filled scans in Tiled: layout, writer, reader, client, queries, exporters.

Importing this costs a Tiled client next to nothing: neither torch nor matplotlib is loaded.
"""

from bcdi_inpaint.export.filled_scan import FilledScan, open_scan, read
from bcdi_inpaint.export.metadata import FillMetadata

from .claimed_node import ClaimLostError
from .claims import AlreadyFilledError, ClaimedError, claim
from .client import BCDIInpainted
from .layout import SPEC
from .node import Fill
from .nodes import TagsRefusedError
from .queries import (
    current,
    filled,
    filled_scan,
    filled_table,
    find,
    open_processed,
    raw_run,
    raw_uids,
    unfilled,
)
from .writing import write

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
    "filled_scan",
    "filled_table",
    "find",
    "open_processed",
    "open_scan",
    "raw_run",
    "raw_uids",
    "read",
    "unfilled",
    "write",
]
