"""A rocking scan from an old catalogue: databroker over documents in MongoDB."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from .announced import announced_pixels, from_documents
from .assembly import assemble
from .documents import RunDocuments
from .hdf5 import ONCE
from .images import choose_image
from .reading import AS_RECORDED
from .streams import PointFrames

if TYPE_CHECKING:
    from .hdf5 import Retry
    from .reading import ReadingOptions
    from .rocking_scan import RockingScan


def from_databroker(
    run: Any,
    reading: ReadingOptions = AS_RECORDED,
    *,
    retry: Retry = ONCE,
    **options: Any,
) -> RockingScan:
    """Read a rocking scan from a run in a catalogue of databroker.

    Frames are read through databroker, with the handlers that its server has for their Resources.

    Parameters
    ----------
    run
        ``catalog[uid]``, or a ``Header`` of databroker's first interface, ``db[uid]``.
    reading
        As in `bcdi_inpaint.scans.from_run`, and with the same result. Its ``file_roots`` are for what
        databroker can't serve (a handler that is missing there or fails: that of ``AD_HDF5_SWMR`` does).
    retry
        How patiently to look into files.
    **options
        Single fields of `ReadingOptions`, before those of ``reading``.

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
    reading = replace(reading, **options)
    documents = RunDocuments()
    for name, document in run.documents(fill="no"):
        documents(name, document)
    stream, key = choose_image(documents.run, documents.images, reading)
    try:
        frames = np.asarray(run[stream]["data"][key].read())
    except httpx.HTTPStatusError as error:
        if error.response.status_code < httpx.codes.INTERNAL_SERVER_ERROR or not reading.file_roots:
            raise
        return from_documents(documents, reading, data_key=key, retry=retry)
    rows, cols = frames.shape[-2:]
    points = frames.reshape(len(frames), -1, rows, cols)
    tags = tuple(run.item["attributes"].get("access_tags") or ())
    record = replace(documents.run, path="/".join(run.path_parts), access_tags=tags)
    pixels = announced_pixels(documents.located(stream, key), reading.file_roots)
    return assemble(record, PointFrames(stream, key, points, pixels=pixels), reading)
