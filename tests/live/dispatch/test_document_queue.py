"""The queue between the RunEngine's thread and the supervisor's."""

from __future__ import annotations

import threading
import time

import pytest

from bcdi_inpaint.live.dispatch.document_queue import DocumentQueue
from bcdi_inpaint.live.messages import Document, Drop


def document(uid: str, number: int = 0) -> Document:
    return Document(uid, "event", {"seq_num": number})


@pytest.fixture
def queue() -> DocumentQueue:
    return DocumentQueue(3, 100)


def test_first_in_first_out(queue: DocumentQueue) -> None:
    entries = [document("a", number) for number in range(3)]
    assert all(queue.offer(entry, 10) for entry in entries)
    assert (queue.entries, queue.bytes, queue.room) == (3, 30, -1)
    assert [queue.take(0) for _ in range(4)] == [*entries, None]
    assert (queue.entries, queue.bytes, queue.room) == (0, 0, 100)


def test_what_exceeds_a_bound_is_refused_and_what_is_insisted_on_is_not(
    queue: DocumentQueue,
) -> None:
    assert queue.offer(document("a"), 100)
    assert not queue.offer(document("a"), 1)
    for _ in range(5):
        queue.insist(Drop("a"))
    assert (queue.entries, queue.bytes) == (6, 100)


def test_the_entries_of_a_run_are_discarded_with_their_bytes(queue: DocumentQueue) -> None:
    for uid, nbytes in (("a", 50), ("b", 20), ("a", 30)):
        assert queue.offer(document(uid), nbytes)
    queue.discard("a")
    assert (queue.entries, queue.bytes) == (1, 20)
    assert queue.take(0) == document("b")


@pytest.mark.parametrize("wake", ["nudge", "entry"])
def test_who_waits_is_woken_up(wake: str, queue: DocumentQueue) -> None:
    timer = threading.Timer(
        0.1, queue.nudge if wake == "nudge" else lambda: queue.insist(Drop("a"))
    )
    timer.start()
    began = time.monotonic()
    assert queue.take(30) == (None if wake == "nudge" else Drop("a"))
    assert time.monotonic() - began < 20
    timer.join()


def test_a_nudge_before_waiting_counts(queue: DocumentQueue) -> None:
    queue.nudge()
    assert queue.take(None) is None
