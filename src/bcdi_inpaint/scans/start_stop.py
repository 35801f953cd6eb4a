"""Fields of start and stop documents as plain values, whatever the documents contain.

Documents come from plans, from metadata that users add, over networks and out of databases. What is
made of their fields (names of nodes, lines of a log, comparisons) must not depend on their types: so they are
read here, and nowhere else. An object whose own code raises when it is asked is no value as it should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import numpy as np

SAMPLE_NAMES = ("sample_name", "sample")
LARGEST_INTEGER = 2**63 - 1
"""Databases, and JSON as others read it, have no larger ones."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a start document says of its run; what it doesn't say, or says in a wrong type, is None or empty.

    Attributes
    ----------
    uid
        Of the run; empty if it has no valid one.
    scan_id, num_points
        Whole numbers; `num_points` is at least 1.
    time
        Seconds since the epoch.
    sample, plan_name
        Names, without control characters.
    detectors, motors
        Names of the devices that take part.
    dimensions
        Names of the fields along each independent axis of the scan.
    """

    uid: str = ""
    scan_id: int | None = None
    time: float | None = None
    sample: str = ""
    plan_name: str = ""
    num_points: int | None = None
    detectors: tuple[str, ...] = ()
    motors: tuple[str, ...] = ()
    dimensions: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, doc: object) -> Self:
        """Read a start document. Never raises, whatever it is given."""
        points = whole_number(field(doc, "num_points"))
        return cls(
            uid=_uid(field(doc, "uid")),
            scan_id=whole_number(field(doc, "scan_id")),
            time=number(field(doc, "time")),
            sample=printable(_sample(doc)),
            plan_name=printable(text(field(doc, "plan_name"))),
            num_points=points if points is not None and points > 0 else None,
            detectors=names(field(doc, "detectors")),
            motors=names(field(doc, "motors")),
            dimensions=_dimensions(field(field(doc, "hints"), "dimensions")),
        )


@dataclass(frozen=True, slots=True)
class RunStop:
    """What a stop document says of its run; what it doesn't say, or says in a wrong type, is None or empty.

    Attributes
    ----------
    time
        Seconds since the epoch.
    exit_status
        ``"success"``, ``"abort"`` or ``"fail"``.
    reason
        Why, if not ``"success"``.
    """

    time: float | None = None
    exit_status: str = ""
    reason: str = ""

    @classmethod
    def of(cls, doc: object) -> Self:
        """Read a stop document. Never raises, whatever it is given."""
        return cls(
            time=number(field(doc, "time")),
            exit_status=text(field(doc, "exit_status")),
            reason=text(field(doc, "reason")),
        )


def field(doc: object, name: str) -> object:
    """What `doc` has under `name`; None if it has nothing there, or is no mapping."""
    with suppress(Exception):
        return doc.get(name) if isinstance(doc, Mapping) else None
    return None


def text(value: object) -> str:
    """A text as ``str``, such as can be written anywhere; empty for anything else."""
    with suppress(Exception):
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, str):
            # A subclass may do anything when it is asked; lone surrogates can't be written to files or JSON.
            return str.__str__(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return ""


def number(value: object) -> float | None:
    """A finite number as ``float``; None for anything else."""
    with suppress(Exception):
        found = _scalar(value)
        if found is not None and math.isfinite(as_float := float(found)):
            return as_float
    return None


def whole_number(value: object) -> int | None:
    """A whole number of 64 bits as ``int``, also one that was written as text or float; else None."""
    with suppress(Exception):
        found = text(value).strip() or _scalar(value)
        if isinstance(found, str) and len(found) > len(str(-LARGEST_INTEGER)):
            return None
        if found is None or (isinstance(found, float) and not found.is_integer()):
            return None
        whole = int(found)
        return whole if abs(whole) <= LARGEST_INTEGER else None
    return None


def names(value: object) -> tuple[str, ...]:
    """The texts in a list; a single one counts as such a list."""
    single = text(value)
    return (single,) if single else tuple(filter(None, map(text, items(value))))


def items(value: object) -> tuple[object, ...]:
    """What is in a list, of whatever kind; nothing for anything else."""
    with suppress(Exception):
        if isinstance(value, np.ndarray):
            return tuple(value) if value.ndim else ()
        text_like = isinstance(value, str | bytes | bytearray)
        if isinstance(value, Sequence | AbstractSet) and not text_like:
            return tuple(value)
    return ()


def plain_scalar(value: object) -> str | bool | int | float | None:
    """A scalar of Python's own types; None for what is none, or can't be stored as JSON."""
    with suppress(Exception):
        if isinstance(value, str):
            return text(value)
        if isinstance(value, bool | np.bool_):
            return bool(value)
        if isinstance(value, int | np.integer):
            return whole_number(value)
        if isinstance(value, float | np.floating):
            return number(value)
    return None


def printable(text: str) -> str:
    """The text without control characters, so that it can't command a terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _scalar(value: object) -> int | float | None:
    """A number of Python's, from numpy's scalars and arrays without axes, too."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.item() if value.ndim == 0 else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _uid(value: object) -> str:
    """Text, or what becomes one in Tiled."""
    whole = whole_number(value)
    found = text(value) or ("" if whole is None else str(whole))
    with suppress(Exception):
        return found or (str(value) if isinstance(value, UUID) else "")
    return ""


def _dimensions(value: object) -> tuple[tuple[str, ...], ...]:
    """Each axis is written ``[fields, stream]``."""
    return tuple(names(axis[0]) for axis in map(items, items(value)) if axis)


def _sample(doc: object) -> str:
    """A name, or a mapping with one."""
    for name in SAMPLE_NAMES:
        said = field(doc, name)
        if found := text(said) or text(field(said, "name")):
            return found
    return ""
