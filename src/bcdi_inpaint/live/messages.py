"""What the supervisor and its worker process say to each other, and how it crosses the pipe."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

    from .faults import Fault
    from .settings import Settings

# To the worker.


@dataclass(frozen=True, slots=True)
class Hello:
    """First message: the Tiled clients, and who claims the nodes that are written."""

    clients: bytes
    owner: str
    lease_seconds: float


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
    doc: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Leave:
    """Forget an open run; it is filled after it has finished."""

    uid: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Fill a finished run from Tiled; `again` also when it has a complete node."""

    uid: str
    settings: Settings
    again: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Mark the node of a run as failed, so that nobody tries again unasked."""

    uid: str
    settings: Settings
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing more will come."""


# From the worker.


@dataclass(frozen=True, slots=True)
class InHand:
    """The run that the worker works on from now on; empty when it waits."""

    uid: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: frames received, filled and announced, age of the oldest unfilled one."""

    uid: str
    frames: int
    filled: int
    expected: int | None
    seconds_behind: float


@dataclass(frozen=True, slots=True)
class Done:
    """A run has a complete node, with these metadata."""

    uid: str
    path: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A run could not be filled; `fault` decides whether trying again counts."""

    uid: str
    reason: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A run has been marked as failed."""

    uid: str


Order = Hello | Open | Document | Leave | Fill | GiveUp | Close
News = InHand | Progress | Done | Failed | GivenUp


def send(connection: Connection, message: Order | News) -> None:
    """Send a message; arrays go from their own memory to the pipe without being copied.

    Raises
    ------
    OSError
        If the other side is gone.
    """
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
    connection.send_bytes(len(arrays).to_bytes(4, "little") + head)
    for array in arrays:
        connection.send_bytes(array.raw())


def receive(connection: Connection) -> Any:
    """The next message; waits for it.

    Raises
    ------
    EOFError, OSError
        If the other side is gone.
    """
    head = connection.recv_bytes()
    arrays = [connection.recv_bytes() for _ in range(int.from_bytes(head[:4], "little"))]
    # The pipe joins this process and the child (or parent) it started, nobody else.
    return pickle.loads(memoryview(head)[4:], buffers=arrays)  # noqa: S301
