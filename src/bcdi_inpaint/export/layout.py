"""The volumes of a filled scan, and the blocks in which they are read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike

NodeMetadata = Mapping[str, Any]
"""A node's fields by name, as Tiled gives them: those of `FillMetadata`, and what a newer version has beside."""

DIMS = ("frame", "row", "col")
INTENSITY, SIGMA, MASK, QUICKLOOK, MONITOR = "intensity", "sigma", "mask", "quicklook", "monitor"
VOLUMES = (INTENSITY, SIGMA, MASK)
UNITS = {INTENSITY: "counts", SIGMA: "counts", MASK: ""}

MAX_BLOCK = 100_000_000
"""Bytes; servers and proxies may refuse larger requests."""
LONGEST_NAME = 100
"""Bytes of a name that becomes part of a path, as Tiled quotes it; file systems take 255 with what is around it."""
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
"""Names that stand for devices where a folder is shared with Windows."""
GOOD_BLOCK = 16_000_000
"""Bytes; large enough to write fast, small enough that one frame is read without much waste."""


def motor_key(motor: str) -> str:
    """Key of the child that holds the rocking motor's angles."""
    key = path_segment(motor)
    return f"{key}_angle" if key in (*VOLUMES, QUICKLOOK, MONITOR) else key


def path_segment(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that is safe as one part of a path: plain characters, without leaving the folder."""
    plain = re.sub(r"[^\w.-]|^\.", "_", name[:longest])
    if RESERVED.match(plain):
        plain = f"_{plain}"
    while len(quote(plain)) > longest:
        plain = plain[:-1]
    return re.sub(r"\.$", "_", plain) or "_"


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of a stack along its frames (and rows, where one frame alone is too large).

    Attributes
    ----------
    shape
        ``(frame, row, col)``.
    frames, rows
        Frames and rows in a block; the last ones may be smaller.
    """

    shape: tuple[int, int, int]
    frames: int
    rows: int

    @classmethod
    def of(
        cls, shape: tuple[int, int, int], dtype: DTypeLike, *, frames: int | None = None
    ) -> Blocks:
        """Blocks of a good size, or with the given number of frames if they stay below the limit."""
        n, rows, cols = shape
        row_bytes = cols * np.dtype(dtype).itemsize
        rows_at_once = min(rows, max(1, MAX_BLOCK // row_bytes))
        wanted = frames or max(1, GOOD_BLOCK // (rows * row_bytes))
        return cls(shape, min(n, wanted, max(1, MAX_BLOCK // (rows * row_bytes))), rows_at_once)

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Chunk lengths along each axis, as Tiled and dask have them."""
        n, rows, cols = self.shape
        return _lengths(n, self.frames), _lengths(rows, self.rows), (cols,)

    def parts(self) -> list[slice]:
        """The frames of each block, one after the other."""
        n = self.shape[0]
        return [slice(start, min(start + self.frames, n)) for start in range(0, n, self.frames)]

    def covering(
        self, start: int, stop: int
    ) -> Iterator[tuple[tuple[int, int, int], slice, slice]]:
        """Block index, frames and rows of the blocks that make up the frames `start` to `stop`.

        Raises
        ------
        ValueError
            If these frames are not made of whole blocks.
        """
        n, rows, _ = self.shape
        if not 0 <= start < stop <= n or start % self.frames or (stop % self.frames and stop != n):
            raise ValueError(
                f"frames {start}:{stop} are no whole blocks of {self.frames} out of {n} frames"
            )
        for first in range(start, stop, self.frames):
            for top in range(0, rows, self.rows):
                index = (first // self.frames, top // self.rows, 0)
                yield (
                    index,
                    slice(first, min(first + self.frames, stop)),
                    slice(top, min(top + self.rows, rows)),
                )


def volume_dtypes(intensity: DTypeLike) -> dict[str, np.dtype]:
    """Dtypes of the volumes, given that of the intensity."""
    return {INTENSITY: np.dtype(intensity), SIGMA: np.dtype(np.float32), MASK: np.dtype(bool)}


def _lengths(total: int, length: int) -> tuple[int, ...]:
    whole, rest = divmod(total, length)
    return (length,) * whole + ((rest,) if rest else ())
