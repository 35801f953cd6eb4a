"""A bounded queue between the RunEngine's thread and the supervisor's."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..messages import Document, Drop, Open


class DocumentQueue:
    """First in, first out; `offer` refuses entries beyond its bounds. Never blocks."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._waiting: deque[tuple[Open | Document | Drop, int]] = deque()
        self._bytes = 0
        self._nudged = False
        self._changed = Condition()

    @property
    def entries(self) -> int:
        """How many entries wait."""
        return len(self._waiting)

    @property
    def bytes(self) -> int:
        """How large they are together."""
        return self._bytes

    @property
    def room(self) -> int:
        """Bytes that an entry may have at the moment to be taken; -1 if there are too many."""
        return self.max_bytes - self._bytes if len(self._waiting) < self.max_entries else -1

    def offer(self, entry: Document, nbytes: int) -> bool:
        """Take `entry` unless a bound would be exceeded; whether it was taken."""
        with self._changed:
            room = len(self._waiting) < self.max_entries and self._bytes + nbytes <= self.max_bytes
            if room:
                self._append(entry, nbytes)
        return room

    def insist(self, entry: Open | Document | Drop) -> None:
        """Take `entry` in any case: for the few small ones that must not be lost."""
        with self._changed:
            self._append(entry, 0)

    def discard(self, uid: str) -> None:
        """Forget the entries of one run."""
        with self._changed:
            self._waiting = deque((e, n) for e, n in self._waiting if e.uid != uid)
            self._bytes = sum(n for _, n in self._waiting)

    def take(self, timeout: float | None) -> Open | Document | Drop | None:
        """The oldest entry; None after `timeout` seconds or a `nudge`."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._nudged, timeout)
            self._nudged = False
            if not self._waiting:
                return None
            entry, nbytes = self._waiting.popleft()
            self._bytes -= nbytes
            return entry

    def nudge(self) -> None:
        """Wake up the thread that waits in `take`."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def _append(self, entry: Open | Document | Drop, nbytes: int) -> None:
        self._waiting.append((entry, nbytes))
        self._bytes += nbytes
        self._changed.notify()
