"""What crosses the pipe: plain values, all of a message or nothing, and settings that the worker can read."""

from __future__ import annotations

import collections
import enum
import pickle
import threading
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import __main__
from bcdi_inpaint.live import AroundPeak, Settings
from bcdi_inpaint.live.messages import Document, Fill, InHand, Open
from bcdi_inpaint.live.pipe import UnreadableError, copy_settings, receive, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


class Pair(NamedTuple):
    a: int
    b: int


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Name(str):
    """A text of the user's own."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError


class Resisting:
    """An object that can't be sent and says nothing."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


class Frames:
    """Like an array of dask or xarray."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.arange(6).reshape(2, 3)


class MyArray(np.ndarray):
    """A subclass that the worker doesn't know."""


@contextmanager
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = Pipe()
    with ours, theirs:
        yield ours, theirs


def through_the_pipe(message: Any) -> Any:
    with pipe() as (ours, theirs):
        sending = threading.Thread(target=send, args=(ours, message))
        sending.start()
        received = receive(theirs)
        sending.join()
        return received


def received(value: Any) -> Any:
    return through_the_pipe(Document("a", "event", {"data": {"x": value}})).doc["data"]["x"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        10**30,
        1.5,
        1 + 2j,
        "text",
        "\udcff",
        b"bytes",
        [1, [2, {"a": (3, 4)}]],
        {1, 2},
        frozenset({1}),
        range(3),
    ],
    ids=repr,
)
def test_plain_values_arrive_as_they_are(value: Any) -> None:
    assert received(value) == value
    assert type(received(value)) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(12, dtype=">u2").reshape(3, 4),
        np.asfortranarray(np.ones((3, 4))),
        np.arange(12)[::2],
        np.array(["a", "b"]),
        np.float32(2.5),
        np.zeros((0, 3)),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([1, "a", None], dtype=object),
    ],
    ids=lambda value: str(value.dtype),
)
def test_numpys_values_arrive_as_they_are(value: Any) -> None:
    np.testing.assert_array_equal(received(value), value)
    assert received(value).dtype == value.dtype


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Pair(1, 2), (1, 2)),
        (Colour.RED, "Colour.RED"),
        (Number.ONE, 1),
        (Name("Pt"), "Pt"),
        (collections.OrderedDict(a=Pair(1, 2)), {"a": (1, 2)}),
        (collections.deque([1, 2]), [1, 2]),
        (Resisting(), "<Resisting>"),
        ([Resisting()], ["<Resisting>"]),
        (Pair, str(Pair)),
        (Resisting().__reduce_ex__, "<method>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects_arrive_in_their_plain_form(value: Any, plain: Any) -> None:
    assert received(value) == plain
    assert type(received(value)) is type(plain)


@pytest.mark.parametrize("value", [threading.Lock(), (i for i in "ab"), lambda: 1, np, open])
def test_what_can_not_be_pickled_arrives_as_text(value: Any) -> None:
    assert received(value) == str(value)


@pytest.mark.parametrize("value", [Frames(), np.arange(6).reshape(2, 3).view(MyArray)])
def test_what_is_like_an_array_arrives_as_one(value: Any) -> None:
    assert type(received(value)) is np.ndarray
    np.testing.assert_array_equal(received(value), [[0, 1, 2], [3, 4, 5]])


def test_a_message_is_sent_as_a_whole_or_not_at_all() -> None:
    gappy = pickle.PickleBuffer(memoryview(bytes(9))[::2])
    with pipe() as (ours, theirs):
        with pytest.raises(pickle.PicklingError):
            send(ours, Document("a", "event", {"frame": np.ones((50, 50)), "x": gappy}))
        assert not theirs.poll(0.05)
        send(ours, InHand("b"))
        assert receive(theirs) == InHand("b")


def test_a_message_that_can_not_be_read_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known_here = type("KnownHere", (), {"__module__": __name__})
    monkeypatch.setitem(globals(), "KnownHere", known_here)
    settings = Settings(options={"of": known_here(), "with": np.ones(3)})
    with pipe() as (ours, theirs):
        send(ours, Open("run é", settings))
        send(ours, InHand("b"))
        monkeypatch.delitem(globals(), "KnownHere")
        with pytest.raises(UnreadableError, match="KnownHere") as caught:
            receive(theirs)
        assert caught.value.uid == "run é"
        assert receive(theirs) == InHand("b")


def test_settings_arrive() -> None:
    settings = Settings(
        method="linear", mask=np.eye(4, dtype=bool), region=AroundPeak(4, 4), options={"a": [1]}
    )
    copied = copy_settings(settings)
    assert settings.mask is not None
    assert copied.mask is not settings.mask
    arrived = through_the_pipe(Fill("a", settings, again=True)).settings
    np.testing.assert_array_equal(arrived.mask, settings.mask)
    assert (arrived.method, arrived.region, arrived.options) == (
        "linear",
        AroundPeak(4, 4),
        {"a": [1]},
    )


def test_settings_that_the_worker_can_not_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    of_the_session = type("Mine", (), {"__module__": "__main__"})
    monkeypatch.setattr(__main__, "Mine", of_the_session, raising=False)
    assert pickle.dumps(of_the_session())  # the session itself can
    for option, why in (
        (of_the_session(), "Mine is defined in __main__"),
        (of_the_session, "Mine is defined in __main__"),
        (threading.Lock(), "cannot pickle"),
        (lambda: 1, "lambda"),
        (Resisting(), "can't be given to the worker process"),
    ):
        with pytest.raises(ValueError, match=why):
            copy_settings(replace(Settings(), options={"option": option}))
