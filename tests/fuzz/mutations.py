"""Documents, bytes and numbers as nobody should send them; the same ones for the same seed."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Documents = list[tuple[str, Any]]


class Resisting:
    """An object that can't be printed, compared or copied."""

    def _refuse(self, *_: Any) -> Any:
        raise RuntimeError

    __str__ = __repr__ = __eq__ = __hash__ = __len__ = __iter__ = __bool__ = __deepcopy__ = _refuse


def nested(levels: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(levels):
        deep = [deep]
    return deep


ODD: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: -1,
    lambda: 10**9,
    lambda: 10**400,
    lambda: float("nan"),
    lambda: float("-inf"),
    lambda: "",
    lambda: "\x1b[2J\x07\u202e\n../../etc/passwd\x00",
    lambda: "\ud800",
    lambda: "x" * 100_000,
    lambda: b"\xff\x00",
    list,
    dict,
    lambda: [[1], 2, "3"],
    lambda: nested(50),
    lambda: nested(500),
    lambda: np.arange(3),
    lambda: np.array([{}, None]),
    lambda: np.zeros((0, 5)),
    lambda: np.zeros((2, 3, 4, 5)),
    lambda: np.full((24, 32), np.nan),
    lambda: np.full((24, 32), 1e38),
    lambda: np.full((24, 32), np.finfo(np.float32).max, np.float32),
    lambda: np.ones((24, 32), np.longdouble),
    lambda: np.ones((24, 32), complex),
    lambda: np.array(["a", "b"]),
    lambda: np.datetime64("now"),
    lambda: {1, 2},
    lambda: {1: {None: ()}},
    threading.Lock,
    Resisting,
    lambda: (i for i in range(3)),
]


def mutated(documents: Documents, chance: random.Random) -> Documents:
    """Documents of a run, of which something is wrong."""
    documents = [(name, copy.deepcopy(doc)) for name, doc in documents]
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        place = chance.randrange(len(documents))
        chance.choice(CHANGES)(documents, place, chance)
        if not documents:
            break
    return documents


def _change(documents: Documents, place: int, chance: random.Random) -> None:
    parent, key = _somewhere(documents[place][1], chance)
    if parent is not None:
        parent[key] = chance.choice(ODD)()


def _remove(documents: Documents, place: int, chance: random.Random) -> None:
    parent, key = _somewhere(documents[place][1], chance)
    if parent is not None:
        del parent[key]


def _add(documents: Documents, place: int, chance: random.Random) -> None:
    doc = documents[place][1]
    if isinstance(doc, dict):
        doc[chance.choice(["hints", "motors", "shape", "sample_name", "x", "num_points"])] = (
            chance.choice(ODD)()
        )


def _replace(documents: Documents, place: int, chance: random.Random) -> None:
    documents[place] = documents[place][0], chance.choice(ODD)()


def _rename(documents: Documents, place: int, chance: random.Random) -> None:
    names: list[Any] = ["event", "stop", "start", "resource", "datum", "event_page", "new", None, 3]
    documents[place] = chance.choice(names), documents[place][1]


def _drop(documents: Documents, place: int, _: random.Random) -> None:
    del documents[place]


def _repeat(documents: Documents, place: int, chance: random.Random) -> None:
    documents.insert(chance.randrange(len(documents)), copy.copy(documents[place]))


def _swap(documents: Documents, place: int, chance: random.Random) -> None:
    other = chance.randrange(len(documents))
    documents[place], documents[other] = documents[other], documents[place]


CHANGES = [_change] * 8 + [_remove, _add, _replace, _rename, _drop, _repeat, _swap]


def _somewhere(doc: Any, chance: random.Random) -> tuple[Any, Any]:
    """A container somewhere in a document, and one of its keys."""
    parent, key = None, None
    while isinstance(doc, dict | list) and len(doc):
        parent = doc
        key = chance.choice(list(doc)) if isinstance(doc, dict) else chance.randrange(len(doc))
        doc = doc[key]
        if chance.random() < 0.3:
            break
    return parent, key


def mutated_bytes(body: bytes, chance: random.Random) -> bytes:
    """Bytes of which some are others, or are missing."""
    changed = bytearray(body)
    for _ in range(chance.choice([1, 2, 8])):
        place = chance.randrange(len(changed))
        match chance.randrange(4):
            case 0:
                del changed[place:]
            case 1:
                changed[place:place] = chance.randbytes(chance.randrange(1, 9))
            case 2:
                changed[place : place + 4] = b"\xff\xff\xff\x7f"
            case _:
                changed[place] = chance.randrange(256)
        if not changed:
            break
    return bytes(changed)
