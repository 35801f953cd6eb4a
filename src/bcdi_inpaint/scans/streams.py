"""What a run recorded, in the same form from Tiled and from documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .pixel_facts import PixelFacts

if TYPE_CHECKING:
    import numpy as np
    from event_model.documents import Configuration, DataKey
    from numpy.typing import NDArray

Document = Mapping[str, object]
"""A start or stop document, or one of any kind: whatever stands in it, whoever made it."""

BASELINE = "baseline"


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One stream of a run, `data_keys` and `configuration` as in its descriptor.

    Its `columns` are ``(row,)`` numbers, one row an Event in order of arrival; ``seq_num`` is one. Without Events they
    are those that a device wrote itself.
    """

    data_keys: Mapping[str, DataKey]
    configuration: Mapping[str, Configuration]
    columns: Mapping[str, NDArray[np.number]]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run without its frames: documents (`stop` is empty while it goes on), streams by name, and its node in Tiled."""

    start: Document
    stop: Document
    streams: Mapping[str, Stream]
    path: str = ""
    access_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PointFrames:
    """The frames of a run, by point.

    Attributes
    ----------
    stream, data_key
        Where they were recorded.
    array
        ``(point, frame of the point, row, col)``.
    seq_nums
        ``(point,)``, which Event each point belongs to; None if only the order is known.
    notes
        Anything unusual about reading them.
    pixels
        What the file that the frames lie in says of the detector's pixels.
    """

    stream: str
    data_key: str
    array: NDArray[np.number]
    seq_nums: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = field(default=())
    pixels: PixelFacts = field(default_factory=PixelFacts)
