"""A rocking scan from a finished run in Tiled."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from .assembly import assemble
from .hdf5 import ONCE, read_frames
from .images import choose_image
from .local_files import OutsideRootsError, allowed_path, open_hdf5
from .pixel_facts import PixelFacts, read_pixel_facts
from .reading import AS_RECORDED
from .sizes import check_size
from .streams import PointFrames, RunRecord, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tiled.client.array import ArrayClient
    from tiled.client.container import Container

    from .hdf5 import Retry
    from .reading import ReadingOptions
    from .rocking_scan import RockingScan

HDF5 = "application/x-hdf5"


def from_run(
    run: Container,
    reading: ReadingOptions = AS_RECORDED,
    *,
    retry: Retry = ONCE,
    **options: Any,
) -> RockingScan:
    """Read a rocking scan from a run that ``bluesky_tiled_plugins.TiledWriter`` put into Tiled.

    All kinds of Bluesky runs can be read: frames in the Events, announced by Resource and Datum, or by
    StreamResource and StreamDatum, in step and in fly scans. Of an aborted scan, the points that were
    measured are read. Anything unusual is listed in ``metadata.notes``; see `bcdi_inpaint.scans.assembly` for
    the rules, and `bcdi_inpaint.scans.facts` for the names under which metadata are looked for.

    Parameters
    ----------
    run
        The run's client: ``raw[uid]``, of whatever version.
    reading
        What the run itself doesn't decide.
    retry
        How patiently to look into files.
    **options
        Single fields of `ReadingOptions`, before those of ``reading``: ``detector="eiger2_500k"``.

    Raises
    ------
    ValueError
        If the run has no frames or too many, or is of an old catalogue, or a choice is missing or
        doesn't fit.
    OutsideRootsError
        If Tiled can't serve a file which lies outside ``file_roots``.
    OSError
        If neither Tiled nor the file can be read.
    httpx.HTTPError
        If Tiled can't be reached or refuses.
    """
    reading = replace(reading, **options)
    _refuse_old(run)
    containers = dict(_stream_containers(_base(run)))
    nodes = {name: dict(container.items()) for name, container in containers.items()}
    images = [
        (name, key)
        for name, children in nodes.items()
        for key, node in children.items()
        if node.structure_family == "array" and len(node.shape) >= 3 and min(node.shape[-2:]) > 1
    ]
    record = RunRecord(
        start=run.metadata["start"],
        stop=run.metadata.get("stop") or {},
        streams={name: _stream(containers[name], nodes[name]) for name in nodes},
        path="/".join(run.path_parts),
        access_tags=_access_tags(run),
    )
    stream, key = choose_image(record, images, reading)
    chosen = nodes[stream][key]
    check_size(chosen.shape, chosen.dtype, reading.largest_stack)
    array, notes = _read(chosen, reading.file_roots, retry, reading.largest_stack)
    pixels = _pixel_facts(chosen, reading.file_roots)
    return assemble(record, PointFrames(stream, key, array, notes=notes, pixels=pixels), reading)


def _refuse_old(run: Container) -> None:
    """Point to `from_databroker` for what databroker serves."""
    versions = {spec.version for spec in run.specs if spec.name == "BlueskyRun"}
    if versions and "3.0" not in versions:
        raise ValueError(
            f"the run is a BlueskyRun of version {', '.join(sorted(map(str, versions)))}, of an old "
            "catalogue: read it with bcdi_inpaint.scans.databroker.from_databroker"
        )


def _base(node: Container) -> Container:
    """The plain container beneath a Bluesky client, whose children are the server's own.

    Other views of a run differ between versions, and ``run.v2`` changes them for the whole process.
    """
    base: Container = getattr(node, "base", node)
    return base


def _stream_containers(run: Container) -> Iterator[tuple[str, Container]]:
    for name, node in run.items():
        if node.structure_family != "container":
            continue
        if name == "streams" and not any(spec.name == "BlueskyEventStream" for spec in node.specs):
            yield from _stream_containers(_base(node))  # the layout until 2025
        else:
            yield name, _base(node)


def _stream(container: Container, children: Mapping[str, Any]) -> Stream:
    metadata = container.metadata
    columns: dict[str, NDArray[np.number]] = {}
    for node in children.values():
        if node.structure_family == "table":
            table = node.read()
            columns |= {
                name: table[name].to_numpy()
                for name in table.columns
                if not name.startswith("ts_") and table[name].dtype.kind in "iufb"
            }
    if not columns:  # a fly scan: positions may be in a file
        for key, node in children.items():
            if node.structure_family == "array" and node.shape[:1] == (np.prod(node.shape),):
                with suppress(httpx.HTTPStatusError):  # frames are useful without them
                    columns[key] = np.asarray(node.read()).ravel()
    return Stream(metadata.get("data_keys", {}), metadata.get("configuration", {}), columns)


def _access_tags(run: Container) -> tuple[str, ...]:
    attributes = run.item["attributes"]
    blob = attributes.get("access_blob") or {}  # so older servers say it
    return tuple(attributes.get("access_tags") or blob.get("tags", ()))


def _read(
    node: ArrayClient, roots: Sequence[str | Path], retry: Retry, largest: int
) -> tuple[NDArray[np.number], tuple[str, ...]]:
    """Frames ``(point, frame, row, col)``, from Tiled or else from the file; and notes."""
    n_points, *per_point, rows, cols = node.shape
    shape = (int(np.prod(per_point, dtype=int)), rows, cols)
    if roots:
        _refuse_broken_files(node, roots)
    try:
        return np.asarray(node.read()).reshape(n_points, *shape), ()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status != 422 and status < 500:
            raise
        sources = node.data_sources() or []
        if not sources or sources[0].mimetype != HDF5 or "slice" in sources[0].parameters:
            raise
        reason = str(error).splitlines()[0]
        why = f"read from the file, since Tiled can't serve it ({reason})"
        reader = partial(read_frames, roots=roots, retry=retry, largest=largest)
        frames = _read_files(sources[0], n_points * shape[0], reader, reason)
    there = len(frames) // shape[0]
    notes = (why,) if there == n_points else (why, f"the file has {there} of {n_points} points")
    return frames[: there * shape[0]].reshape(there, *shape), notes


def _pixel_facts(node: ArrayClient, roots: Sequence[str | Path]) -> PixelFacts:
    """What the first file with the frames says of the detector's pixels, if that file may be read."""
    for source in (node.data_sources() or []) if roots else []:
        for asset in source.assets if source.mimetype == HDF5 else []:
            return read_pixel_facts(asset.data_uri, source.parameters.get("dataset", ""), roots)
    return PixelFacts()


def _refuse_broken_files(node: ArrayClient, roots: Sequence[str | Path]) -> None:
    """Check files on this machine before Tiled reads them.

    Tiled opens files that ``TiledWriter`` registers for SWMR, whether or not they are being written. With a
    truncated file HDF5 then waits for ever, and so does the server. Errors are those of `open_hdf5`.
    """
    for source in node.data_sources() or []:
        for asset in source.assets if source.mimetype == HDF5 else []:
            try:
                path = allowed_path(asset.data_uri, roots)
            except (OutsideRootsError, ValueError):  # it is on another machine
                continue
            with suppress(FileNotFoundError), open_hdf5(path, roots):
                pass


def _read_files(
    source: Any, n_frames: int, reader: Callable[..., NDArray[np.number]], reason: str
) -> NDArray[np.number]:
    """The first ``n_frames`` of a data source's files; what they have beyond is ignored."""
    parts: list[NDArray[np.number]] = []
    for asset in sorted(source.assets, key=lambda asset: asset.num or 0):
        wanted = n_frames - sum(map(len, parts))
        if wanted:
            try:
                parts.append(reader(asset.data_uri, source.parameters["dataset"], (0, wanted)))
            except OSError as error:
                raise type(error)(
                    f"Tiled can't serve the frames ({reason}), and {error}"
                ) from error
    return np.concatenate(parts)
