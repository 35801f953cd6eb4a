"""What live filling is doing, as plain values that a terminal or a web page can show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

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
"""Given up, for a reason."""

GOING_ON = (MEASURING, LEFT)
TO_DO = (WAITING, FILLING)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far one run is.

    Attributes
    ----------
    uid, scan_id, sample
        As in the start document.
    state
        One of `MEASURING`, `LEFT`, `WAITING`, `FILLING`, `COMPLETE`, `FAILED`.
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
        What went wrong last, or why it was left to be filled later; empty if nothing did.
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
    state: str = WAITING
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
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """What live filling is doing.

    Attributes
    ----------
    enabled
        Whether new runs are taken.
    paused
        Whether filling rests; runs are taken and wait.
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
    complete, failed, dropped
        How many runs were completed, given up, and left because the worker could not keep up.
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
    complete: int
    failed: int
    dropped: int
    last_error: str
    in_hand: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same as nested dictionaries and lists of plain values."""
        plain = asdict(self)
        plain["runs"] = list(plain["runs"])
        plain["last"] = list(plain["last"])
        return plain
