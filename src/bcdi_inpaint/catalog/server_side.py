"""The exporters as media types of a Tiled server, so that a browser or curl can download them.

Named in the server's configuration (``media_types``); see ``docs/tiled.md``. Volumes are spooled
to disk in blocks of frames and the file is streamed from disk, so that the server's memory does
not grow with the scan.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from tiled.ndslice import NDSlice
from tiled.utils import SerializationError, ensure_awaitable

from bcdi_inpaint.export import filled_scan as reader
from bcdi_inpaint.export import formats as exporters
from bcdi_inpaint.export.fields import to_scan
from bcdi_inpaint.export.layout import MONITOR, VOLUMES, Blocks, motor_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from numpy.typing import NDArray

    from bcdi_inpaint.export.filled_scan import FilledScan
    from bcdi_inpaint.export.layout import NodeMetadata

    Serializer = Callable[..., Awaitable[AsyncIterator[bytes]]]

_PIECE = 2**20


def _serializer(export: Callable[[Path, FilledScan], object]) -> Serializer:
    """A serializer as Tiled wants it from an exporter that writes one file."""

    async def serialize(
        mimetype: str,  # noqa: ARG001 (Tiled passes it)
        node: Any,
        metadata: NodeMetadata,
        filter_for_access: Callable[[Any], Awaitable[Any]],
    ) -> AsyncIterator[bytes]:
        try:
            reader.require_complete(metadata["raw_uid"], metadata)
        except ValueError as error:
            raise SerializationError(str(error)) from error
        folder = Path(tempfile.mkdtemp(prefix="bcdi-inpaint-"))
        try:
            scan = await _spool(await filter_for_access(node), metadata, folder)
            await anyio.to_thread.run_sync(export, folder / "export", scan)
        except BaseException:
            shutil.rmtree(folder)
            raise
        return _stream(folder)

    return serialize


def _zipped(export: Callable[[Path, FilledScan], Iterable[Path]]) -> Serializer:
    """A serializer from an exporter that writes several files into a folder."""
    import zipfile

    def write(path: Path, scan: FilledScan) -> None:
        with zipfile.ZipFile(path, "w") as archive:  # stored: they are compressed already
            for file in export(path.parent / "files", scan):
                archive.write(file, file.name)

    return _serializer(write)


pynx_cxi = _serializer(exporters.pynx_cxi)
pynx_cxi_hard = _serializer(partial(exporters.pynx_cxi, gaps="hard"))
pynx_cxi_soft = _serializer(partial(exporters.pynx_cxi, gaps="soft"))
pynx_cxi_free = _serializer(partial(exporters.pynx_cxi, gaps="free"))
pynx_npz = _serializer(exporters.pynx_npz)
pynx_run = _zipped(exporters.pynx_run)
cdiutils = _zipped(exporters.cdiutils)
cohere = _serializer(exporters.cohere)
nexus = _serializer(exporters.nexus)
tif = _serializer(exporters.tif)


async def _spool(node: Any, metadata: NodeMetadata, folder: Path) -> FilledScan:
    """The scan with its volumes in files, copied block by block."""
    scan = to_scan(metadata)
    volumes = {name: await _copy(node, name, folder) for name in VOLUMES}
    there = await node.keys_range(offset=0, limit=None)

    async def column(key: str) -> NDArray[np.float64] | None:
        if key not in there:
            return None
        values: NDArray[np.float64] = await (await node.lookup_adapter([key])).read()
        return values

    angles = await column(motor_key(scan.motor)) if scan.motor else None
    return reader.FilledScan(
        reader.assemble(volumes, metadata), scan, angles, await column(MONITOR)
    )


async def _copy(node: Any, name: str, folder: Path) -> NDArray[np.number]:
    array = await node.lookup_adapter([name])
    structure = array.structure()
    copy = np.lib.format.open_memmap(
        folder / f"{name}.npy",
        mode="w+",
        dtype=structure.data_type.to_numpy_dtype(),
        shape=structure.shape,
    )
    for part in Blocks.of(copy.shape, copy.dtype).parts():
        copy[part] = await ensure_awaitable(array.read, NDSlice((part,)))
    return copy


async def _stream(folder: Path) -> AsyncIterator[bytes]:
    try:
        async with await anyio.open_file(folder / "export", "rb") as file:
            while piece := await file.read(_PIECE):
                yield piece
    finally:
        shutil.rmtree(folder)
