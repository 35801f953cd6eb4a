"""A filled scan's node while it is being written."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

import httpx
import numpy as np
from tiled.client.metadata_update import DELETE_KEY

from bcdi_inpaint.export.fields import from_report, from_scan
from bcdi_inpaint.export.layout import DIMS, MONITOR, QUICKLOOK, Blocks, motor_key
from bcdi_inpaint.export.metadata import FillMetadata
from bcdi_inpaint.export.quicklook import draw
from bcdi_inpaint.progress import no_progress

from .claimed_node import ClaimedNode
from .nodes import delete, supersede, wanted_tags
from .provenance import link_to_raw
from .volumes import Volumes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from tiled.client.container import Container

    from bcdi_inpaint.filling.result import Inpainted
    from bcdi_inpaint.progress import Progress
    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

STATUS_EVERY = 1.0
"""Seconds between updates of a claim and the number of frames written."""


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
        self._node = ClaimedNode(node, access_tags)
        self._volumes = Volumes(self._node)
        self._metadata = metadata
        self._lease = lease
        self._final: int | None = None
        self._status_sent = -math.inf

    @property
    def key(self) -> str:
        """The node's key."""
        return self._node.key

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
        """Allocate the volumes, zeros until written.

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
        if not self._volumes.fits(blocks, dtype):
            self._volumes.allocate(blocks, dtype)
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
        self._volumes.write(start, intensity, sigma, mask)
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
        self._volumes.register(path, blocks, dtype)
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
            frames=int(self._volumes.written.sum()),
            frames_final=self._final,
            seconds_behind=seconds_behind,
        )

    def write(
        self,
        filled: Inpainted,
        *,
        frames_per_block: int | None = None,
        progress: Progress = no_progress,
    ) -> None:
        """Write all of a filled scan, block by block; blocks that are there already are not sent again."""
        intensity, sigma, mask = filled.intensity, filled.sigma, filled.mask
        blocks = self.allocate(intensity.shape, intensity.dtype, frames_per_block=frames_per_block)
        for part in blocks.parts():
            self.write_frames(part.start, intensity[part], sigma[part], mask[part])
            progress("writing", part.stop, len(intensity))

    def finish(
        self,
        filled: Inpainted,
        *,
        angles: NDArray[np.float64] | None = None,
        monitor: NDArray[np.float64] | None = None,
        scan: ScanMetadata | None = None,
    ) -> Container:
        """Complete the node, then mark earlier ones superseded.

        Parameters
        ----------
        filled
            What was written, of which the quick look is drawn, and how it was made.
        angles
            ``(frame,)``, the rocking motor's readings in degrees.
        monitor
            ``(frame,)``, the readings of the beam's monitor.
        scan
            Where the scan comes from, if more is known now than at the claim.

        Returns
        -------
        Container
            Client of the complete node.
        """
        missing = np.flatnonzero(~self._volumes.written)
        if self._volumes.blocks is None or missing.size:
            what = (
                "nothing was written"
                if self._volumes.blocks is None
                else f"no frame {missing[0]} yet"
            )
            raise RuntimeError(f"{self.key} can't be completed: {what}")
        report, quicklook = filled.report, draw(filled.intensity, filled.mask)
        provenance = {} if scan is None else from_scan(scan)
        motor = provenance.get("motor", self._metadata.motor)
        if angles is not None and motor:
            self._node.write(motor_key(motor), np.asarray(angles, np.float64), DIMS[:1], "deg")
        if monitor is not None:
            self._node.write(MONITOR, monitor, DIMS[:1], "")
        self._node.write(QUICKLOOK, quicklook.picture, ("y", "x", "rgb"), "")
        self._update(
            **provenance,
            **from_report(report),
            version_torch=version("torch") if report.model_name else "",
            peak=quicklook.peak,
            frames=self._volumes.written.size,
            frames_final=None,
            seconds_behind=None,
            claimed_by="",
            claim_expires=0.0,
            finished=time.time(),
            complete=True,
        )
        supersede(self._processed, self._metadata)
        link_to_raw(self._node.node, self._metadata.raw_path, wanted_tags(self._node.access_tags))
        return self._node.node.refresh()

    def fail(self, reason: str, *, counts: bool = True) -> None:
        """Mark the node as failed: it stays, without data, and says why.

        Parameters
        ----------
        reason
            Why.
        counts
            Whether the run itself is the cause; otherwise catching up tries again.
        """
        reason = reason or "no reason was given"
        self._node.empty()
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

    def _update(self, **changes: object) -> None:
        """Validate and send changed metadata; what became None is removed."""
        before = self._metadata.flat()
        self._metadata = FillMetadata(**{**before, **changes})
        after = self._metadata.flat()
        patch = {name: value for name, value in after.items() if before.get(name) != value}
        patch |= dict.fromkeys(before.keys() - after.keys(), DELETE_KEY)
        self._node.call(self._node.node.update_metadata, patch, drop_revision=True)
