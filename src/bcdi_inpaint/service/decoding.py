"""Decoders of published documents, which make plain values only.

``bluesky`` publishes pickles unless its ``Publisher`` is given another serializer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from .unpickling import loads, plain_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def from_msgpack(body: bytes) -> object:
    """A document from MessagePack, with arrays as ``msgpack_numpy.encode`` writes them.

    ``msgpack_numpy.decode`` would unpickle what says that it is an array of objects.

    Raises
    ------
    Exception
        If it is broken, or holds something else.
    """
    import msgpack

    return msgpack.unpackb(body, object_hook=_numpy, strict_map_key=False)


def _numpy(obj: Mapping[bytes, Any]) -> object:
    """The array or number that an entry stands for, or the entry itself."""
    if b"nd" in obj:
        shape = tuple(obj[b"shape"]) if obj[b"nd"] else ()
        array: np.ndarray = np.ndarray(shape, plain_dtype(obj[b"type"]), obj[b"data"])
        return array if obj[b"nd"] else array[()]
    return complex(obj[b"data"]) if b"complex" in obj else obj


DECODERS: dict[str, Callable[[bytes], object]] = {
    "msgpack": from_msgpack,
    "json": json.loads,
    "pickle": loads,
}
"""By what they decode."""


def decode(serializer: str, body: bytes) -> dict[str, object]:
    """A document of plain values, as a serializer of `DECODERS` has written it.

    Raises
    ------
    Exception
        If it is broken, or holds something else.
    """
    found = DECODERS[serializer](body)
    if not isinstance(found, dict):
        raise TypeError(f"no document, but {type(found).__name__}")
    return found


def decode_named(body: bytes) -> tuple[str, dict[str, object]]:
    """A document with its name, as ``bluesky_kafka.Publisher`` has written them.

    Raises
    ------
    Exception
        If it is broken, or holds something else.
    """
    match from_msgpack(body):
        case [str(name), dict(document)]:
            return name, document
    raise TypeError("no name with a document")
