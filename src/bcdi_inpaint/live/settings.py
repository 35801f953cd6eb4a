"""How a run is filled, and the bounds of live filling."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.filling.methods import DEFAULT
from bcdi_inpaint.scans import ReadingOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .region import Region


@dataclass(frozen=True, slots=True, eq=False)
class Settings(ReadingOptions):
    """How a run is read and filled; fixed for a run when its start document arrives.

    Beside what `bcdi_inpaint.scans.ReadingOptions` holds:

    Attributes
    ----------
    method, device, options
        As `bcdi_inpaint.inpaint` takes them.
    region
        What part of the recorded frames is filled: ``((row0, row1), (col0, col1))`` in their own
        pixels, an `AroundPeak`, or None for all of them.
    portion
        Points in a block of the node. While the run goes on two blocks are filled at a time, one
        towards its end, all there are if filling has fallen behind.
    margin
        Points on either side that must be there before a window is filled.
    final_seconds
        When the run stops, the whole stack is filled at once, as `inpaint` does offline, if that
        takes no longer than this; else what was filled in windows stays, and the last one is
        added. 0 never waits. The self-check is that of the window with the Bragg peak, unless
        this is infinity: then everything is done again as offline.
    notes
        Sentences for the report: choices that it doesn't show otherwise.
    """

    method: str = DEFAULT
    device: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    region: Region | None = None
    portion: int = 16
    margin: int = 8
    final_seconds: float = 0.25
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of live filling.

    Attributes
    ----------
    max_documents, max_bytes
        What may wait for the worker; beyond, live filling of that run is dropped.
    attempts
        Attempts after which a run is marked as failed.
    retry_seconds
        Wait before the next attempt; doubles up to 32 times as much.
    absent_seconds
        For so long a run that has stopped may be missing from Tiled, or its files from the disk, or
        Tiled may refuse or fail to read it (answers 403, 404 and 500).
    stall_seconds
        A worker that is silent for so long over one run is replaced.
    silent_seconds
        A run that goes on, of which no document has come for so long, may never stop: its frames and its
        claim are released. It is filled from Tiled when it has stopped after all.
    lease_seconds
        After this time another service may take over what a vanished one had begun.
    threads
        Threads of the worker's numerical libraries; by default half of the machine's, at least two, so
        that two bands are filled at a time. The RunEngine, the detector and Tiled have priority.

    Raises
    ------
    ValueError
        If a number is below 1, or a time is not above 0.
    """

    max_documents: int = 20_000
    max_bytes: int = 512 * 2**20
    attempts: int = 3
    retry_seconds: float = 1.0
    absent_seconds: float = 300.0
    stall_seconds: float = 900.0
    silent_seconds: float = 3600.0
    lease_seconds: float = 120.0
    threads: int = max(2, (os.cpu_count() or 1) // 2)

    def __post_init__(self) -> None:
        for field_ in fields(self):
            value = getattr(self, field_.name)
            if field_.type == "int" and value < 1:
                raise ValueError(f"{field_.name} must be at least 1; got {value}")
            if field_.type == "float" and not value > 0:
                raise ValueError(f"{field_.name} must be above 0; got {value}")
