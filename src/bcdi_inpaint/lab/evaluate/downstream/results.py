"""What the study has found: entries of a store, so that a stopped run can go on.

``Reconstruction`` is what one ``start`` gave: its ``engine``, ``scene``, ``object`` (a seed, or the name of a scan)
and ``fill``, the digest of the network's ``weights``, its ``merit``, which ranks starts (smaller is better), and the
errors of `truth.errors`. ``GapFacts`` is what is known of a gap of the bench's own engine without the truth,
``share`` (of all counts, those that were filled in) and ``doubt`` (sum of sigma over sum of filled counts), and how
good its fill is with it, ``residual`` (amplitude residual against the counts). ``Inverse`` is the paper's 2.6.1 for one
object: ``peak_counts``, the gap's ``distance``, and the phase errors with the gap at zero and filled.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from ..store import Store
from .scenes import CROSSED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..store import Entry

Engine = Literal["bench", "cohere", "true phases"]
"""What makes an object of a pattern: one of two retrievals, or an inverse transform."""

Kind = Literal["Reconstruction", "GapFacts", "Inverse"]


class Key(NamedTuple):
    """What a result is of."""

    engine: Engine
    scene: str
    object: str
    fill: str


IMPLIED: dict[str, dict[str, Any]] = {
    "Reconstruction": {},
    "GapFacts": {"engine": "bench"},
    "Inverse": {"engine": "true phases", "scene": CROSSED},
}
"""Fields of a `Key` that entries of a kind leave out."""


class StudyStore(Store):
    """Results in a file, made where it isn't there.

    Those are dropped that a kill cut off (fewer than `starts`) and that would not be the same if they were made now
    (`current`).
    """

    def __init__(self, path: Path, starts: int, current: Callable[[Entry], bool]) -> None:
        def keep(entries: list[Entry]) -> list[Entry]:
            there = Counter(_key(e) for e in entries if e["kind"] == "Reconstruction")
            whole = (e for e in entries if e["kind"] == "Inverse" or there[_key(e)] >= starts)
            return [entry for entry in whole if current(entry)]

        super().__init__(path, keep)

    def add(self, *entries: Entry) -> None:
        """Append all entries of one result, at once, to five digits."""
        super().add(
            *(
                {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in entry.items()}
                for entry in entries
            )
        )

    def keys(self) -> set[Key]:
        """All results that are there."""
        return {_key(entry) for entry in self.entries}

    def of(self, kind: Kind) -> pd.DataFrame:
        """The entries of one kind, those of reconstructions sorted so that a key's best start is the first."""
        entries = [e for e in self.entries if e["kind"] == kind]
        frame = pd.DataFrame(entries).assign(**IMPLIED[kind])
        return frame.sort_values("merit", kind="stable") if "merit" in frame else frame


def _key(entry: Entry) -> Key:
    fields = {**entry, **IMPLIED[entry["kind"]]}
    return Key(*(fields[name] for name in Key._fields))


def firsts(reconstructions: pd.DataFrame) -> pd.DataFrame:
    """Of each key the start that ranks first."""
    return reconstructions.drop_duplicates(list(Key._fields))
