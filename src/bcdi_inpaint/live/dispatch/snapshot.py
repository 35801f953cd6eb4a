"""Copies of documents, independent of later changes.

All subscribers share a document and its arrays, and a detector may return the same array at every point and write
the next frame into it. So documents that are kept beyond the call are copied.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import NoneType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bcdi_inpaint.base_error import BcdiInpaintError

from .buffers import Buffers

if TYPE_CHECKING:
    from collections.abc import Iterable
Key = TypeVar("Key")

NUMBERS = frozenset({bool, int, float, complex, NoneType})
"""Types whose lists need not be checked element by element."""
POINTER = 8
"""Bytes that an element takes in a list."""
ENTRY = 50
"""Bytes that an entry takes in a dict, beside its key and its value."""
DOCUMENT = 1000
"""Bytes that a document takes beside what is in it."""
DEEPEST = 100
"""Lists and the like within each other. What goes on with a copy calls itself for each, as this does."""


class TooLargeError(BcdiInpaintError, ValueError):
    """A document is larger than the memory that is available for it."""


class TooDeepError(BcdiInpaintError, ValueError):
    """A document holds lists and the like in more than `DEEPEST` levels."""


def snapshot(
    doc: Mapping[str, object], most: int = sys.maxsize, buffers: Buffers | None = None
) -> tuple[dict[str, object], int]:
    """Copy a document, with all that can change in it.

    Parameters
    ----------
    doc
        It stays as it is.
    most
        Bytes that the copy may take. Nothing is copied beyond, so that refusing a frame takes no time.
    buffers
        Where arrays are copied to.

    Returns
    -------
    copy, bytes
        Of plain dicts, lists, tuples and arrays; and what they keep in memory, to the accuracy
        that bounding a queue needs. What stands in several places is copied and counted once.

    Raises
    ------
    TooLargeError
        If it would take more than `most`.
    TooDeepError
        If it is nested in more than `DEEPEST` levels.
    """
    copier = _Copier(most, buffers or Buffers())
    copier.take(DOCUMENT)
    return copier.mapping(doc), most - copier.left


class _Copier:
    """Copies values as long as there are bytes left."""

    def __init__(self, most: int, buffers: Buffers) -> None:
        self.left = most
        self._depth = 0
        self._buffers = buffers
        self._copies: dict[int, tuple[object, object]] = {}
        """Original and copy by the original's id, which is its own as long as it is kept here."""

    def take(self, nbytes: int) -> None:
        self.left -= nbytes
        if self.left < 0:
            raise TooLargeError("a document takes more memory than there is for it")

    def mapping(self, value: Mapping[Key, object]) -> dict[Key, object]:
        self.take(ENTRY * len(value))
        copied: dict[Key, object] = {}
        self._copies[id(value)] = value, copied
        for key, item in value.items():
            self.value(key)  # counts it; a key doesn't change
            copied[key] = self.value(item)
        return copied

    def value(self, value: object) -> object:
        kind = type(value)
        if kind in NUMBERS:
            if kind is int:  # alone among numbers it may be of any size
                self.take(value.__sizeof__())
            return value
        if kind is str or kind is bytes:
            self.take(value.__sizeof__())
            return value
        if (known := self._copies.get(id(value))) is not None:
            return known[1]
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooDeepError(f"a document is nested in more than {DEEPEST} levels")
        copied = self._container(value)
        self._depth -= 1
        return copied

    def _container(self, value: object) -> object:
        if isinstance(value, Mapping):
            return self.mapping(value)
        if isinstance(value, list):
            self.take(POINTER * len(value))
            elements: list[object] = []
            self._copies[id(value)] = value, elements
            elements.extend(self._elements(value))
            return elements
        copied = self._leaf(value)
        self._copies[id(value)] = value, copied
        return copied

    def _elements(self, values: list[object] | tuple[object, ...]) -> Iterable[object]:
        kinds = set(map(type, values))
        if NUMBERS.issuperset(kinds):  # a frame that became lists has many of them
            if int in kinds:
                whole = values if kinds == {int} else [v for v in values if type(v) is int]
                self.take(sum(map(int.__sizeof__, whole)))
            return values
        return map(self.value, values)

    def _leaf(self, value: object) -> object:
        """Copy what isn't entered into the memo before its elements are."""
        if isinstance(value, tuple):
            self.take(POINTER * len(value))
            return tuple(self._elements(value))
        if isinstance(value, np.ndarray):
            self.take(value.nbytes)
            if type(value) in (np.ndarray, np.memmap) and not value.dtype.hasobject:
                return self._buffers.copy(value)
        else:
            self.take(sys.getsizeof(value))
        with suppress(Exception):
            return copy.deepcopy(value)
        return value  # a lock, a generator: it is sent as text
