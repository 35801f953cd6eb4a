"""What is queued is what the document was, and no more than there is room for."""

from __future__ import annotations

import copy
import pickle
import threading
from collections import OrderedDict, UserDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.live.dispatch.buffers import KEPT, SMALL, Buffers
from bcdi_inpaint.live.dispatch.snapshot import TooDeepError, TooLargeError, snapshot


def arrays():
    return st.integers(0, 4).map(lambda n: np.arange(n, dtype=np.uint16))


def values():
    plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    return st.recursive(
        plain | arrays(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=4).map(tuple)
            | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        ),
        max_leaves=20,
    )


def spoil(value):
    """Change all that can be changed."""
    match value:
        case np.ndarray():
            value += 1
        case dict():
            for item in value.values():
                spoil(item)
            value["another"] = 1
        case list():
            for item in value:
                spoil(item)
            value.append(None)
        case tuple():
            for item in value:
                spoil(item)


@given(st.dictionaries(st.text(max_size=3), values(), max_size=4))
def test_nothing_that_happens_to_a_document_changes_its_copy(doc):
    before = copy.deepcopy(doc)
    copied, _ = snapshot(doc)
    np.testing.assert_equal(doc, before)
    spoil(doc)
    np.testing.assert_equal(copied, before)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24.0).reshape(2, 3, 4)[:, ::2],
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.broadcast_to(np.arange(3), (2, 3)),
        np.array([{"a": [1]}, None], dtype=object),
        np.ma.masked_equal([1, 2, 3], 2),
        np.zeros(2, [("x", "u2"), ("y", "f4")]),
    ],
)
def test_arrays_of_every_kind(array):
    document: Any = snapshot({"data": {"det": [array]}})[0]
    copied = document["data"]["det"][0]
    assert not np.shares_memory(copied, array)
    assert copied.dtype == array.dtype
    np.testing.assert_array_equal(copied, array)
    if array.dtype.hasobject:
        array[0]["a"].append(2)
        assert copied[0] == {"a": [1]}


def test_mappings_become_dicts():
    inner = {"a": np.zeros(2)}
    for mapping in (MappingProxyType(inner), OrderedDict(inner), UserDict(inner)):
        copied = snapshot({"data": mapping})[0]["data"]
        assert type(copied) is dict
        assert copied["a"] is not inner["a"]


def test_what_stands_in_several_places_is_copied_and_counted_once():
    array = np.zeros(1000, np.uint8)
    deep: list[Any] = [array, array]
    for _ in range(60):
        deep = [deep, deep]
    copied, nbytes = snapshot({"one": array, "two": deep})
    assert nbytes < 4000
    inner = copied["two"]
    while isinstance(inner, list):
        assert inner[0] is inner[1]
        inner = inner[0]
    assert inner is copied["one"]


def test_a_list_within_itself():
    around: list[Any] = [1]
    around.append(around)
    document: Any = snapshot({"data": around})[0]
    copied = document["data"]
    assert copied[1] is copied


def nested(wrap, levels):
    inner = None
    for _ in range(levels):
        inner = wrap(inner)
    return inner


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: [inner],
        lambda inner: (inner,),
        lambda inner: {"a": inner},
        lambda inner: [{"a": (inner,)}],
        lambda inner: [MappingProxyType({"a": 1, "b": inner})],
    ],
    ids=["lists", "tuples", "dicts", "mixed", "mappings"],
)
def test_what_is_nested_too_deeply_is_refused(wrap):
    with pytest.raises(TooDeepError, match=r"^a document is nested in more than 100 levels$"):
        snapshot({"data": nested(wrap, 100_000)})
    deep = {"data": nested(wrap, 30)}
    assert snapshot(deep)[0] == deep


def test_levels_count_and_not_neighbours():
    beside = {"data": [[[]] for _ in range(1000)] + [nested(lambda inner: [inner], 99)]}
    assert snapshot(beside)[0] == beside


@pytest.mark.parametrize(
    "large",
    [
        np.zeros(10_000, np.uint8),
        [[np.zeros(5_000, np.uint8)], {"a": np.zeros(5_000, np.uint8)}],
        [[0] * 100] * 20 + [[1.0] * 1200],
        "x" * 10_000,
        b"x" * 10_000,
        "\N{GRINNING FACE}" * 2_500,
        {str(number): None for number in range(100)},
        {"x" * 10_000: None},
        {("x", "y" * 10_000): None},
        1 << 80_000,
        [0, 1 << 80_000],
        (None, -1 << 80_000),
        {1 << 80_000: None},
        np.broadcast_to(np.uint8(0), (10**6, 10**9)),
    ],
    ids=[
        "array",
        "nested",
        "lists",
        "text",
        "bytes",
        "wide text",
        "dict",
        "text as a key",
        "tuple as a key",
        "integer",
        "list of integers",
        "tuple of integers",
        "integer as a key",
        "broadcast",
    ],
)
def test_what_there_is_no_room_for_is_refused(large):
    doc = {"data": {"det": large}}
    with pytest.raises(TooLargeError):
        snapshot(doc, 10_000)
    if getattr(large, "nbytes", 0) < 10**6:
        _, nbytes = snapshot(doc, 50_000)
        assert 10_000 < nbytes < 50_000


def test_a_refused_frame_is_not_copied(monkeypatch):
    copied = []
    monkeypatch.setattr(Buffers, "copy", lambda _, array: copied.append(array))
    with pytest.raises(TooLargeError):
        snapshot({"data": {"det": np.zeros(10_000, np.uint8)}}, 10_000)
    assert not copied


class TestBuffers:
    def frame(self, value=1):
        return np.full((128, SMALL // 128), value, np.uint16)

    def test_memory_is_used_again_when_a_copy_is_let_go_of(self):
        buffers = Buffers()
        first = buffers.copy(self.frame())
        place = first.ctypes.data
        del first
        assert buffers.copy(self.frame()).ctypes.data == place

    @pytest.mark.parametrize("kept", [lambda copied: copied[3:, ::2], lambda copied: copied.T[:1]])
    def test_memory_is_not_used_again_while_there_is_a_view(self, kept):
        buffers = Buffers()
        view = kept(buffers.copy(self.frame(1)))
        other = buffers.copy(self.frame(2))
        assert (view == 1).all()
        assert (other == 2).all()

    def test_memory_is_not_used_again_while_it_is_being_sent(self):
        buffers = Buffers()
        head, sent = copy_for_pipe(buffers.copy(self.frame(1)))
        buffers.copy(self.frame(2))
        np.testing.assert_array_equal(pickle.loads(head, buffers=sent), self.frame(1))

    def test_frames_may_change_in_size_dtype_and_layout(self):
        buffers = Buffers()
        rng = np.random.default_rng(0)
        for shape, dtype in (
            ((300, 400), "u2"),
            ((400, 150), "u4"),
            ((400, 300), "u2"),
            ((200, 200), ">f8"),
        ):
            array = rng.integers(0, 9, shape).astype(dtype)
            for source in (array, array.T, array[::2], np.asfortranarray(array)):
                copied = buffers.copy(source)
                assert copied.dtype == source.dtype
                np.testing.assert_array_equal(copied, source)

    def test_little_is_kept(self):
        buffers = Buffers()
        frame = np.zeros(KEPT // 4, np.uint8)
        copies = [buffers.copy(frame) for _ in range(10)]
        copies.clear()
        assert sum(map(len, buffers._free)) <= KEPT


def copy_for_pipe(array):
    sent = []
    return pickle.dumps(array, protocol=5, buffer_callback=sent.append), sent


def test_what_can_not_be_copied_stays() -> None:
    lock = threading.Lock()
    copied, _ = snapshot({"operator": lock, "data": {"camera": np.ones(3)}})
    assert copied["operator"] is lock
