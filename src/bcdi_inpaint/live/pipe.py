"""How messages cross the pipe between the supervisor and its worker process.

What a document holds arrives as plain values: numpy's, Python's own scalars and containers, and text in
place of everything else, such as objects of classes that only the user's session knows.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.base_error import BcdiInpaintError

from .messages import Document, Fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from .messages import News, Order
    from .settings import Settings

_HEAD = struct.Struct("<II")
"""Number of arrays that follow, and bytes of the uid behind it."""
LONGEST_TEXT = 1000
"""Characters of a text that stands for an object."""
PLAIN = ("builtins", "numpy", "collections")
"""Packages whose functions and classes occur in plain values."""
KEPT = (complex, bytearray, range, slice, pickle.PickleBuffer)
"""Plain types that pickle asks about."""


class UnreadableError(BcdiInpaintError, RuntimeError):
    """A message arrived completely, but can't be read here; `uid` is that of its run."""

    def __init__(self, uid: str, why: str) -> None:
        super().__init__(f"a message between the supervisor and its worker can't be read: {why}")
        self.uid = uid


def send(connection: Connection, message: Order | News) -> None:
    """Send a message; arrays go from their own memory to the pipe without being copied.

    Nothing is sent unless all of it can be.

    Raises
    ------
    OSError
        If the other side is gone.
    Exception
        If the message can't be pickled.
    """
    arrays: list[pickle.PickleBuffer] = []
    body = _dumps(message, arrays.append)
    parts = [array.raw() for array in arrays]
    uid = getattr(message, "uid", "").encode("utf-8", "backslashreplace")
    connection.send_bytes(_HEAD.pack(len(parts), len(uid)) + uid + body)
    for part in parts:
        connection.send_bytes(part)


def receive(connection: Connection) -> Any:
    """The next message; waits for it.

    Raises
    ------
    EOFError, OSError
        If the other side is gone.
    UnreadableError
        If it can't be read; the next one may be.
    """
    message = memoryview(connection.recv_bytes())
    count, length = _HEAD.unpack_from(message)
    arrays = [connection.recv_bytes() for _ in range(count)]
    uid, body = message[_HEAD.size :][:length], message[_HEAD.size + length :]
    try:
        # The pipe connects only this process and its child (or parent).
        return pickle.loads(body, buffers=arrays)  # noqa: S301
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise UnreadableError(str(uid, "utf-8"), why) from error


def copy_settings(settings: Settings) -> Settings:
    """A copy of the settings, as a worker process gets them.

    Raises
    ------
    ValueError
        If a worker process can't be given them, and why.
    """
    try:
        copied: Fill = pickle.loads(_dumps(Fill("", settings)))  # noqa: S301 (just made here)
    except Exception as error:
        raise ValueError(f"these settings can't be given to the worker process: {error}") from error
    return copied.settings


def _dumps(
    message: Order | News, keep: Callable[[pickle.PickleBuffer], object] | None = None
) -> bytes:
    file = io.BytesIO()
    pickler = _PlainPickler if isinstance(message, Document) else _Pickler
    pickler(file, protocol=5, buffer_callback=keep).dump(message)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    """Refuses objects defined in ``__main__``, which the worker does not have."""

    def reducer_override(self, obj: object) -> Any:
        if _is_global(obj) and getattr(obj, "__module__", "") == "__main__":
            raise pickle.PicklingError(
                f"{getattr(obj, '__qualname__', obj)} is defined in __main__; a module that can be imported will do"
            )
        return NotImplemented


class _PlainPickler(pickle.Pickler):
    """Puts plain values in the place of objects; called for all but Python's scalars and containers."""

    def reducer_override(self, obj: object) -> Any:
        try:
            if obj is Document or type(obj) is Document:
                return NotImplemented
            known = _package(obj if _is_global(obj) else type(obj))
            if known == "numpy" or (known in PLAIN and _is_global(obj)) or type(obj) in KEPT:
                return NotImplemented
            return _plain(obj)
        except Exception:  # noqa: BLE001 (an object that resists)
            return _text(obj)


def _plain(obj: object) -> object:
    """How pickle makes the plain value that comes closest to an object."""
    if hasattr(obj, "__array__"):
        return np.asarray(obj).__reduce_ex__(5)
    scalars: tuple[Any, ...] = (str, bytes, int, float)
    for kind in scalars:
        if isinstance(obj, kind):
            return kind, kind.__getnewargs__(obj)
    if isinstance(obj, Mapping):
        return dict, (list(obj.items()),)
    if isinstance(obj, tuple):
        return tuple, (list(obj),)
    if isinstance(obj, Sequence | AbstractSet):
        return list, (list(obj),)
    return _text(obj)


def _is_global(obj: object) -> bool:
    """Whether it is a class or a function, which are pickled by their names."""
    return isinstance(obj, type) or (callable(obj) and hasattr(obj, "__qualname__"))


def _text(obj: object) -> tuple[type[str], tuple[str]]:
    try:
        text = str(obj)[:LONGEST_TEXT]
    except Exception:  # noqa: BLE001 (an object that resists)
        text = f"<{type(obj).__name__}>"
    return str, (str.__str__(text),)


def _package(obj: object) -> str:
    """The package that defines a class or function; what the interpreter makes has none."""
    return str(getattr(obj, "__module__", None) or "builtins").partition(".")[0]
