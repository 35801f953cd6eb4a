"""A filled scan's node while it is being written."""

from __future__ import annotations

import hashlib
import math
import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from tiled.client.metadata_update import DELETE_KEY
from tiled.client.utils import ClientError
from tiled.structures.core import StructureFamily

from bcdi_inpaint.base_error import BcdiInpaintError
from bcdi_inpaint.export.fields import from_report, from_scan
from bcdi_inpaint.export.layout import (
    DIMS,
    INTENSITY,
    QUICKLOOK,
    UNITS,
    VOLUMES,
    Blocks,
    motor_key,
    volume_dtypes,
)
from bcdi_inpaint.export.metadata import FillMetadata
from bcdi_inpaint.export.volumes import GROUP

from .layout import array_source, in_file
from .nodes import create, delete, supersede, wanted_tags
from .provenance import link_to_raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from tiled.client.array import ArrayClient
    from tiled.client.container import Container
    from tiled.structures.data_source import DataSource

    from bcdi_inpaint.export.quicklook import Quicklook
    from bcdi_inpaint.filling.result import Report
    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

STATUS_EVERY = 1.0
"""Seconds between updates of a claim and the number of frames written."""


class ClaimLostError(BcdiInpaintError, RuntimeError):
    """The node has gone: the claim had expired and somebody else has taken over."""


class Fill:
    """A node that is being written. Made by `claim`; ended by `finish`, `fail` or `abandon`.

    Not for use from several threads at once. Every method that talks to the server raises
    `ClaimLostError` if the node has been taken over.
    """

    def __init__(
        self,
        processed: Container,
        node: Container,
        metadata: FillMetadata,
        *,
        access_tags: tuple[str, ...],
        lease: float,
    ) -> None:
        self._processed = processed
        self._node = node
        self._metadata = metadata
        self._access_tags = access_tags
        self._lease = lease
        self._blocks: Blocks | None = None
        self._arrays: dict[str, ArrayClient] = {}
        self._sent: dict[tuple[str, tuple[int, int, int]], bytes] = {}
        self._written: NDArray[np.bool_] = np.zeros(0, bool)
        self._final: int | None = None
        self._status_sent = -math.inf

    @property
    def key(self) -> str:
        """The node's key."""
        return str(self._node.item["id"])

    @property
    def metadata(self) -> FillMetadata:
        """The node's metadata as they were sent last."""
        return self._metadata

    def allocate(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike = np.float32,
        *,
        frames_per_block: int | None = None,
    ) -> Blocks:
        """Make room for the volumes, zeros until written.

        Call it again when there turn out to be more or fewer frames than expected, or when counts
        beyond 2**24 need float64: what was there before is dropped then, and kept if nothing changed.

        Parameters
        ----------
        shape
            ``(frame, row, col)``.
        dtype
            Of the intensity.
        frames_per_block
            Frames that are written at a time; by default such that a block has about 16 MB.

        Returns
        -------
        Blocks
            `Blocks.frames` is the unit of `write_frames`.
        """
        n, rows, cols = shape
        blocks = Blocks.of((n, rows, cols), dtype, frames=frames_per_block)
        if blocks == self._blocks and self._arrays[INTENSITY].dtype == dtype:
            return blocks
        self._arrays = {
            name: self._new_child(
                name, array_source(blocks.shape, kind, blocks.chunks, DIMS), UNITS[name]
            )
            for name, kind in volume_dtypes(dtype).items()
        }
        self._blocks = blocks
        self._sent = {}
        self._written = np.zeros(n, bool)
        self._update(shape=blocks.shape, frames=0, claim_expires=time.time() + self._lease)
        return blocks

    def write_frames(
        self,
        start: int,
        intensity: NDArray[np.floating],
        sigma: NDArray[np.float32],
        mask: NDArray[np.bool_],
        *,
        seconds_behind: float | None = None,
        final: int | None = None,
    ) -> None:
        """Write frames from `start` on; they must make up whole blocks. Renews the claim.

        The same frames may be written again; blocks that have not changed are not sent again.

        Parameters
        ----------
        start
            Index of the first frame.
        intensity, sigma, mask
            ``(frame, row, col)``, the intensity of the allocated dtype.
        seconds_behind
            In live filling: age of the newest frame that is not yet filled.
        final
            In live filling: how many frames will stay as they are.
        """
        blocks = self._blocks
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
                    self._call(array.write_block, block, block=index)
                    self._sent[name, index] = digest
        self._written[start:stop] = True
        self._final = final
        self.renew_when_due(seconds_behind=seconds_behind)

    def register(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Let Tiled serve all frames of the volumes from a file by `files.write_volumes`.

        Parameters
        ----------
        path
            Absolute, the same for this process and the server.
        shape, dtype
            Of the intensity.

        Raises
        ------
        PermissionError
            If the server does not read the file.
        """
        n, rows, cols = shape
        blocks = Blocks.of((n, rows, cols), dtype)
        for name, kind in volume_dtypes(dtype).items():
            source = array_source(blocks.shape, kind, blocks.chunks, DIMS)
            child = self._new_child(name, in_file(source, path, f"{GROUP}/{name}"), UNITS[name])
            try:  # the server takes any path; it looks at it when it is read
                self._call(child.read, (0, 0, slice(0, 1)))
            except httpx.HTTPStatusError as error:
                raise PermissionError(
                    f"Tiled can't read {path} ({error.response.status_code}): is its folder in the "
                    "server's readable_storage, under the same path?"
                ) from error
        self._blocks = blocks
        self._written = np.ones(n, bool)
        self._update(shape=blocks.shape, claim_expires=time.time() + self._lease)

    def renew_when_due(self, *, seconds_behind: float | None = None) -> None:
        """Renew the claim, unless that has just been done."""
        if time.monotonic() - self._status_sent > STATUS_EVERY:
            self.renew(seconds_behind=seconds_behind)

    def renew(self, *, seconds_behind: float | None = None) -> None:
        """Extend the claim and publish how far the fill has come."""
        self._status_sent = time.monotonic()
        self._update(
            claim_expires=time.time() + self._lease,
            frames=int(self._written.sum()),
            frames_final=self._final,
            seconds_behind=seconds_behind,
        )

    def finish(
        self,
        report: Report,
        quicklook: Quicklook,
        *,
        angles: NDArray[np.float64] | None = None,
        scan: ScanMetadata | None = None,
    ) -> Container:
        """Complete the node, then mark earlier ones superseded.

        Parameters
        ----------
        report
            How the fill was made.
        quicklook
            As made by `bcdi_inpaint.catalog.quicklook.draw`.
        angles
            ``(frame,)``, the rocking motor's readings in degrees.
        scan
            Where the scan comes from, if more is known now than at the claim.

        Returns
        -------
        Container
            Client of the complete node.
        """
        missing = np.flatnonzero(~self._written)
        if self._blocks is None or missing.size:
            what = "nothing was written" if self._blocks is None else f"no frame {missing[0]} yet"
            raise RuntimeError(f"{self.key} can't be completed: {what}")
        provenance = {} if scan is None else from_scan(scan)
        motor = provenance.get("motor", self._metadata.motor)
        if angles is not None and motor:
            self._write_whole(motor_key(motor), np.asarray(angles, np.float64), DIMS[:1], "deg")
        self._write_whole(QUICKLOOK, quicklook.picture, ("y", "x", "rgb"), "")
        self._update(
            **provenance,
            **from_report(report),
            version_torch=version("torch") if report.model_name else "",
            peak=quicklook.peak,
            frames=self._written.size,
            frames_final=None,
            seconds_behind=None,
            claimed_by="",
            claim_expires=0.0,
            finished=time.time(),
            complete=True,
        )
        supersede(self._processed, self._metadata)
        link_to_raw(self._node, self._metadata.raw_path, wanted_tags(self._access_tags))
        return self._node.refresh()

    def fail(self, reason: str, *, counts: bool = True) -> None:
        """Give up: the node stays, without data, and says why.

        Parameters
        ----------
        reason
            Why.
        counts
            Whether it is the run's own fault; otherwise catching up tries again.
        """
        reason = reason or "no reason was given"
        for child in list(self._node.base):
            delete(self._node.base, child)
        self._update(
            failed=reason,
            failures=self._metadata.failures + counts,
            frames=0,
            frames_final=None,
            seconds_behind=None,
            claimed_by="",
            claim_expires=0.0,
        )

    def abandon(self) -> None:
        """Remove the node, if the server can be reached; else its claim will expire."""
        with suppress(httpx.HTTPError):
            delete(self._processed, self.key)

    def _new_child(self, key: str, source: DataSource[Any], units: str) -> ArrayClient:
        """An empty or registered child array, in place of one that is there already."""
        parent = self._node.base

        def new_child() -> Any:
            return create(
                parent,
                StructureFamily.array,
                [source],
                key=key,
                metadata={"units": units} if units else {},
                access_tags=self._access_tags,
            )

        try:
            return self._call(new_child)
        except ClientError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise
        delete(parent, key)
        return self._call(new_child)

    def _write_whole(
        self, key: str, array: NDArray[np.number], dims: tuple[str, ...], units: str
    ) -> None:
        chunks = tuple((length,) for length in array.shape)
        child = self._new_child(key, array_source(array.shape, array.dtype, chunks, dims), units)
        self._call(child.write, array)

    def _update(self, **changes: Any) -> None:
        """Validate and send changed metadata; what became None is removed."""
        before = self._metadata.flat()
        self._metadata = FillMetadata(**{**before, **changes})
        after = self._metadata.flat()
        patch = {name: value for name, value in after.items() if before.get(name) != value}
        patch |= dict.fromkeys(before.keys() - after.keys(), DELETE_KEY)
        self._call(self._node.update_metadata, patch, drop_revision=True)

    def _call(self, request: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return request(*args, **kwargs)
        except ClientError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                raise ClaimLostError(
                    f"{self.key} has gone: somebody else has taken it over"
                ) from error
            raise
