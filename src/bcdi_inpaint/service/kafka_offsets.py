"""Up to where the partitions of a Kafka topic have been dealt with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Offsets:
    """Remembers where runs begin, so that a run's documents are read again until it is done.

    Offsets are Kafka's: places of messages in a partition, which grow.
    """

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        """By partition: the message behind the last one that was taken."""
        self._begun: dict[str, tuple[int, int]] = {}
        """By uid: partition and offset of the start document of a run that is not done."""

    def position(self, partition: int) -> int | None:
        """The message to go on with; None if nothing is known of the partition."""
        return self._next.get(partition)

    def seek(self, partition: int, offset: int) -> None:
        """Messages before this one have been taken."""
        self._next[partition] = offset

    def begin(self, uid: str, partition: int, offset: int) -> None:
        """A run begins with this message."""
        self._begun.setdefault(uid, (partition, offset))

    def keep(self, uids: Collection[str]) -> None:
        """All but these runs are done."""
        self._begun = {uid: place for uid, place in self._begun.items() if uid in uids}

    def settled(self) -> dict[int, int]:
        """By partition, the message with which to begin after a restart: all before are dealt with."""
        settled = dict(self._next)
        for partition, offset in self._begun.values():
            settled[partition] = min(offset, settled.get(partition, offset))
        return settled
