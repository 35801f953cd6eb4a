"""What live filling is doing, as plain values that a terminal or a web page can show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bcdi_inpaint.export.layout import NodeMetadata


class State(StrEnum):
    """How far a run is."""

    MEASURING = "measuring"
    """The run goes on and is filled while it does."""
    LEFT = "left"
    """The run goes on; it is filled after it has finished."""
    WAITING = "waiting"
    """The run has finished and waits for its turn."""
    FILLING = "filling"
    """The run has finished and is being filled."""
    COMPLETE = "complete"
    """There is a complete node."""
    FAILED = "failed"
    """It could not be filled, for a reason."""
    SKIPPED = "skipped"
    """It is not to be filled, for a reason."""


class FailReason(StrEnum):
    """Why a run has failed."""

    DATA = "unusable data"
    FILES = "unreadable files"
    TILED = "refused by Tiled"
    WORKER = "worker lost"
    DEFECT = "defect"


class DropReason(StrEnum):
    """Why a run was not filled while it went on."""

    SLOW = "worker too slow"
    DEEP = "document too deep"
    LOST = "document lost"
    SILENT = "no documents"


GOING_ON = (State.MEASURING, State.LEFT)
TO_DO = (State.WAITING, State.FILLING)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far one run is.

    Attributes
    ----------
    uid, scan_id, sample
        As in the start document.
    state
        A `State`.
    method
        What it is filled with.
    frames, filled, final, expected
        Frames received, frames filled, those of them that stay as they are, frames that the plan
        announced.
    seconds_behind
        Age of the oldest frame that is not filled yet.
    failures
        How often filling it failed.
    reason
        What went wrong last, or why it was left to be filled later or not at all; empty if nothing did.
    path
        Where the node is in Tiled.
    started, stopped, completed
        Seconds since the epoch; None before.
    result
        The node's metadata: gap share, self-check and so on; empty before.
    """

    uid: str
    scan_id: int | None = None
    sample: str = ""
    state: State = State.WAITING
    method: str = ""
    frames: int = 0
    filled: int = 0
    final: int = 0
    expected: int | None = None
    seconds_behind: float = 0.0
    failures: int = 0
    reason: str = ""
    path: str = ""
    started: float | None = None
    stopped: float | None = None
    completed: float | None = None
    result: NodeMetadata = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``scan 12 Pt``, or with the beginning of the uid where there is no number."""
        scan = (
            self.scan_id if self.scan_id is not None else self.result.get("scan_id", self.uid[:8])
        )
        return f"scan {scan} {self.sample or self.result.get('sample', '')}".rstrip()

    def __repr__(self) -> str:
        words = [f"<{self.name}: {self.state}"]
        if self.state in (*GOING_ON, *TO_DO):
            expected = "" if self.expected is None else f" of {self.expected}"
            words.append(f"{self.frames}{expected} frames, {self.filled} filled")
        return ", ".join([*words, *filter(None, (self.reason, self.path))]) + ">"


@dataclass(frozen=True, slots=True)
class Status:
    """What live filling is doing.

    Attributes
    ----------
    enabled
        Whether new runs are taken.
    paused
        Whether filling is paused; runs are taken and wait.
    worker
        Process id of the worker; None while there is none.
    restarts
        How often a worker had to be replaced.
    queue_documents, queue_bytes
        What waits for the worker.
    runs
        Runs that are not done yet, oldest first.
    last
        Runs that are done, newest first.
    skipped
        Runs that are none of those that are filled, newest first.
    complete, failed, dropped
        How many runs were completed, have failed, and were dropped by live filling because the worker could not keep up.
    failed_by, dropped_by, skipped_by
        How many runs have failed, were dropped and skipped, by the kind of reason.
    last_error
        The last thing that went wrong, in one line.
    in_hand
        Uid of the run that the worker is at; empty while it waits.
    """

    enabled: bool
    paused: bool
    worker: int | None
    restarts: int
    queue_documents: int
    queue_bytes: int
    runs: tuple[RunStatus, ...]
    last: tuple[RunStatus, ...]
    skipped: tuple[RunStatus, ...]
    complete: int
    failed: int
    dropped: int
    failed_by: Mapping[str, int]
    dropped_by: Mapping[str, int]
    skipped_by: Mapping[str, int]
    last_error: str
    in_hand: str = ""

    def __repr__(self) -> str:
        """One line: settings, unfinished runs, results."""
        on = "off" if not self.enabled else "paused" if self.paused else "on"
        worker = "no worker" if self.worker is None else f"worker {self.worker}"
        going_on = ", ".join(f"{run.name} {run.state}" for run in self.runs) or "nothing to do"
        counts = f"{self.complete} filled, {self.failed} failed, {self.dropped} filled late"
        error = f", last error: {self.last_error}" if self.last_error else ""
        return f"<Status {on} ({worker}): {going_on}; {counts}{error}>"

    def to_dict(self) -> dict[str, object]:
        """The same as nested dictionaries and lists of plain values."""
        plain = asdict(self)
        return plain | {name: list(plain[name]) for name in ("runs", "last", "skipped")}
