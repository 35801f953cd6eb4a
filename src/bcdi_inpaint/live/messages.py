"""Messages between the supervisor and its worker process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bcdi_inpaint.export.layout import NodeMetadata
    from bcdi_inpaint.scans import Skip

    from .errors import Cause
    from .settings import Settings

# To the worker.


@dataclass(frozen=True, slots=True)
class Hello:
    """First message: the Tiled clients, and who claims the nodes that are written."""

    clients: bytes
    owner: str
    lease_seconds: float
    beat_seconds: float
    """Seconds between signs of life of a worker that has nothing to do."""


@dataclass(frozen=True, slots=True)
class Open:
    """A run begins and is to be filled while its documents arrive."""

    uid: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Document:
    """One document of an open run."""

    uid: str
    name: str
    doc: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget an open run; it is filled after it has finished.

    With a reason, its node is released too and says why; that is answered with `Released`.
    """

    uid: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fill:
    """Fill a finished run from Tiled; `again` also when it has a complete node."""

    uid: str
    settings: Settings
    again: bool = False


@dataclass(frozen=True, slots=True)
class MarkFailed:
    """Mark the node of a run as failed; if the run is `proved` to be the cause, it is not tried again unless asked."""

    uid: str
    settings: Settings
    reason: str
    proved: bool


@dataclass(frozen=True, slots=True)
class Close:
    """No more messages will come."""


# From the worker.


@dataclass(frozen=True, slots=True)
class InHand:
    """The run that the worker works on from now on; empty when it waits, which is said again and again."""

    uid: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: frames received, filled and announced, age of the oldest unfilled one.

    Of the filled ones, `final` stay as they are; the others are filled again when their Friedel twins have been measured.
    """

    uid: str
    frames: int
    filled: int
    expected: int | None
    seconds_behind: float
    final: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """A run has a complete node, with these metadata."""

    uid: str
    path: str
    metadata: NodeMetadata


@dataclass(frozen=True, slots=True)
class Failed:
    """A run could not be filled; `cause` decides whether trying again counts."""

    uid: str
    reason: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Skipped:
    """A run is not to be filled after all."""

    uid: str
    skip: Skip


@dataclass(frozen=True, slots=True)
class MarkedFailed:
    """A run has been marked as failed."""

    uid: str


@dataclass(frozen=True, slots=True)
class Released:
    """The node of a run that goes on has been released."""

    uid: str


RunOrder = Open | Document | Drop | Fill | MarkFailed
Order = Hello | RunOrder | Close
News = InHand | Progress | Done | Failed | Skipped | MarkedFailed | Released
