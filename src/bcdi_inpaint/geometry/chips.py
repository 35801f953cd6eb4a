"""A detector as a grid of equal modules, and the pixels that are missing because of it.

Every monolithic pixel detector follows one rule: ``n`` modules of ``M`` pixels with gaps of ``G``
pixels between them make ``n * M + (n - 1) * G`` pixels. There are three classes of such pixels:

``dead``
    No sensor there: the gaps, and lines inside a module.
``large``
    Pixels next to a module's border that are wider than the others. They count, but two or three
    times as much as their neighbours (the factor is `Module.edge_factor`).
``virtual``
    Four pixels across each line between readout chips: the two wide pixels there are shown as
    four, each with half the counts, so their noise isn't Poisson's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, cycle, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .recorded import Span, as_recorded

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES = ("dead", "large", "virtual")


class Lines(NamedTuple):
    """Rows and columns, as half-open intervals, that are missing along the whole frame."""

    rows: tuple[Span, ...]
    cols: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """What the detectors of one family have in common. Pairs are (rows, cols).

    Attributes
    ----------
    vendor
        Who makes the detector or its readout.
    pixel_size
        In metres; pixels are square.
    size
        Pixels of a module.
    gap
        Pixels between a module and the next, as a sequence that is repeated: ``((3, 125), (3,))``
        has row gaps of 3, 125, 3, ... and column gaps of 3.
    edge
        How many pixels beside a gap are wider than normal.
    edge_factor
        Their width (and counts) over a normal pixel's; None if it isn't known.
    chips
        First of the two virtual pixels of each chip line, counted from the module's first pixel.
    dead
        Dead intervals within the module.
    sensor
        Sensor material.
    """

    vendor: str
    pixel_size: float
    size: tuple[int, int]
    gap: tuple[tuple[int, ...], tuple[int, ...]]
    edge: int = 0
    edge_factor: float | None = None
    chips: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    dead: tuple[tuple[Span, ...], tuple[Span, ...]] = ((), ())
    sensor: str = "Si"


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector's full, unbinned frame in its native orientation.

    Attributes
    ----------
    key
        Its name in this package (``"maxipix_2x2"``).
    name
        Its usual name (``"Maxipix 2x2"``).
    module
        What it is made of.
    grid
        Number of modules along (rows, cols).
    bcdi
        What the policy ``"bcdi"`` stands for: classes joined by ``+``, or the intervals
        themselves where the packages' mask isn't a sum of classes.
    outer
        Width of the frame's border that counts as ``large``, in pixels.
    """

    key: str
    name: str
    module: Module
    grid: tuple[int, int]
    bcdi: str | Lines = "dead"
    outer: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the full frame."""
        return self._length(0), self._length(1)

    @property
    def vendor(self) -> str:
        """Who makes the detector or its readout."""
        return self.module.vendor

    @property
    def sensor(self) -> str:
        """Sensor material."""
        return self.module.sensor

    @property
    def pixel_size(self) -> float:
        """Pixel size in metres, the same along rows and columns."""
        return self.module.pixel_size

    def lines(self, policy: str = "bcdi") -> Lines:
        """Rows and columns that are missing under a policy, as merged half-open intervals.

        Parameters
        ----------
        policy
            As for `mask`.
        """
        if policy == "bcdi":
            if isinstance(self.bcdi, Lines):
                return self.bcdi
            policy = self.bcdi
        classes = policy.split("+")
        if unknown := [name for name in classes if name not in CLASSES]:
            raise ValueError(
                f"unknown policy {policy!r}: {unknown[0]!r} is neither 'bcdi' nor one of "
                f"{', '.join(CLASSES)}; join classes with '+', as in 'dead+large'"
            )
        return Lines(self._lines(0, classes), self._lines(1, classes))

    def mask(
        self,
        *,
        policy: str = "bcdi",
        flip: tuple[bool, bool] = (False, False),
        roi: tuple[Span, Span] | None = None,
        binning: tuple[int, int] = (1, 1),
    ) -> NDArray[np.bool_]:
        """Mask of the missing pixels.

        Parameters
        ----------
        policy
            Which pixels count as missing: ``"bcdi"``, what the BCDI packages (bcdi, cdiutils,
            PyNX) mask on this detector; or the classes ``dead``, ``large``, ``virtual`` joined by
            ``+`` (``"dead"``, ``"dead+large"``, ``"dead+large+virtual"``).
        flip, roi, binning
            How the recorded frames differ from the full frame; see `as_recorded`. The order is
            flip, roi, binning, and the roi is in unbinned pixels.

        Returns
        -------
        bool array, (rows, cols)
            True = missing.

        Raises
        ------
        ValueError
            If the policy isn't known or the roi isn't inside the frame.
        """
        lines = self.lines(policy)
        full = np.zeros(self.shape, dtype=np.bool_)
        for start, stop in lines.rows:
            full[start:stop, :] = True
        for start, stop in lines.cols:
            full[:, start:stop] = True
        return as_recorded(full, flip=flip, roi=roi, binning=binning)

    def _starts(self, axis: int) -> list[int]:
        """First pixel of each module."""
        size, count = self.module.size[axis], self.grid[axis]
        gaps = islice(cycle(self.module.gap[axis]), count - 1)
        return list(accumulate((size + gap for gap in gaps), initial=0))

    def _length(self, axis: int) -> int:
        return self._starts(axis)[-1] + self.module.size[axis]

    def _lines(self, axis: int, classes: list[str]) -> tuple[Span, ...]:
        starts, size = self._starts(axis), self.module.size[axis]
        length, edge, outer = self._length(axis), self.module.edge, self.outer
        gaps = [(start + size, after) for start, after in pairwise(starts)]
        spans = {
            "dead": [
                *gaps,
                *((s + a, s + b) for s in starts for a, b in self.module.dead[axis]),
            ],
            "large": [
                *((a - edge, a) for a, _ in gaps),
                *((b, b + edge) for _, b in gaps),
                (0, outer),
                (length - outer, length),
            ],
            "virtual": [(s + c - 1, s + c + 3) for s in starts for c in self.module.chips[axis]],
        }
        missing = np.zeros(length + 2, dtype=np.int8)
        for name in classes:
            for start, stop in spans[name]:
                missing[start + 1 : stop + 1] = 1
        borders = np.flatnonzero(np.diff(missing)).tolist()
        return tuple(zip(borders[::2], borders[1::2], strict=True))
