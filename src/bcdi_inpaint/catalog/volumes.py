"""The volumes of a filled scan in its node: room for them, and the blocks that have been written."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import numpy as np

from bcdi_inpaint.export.layout import DIMS, INTENSITY, UNITS, VOLUMES, Blocks, volume_dtypes
from bcdi_inpaint.export.volumes import GROUP

from .layout import array_source, in_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from tiled.client.array import ArrayClient

    from .claimed_node import ClaimedNode


class Volumes:
    """Intensity, sigma and mask, written block by block.

    Attributes
    ----------
    blocks
        In which they are written; None before there is room.
    written
        ``(frame,)``, which frames are there.
    """

    def __init__(self, node: ClaimedNode) -> None:
        self.blocks: Blocks | None = None
        self.written: NDArray[np.bool_] = np.zeros(0, bool)
        self._node = node
        self._arrays: dict[str, ArrayClient] = {}
        self._sent: dict[tuple[str, tuple[int, int, int]], bytes] = {}

    def fits(self, blocks: Blocks, dtype: DTypeLike) -> bool:
        """Whether there is room for these blocks, with an intensity of this dtype."""
        return blocks == self.blocks and self._arrays[INTENSITY].dtype == dtype

    def allocate(self, blocks: Blocks, dtype: DTypeLike) -> None:
        """Make room, zeros until written, in place of what was there before."""
        self._arrays = {
            name: self._node.new_child(
                name, array_source(blocks.shape, kind, blocks.chunks, DIMS), UNITS[name]
            )
            for name, kind in volume_dtypes(dtype).items()
        }
        self.blocks = blocks
        self.written = np.zeros(blocks.shape[0], bool)
        self._sent = {}

    def write(
        self,
        start: int,
        intensity: NDArray[np.floating],
        sigma: NDArray[np.float32],
        mask: NDArray[np.bool_],
    ) -> None:
        """Write frames from `start` on, which make up whole blocks; those that have not changed are not sent again."""
        blocks = self.blocks
        if blocks is None:
            raise RuntimeError("allocate the volumes before writing frames")
        stop = start + intensity.shape[0]
        for name, part in zip(VOLUMES, (intensity, sigma, mask), strict=True):
            array = self._arrays[name]
            if part.dtype != array.dtype or part.shape != (stop - start, *blocks.shape[1:]):
                raise ValueError(
                    f"{name} must be {array.dtype} of shape {(stop - start, *blocks.shape[1:])}; "
                    f"got {part.dtype} {part.shape}"
                )
            for index, frames, rows in blocks.covering(start, stop):
                block = np.asarray(part[frames.start - start : frames.stop - start, rows])
                digest = hashlib.sha256(np.ascontiguousarray(block).data).digest()
                if self._sent.get((name, index)) != digest:
                    self._node.call(array.write_block, block, block=index)
                    self._sent[name, index] = digest
        self.written[start:stop] = True

    def register(self, path: Path, blocks: Blocks, dtype: DTypeLike) -> None:
        """Let Tiled serve all frames from a file.

        Raises
        ------
        PermissionError
            If the server does not read the file.
        """
        for name, kind in volume_dtypes(dtype).items():
            source = array_source(blocks.shape, kind, blocks.chunks, DIMS)
            in_dataset = in_file(source, path, f"{GROUP}/{name}")
            child = self._node.new_child(name, in_dataset, UNITS[name])
            try:  # the server takes any path; it looks at it when it is read
                self._node.call(child.read, (0, 0, slice(0, 1)))
            except httpx.HTTPStatusError as error:
                raise PermissionError(
                    f"Tiled can't read {path} ({error.response.status_code}): is its folder in the "
                    "server's readable_storage, under the same path?"
                ) from error
        self.blocks = blocks
        self.written = np.ones(blocks.shape[0], bool)
