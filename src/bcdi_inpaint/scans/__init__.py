"""Bluesky documents, a finished run or a file -> ``RockingScan``."""

from .rocking_scan import RockingScan, ScanMetadata, Span

__all__ = ["RockingScan", "ScanMetadata", "Span"]
