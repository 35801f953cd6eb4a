"""A rocking scan from an old catalogue: databroker over documents in MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import httpx
import numpy as np

from .announced import from_documents
from .assembly import Choices, FramesPerPoint, assemble
from .documents import RunDocuments
from .hdf5 import ONCE
from .images import choose_image
from .streams import PointFrames, RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .hdf5 import Retry
    from .rocking_scan import RockingScan, Span


def from_databroker(
    run: Any,
    *,
    data_key: str | None = None,
    detector: str | None = None,
    roi: tuple[Span, Span] | None = None,
    mask: NDArray[np.bool_] | Literal[False] | None = None,
    frames_per_point: FramesPerPoint | None = None,
    motor: str | None = None,
    file_roots: Sequence[str | Path] = (),
    retry: Retry = ONCE,
) -> RockingScan:
    """Read a rocking scan from a run in a catalogue of databroker.

    Frames are read through databroker, with the handlers that its server has for their Resources.

    Parameters
    ----------
    run
        ``catalog[uid]``, or a ``Header`` of databroker's first interface, ``db[uid]``.
    data_key, detector, roi, mask, frames_per_point, motor
        As in `bcdi_inpaint.scans.from_run`, and with the same result.
    file_roots
        Folders from which files may be read if databroker can't serve them (a handler that is
        missing there or fails: that of ``AD_HDF5_SWMR`` does). Empty = none.
    retry
        How patiently to look into files.

    Raises
    ------
    ValueError
        If the run has no frames or is not databroker's, or a choice is missing or doesn't fit.
    OutsideRootsError
        If databroker can't serve a file which lies outside ``file_roots``.
    OSError
        If neither databroker nor the file can be read.
    httpx.HTTPError
        If databroker's server can't be reached or refuses.
    """
    if not hasattr(run, "metadata"):
        run = run.v2  # of a Header; asking a client of Tiled for it would change all the others
    if any(spec.name == "BlueskyRun" and spec.version == "3.0" for spec in run.specs):
        raise ValueError("the run is not in an old catalogue: read it with from_run")
    choices = Choices(detector, roi, mask, frames_per_point, motor)
    documents = RunDocuments()
    for name, document in run.documents(fill="no"):
        documents(name, document)
    stream, key = choose_image(documents.run, documents.images, choices, data_key)
    try:
        frames = np.asarray(run[stream]["data"][key].read())
    except httpx.HTTPStatusError as error:
        if error.response.status_code < httpx.codes.INTERNAL_SERVER_ERROR or not file_roots:
            raise
        return from_documents(documents, choices, data_key=key, file_roots=file_roots, retry=retry)
    rows, cols = frames.shape[-2:]
    points = frames.reshape(len(frames), -1, rows, cols)
    known = documents.run
    record = RunRecord(
        known.start,
        known.stop,
        known.streams,
        path="/".join(run.path_parts),
        access_tags=tuple(run.item["attributes"].get("access_tags") or ()),
    )
    return assemble(record, PointFrames(stream, key, points), choices)
