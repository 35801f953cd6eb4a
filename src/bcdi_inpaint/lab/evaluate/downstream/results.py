"""What the study has found, a line of a file for each result, so that a stopped run can go on."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from .. import jsonlines
from .scenes import CROSSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Engine = Literal["bench", "cohere", "true phases"]
"""What makes an object of a pattern: one of two retrievals, or an inverse transform."""


class Key(NamedTuple):
    """What a result is of: `object` is a seed or the name of a scan."""

    engine: Engine
    scene: str
    object: str
    fill: str


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What one start gave.

    Attributes
    ----------
    engine, scene, object, fill
        As in `Key`.
    weights
        Digest of the network's.
    start
        Its number.
    merit
        What ranks starts; smaller is better.
    complex_l2, modulus_rmse, phase_std, strain_rmse
        As in `truth.ObjectErrors`.
    """

    engine: Engine
    scene: str
    object: str
    fill: str
    weights: str
    start: int
    merit: float
    complex_l2: float
    modulus_rmse: float
    phase_std: float
    strain_rmse: float

    @property
    def key(self) -> Key:
        """Starts of one fill share it."""
        return Key(self.engine, self.scene, self.object, self.fill)


@dataclass(frozen=True, slots=True)
class GapFacts:
    """What is known of a gap without the truth, and how good its fill is with it.

    Attributes
    ----------
    scene, object, fill, weights
        Which.
    share
        Of all counts, those that were filled in.
    doubt
        Sum of sigma over sum of filled counts.
    residual
        Amplitude residual against the counts.
    """

    scene: str
    object: str
    fill: str
    weights: str
    share: float
    doubt: float
    residual: float

    @property
    def key(self) -> Key:
        """That of the bench's reconstructions, with which it is found."""
        return Key("bench", self.scene, self.object, self.fill)


@dataclass(frozen=True, slots=True)
class Inverse:
    """The paper's 2.6.1 for one object: errors of the inverse transform with true phases."""

    object: str
    fill: str
    weights: str
    peak_counts: float
    distance: int
    phase_std_gap: float
    phase_std_fill: float

    @property
    def key(self) -> Key:
        """Of this one line."""
        return Key("true phases", CROSSED, self.object, self.fill)

    @property
    def ratio(self) -> float:
        """How many times smaller the phase error becomes by filling."""
        return self.phase_std_gap / self.phase_std_fill


Line = Reconstruction | GapFacts | Inverse
KINDS: dict[str, type[Line]] = {k.__name__: k for k in (Reconstruction, GapFacts, Inverse)}
L = TypeVar("L", Reconstruction, GapFacts, Inverse)


class Ledger:
    """Results in a file.

    Parameters
    ----------
    path
        Of the file; made if it isn't there.
    starts
        Of a fill; with fewer it was cut off by a kill, and is dropped.
    current
        Whether a line would be the same if it were made now; others are dropped.

    Attributes
    ----------
    lines
        All that it holds.
    """

    def __init__(self, path: Path, starts: int, current: Callable[[Line], bool]) -> None:
        self._path = path
        lines = [KINDS[entry.pop("kind")](**entry) for entry in jsonlines.read(path)]
        there = Counter(line.key for line in lines if isinstance(line, Reconstruction))
        self.lines = [
            line
            for line in lines
            if current(line) and (isinstance(line, Inverse) or there[line.key] >= starts)
        ]
        jsonlines.rewrite(path, map(_entry, self.lines))

    def add(self, *lines: Line) -> None:
        """Append all lines of one result, at once."""
        self.lines += lines
        jsonlines.append(self._path, map(_entry, lines))

    def of(self, kind: type[L]) -> list[L]:
        """The lines of one kind."""
        return [line for line in self.lines if isinstance(line, kind)]

    def keys(self) -> set[Key]:
        """All results that are there."""
        return {line.key for line in self.lines}


def _entry(line: Line) -> dict[str, Any]:
    figures = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in asdict(line).items()}
    return {"kind": type(line).__name__, **figures}


def ranked(lines: Iterable[Reconstruction]) -> dict[Key, list[Reconstruction]]:
    """The starts of each result, the one of the best merit first."""
    starts: dict[Key, list[Reconstruction]] = {}
    for line in lines:
        starts.setdefault(line.key, []).append(line)
    return {key: sorted(own, key=lambda line: line.merit) for key, own in starts.items()}
