"""Filled scans in Tiled: layout, writer, client, queries, exporters."""

from .writer import (
    AlreadyFilledError,
    ClaimedError,
    ClaimLostError,
    Fill,
    TagsRefusedError,
    claim,
    write,
)

__all__ = [
    "AlreadyFilledError",
    "ClaimLostError",
    "ClaimedError",
    "Fill",
    "TagsRefusedError",
    "claim",
    "write",
]
