"""Writing a filled scan to Tiled: claim a node, write blocks of frames, finish.

A node exists from its claim on. It counts only once it is ``complete``, which is written last, so
a crash at any moment leaves either nothing, or a node that is visibly incomplete and is replaced
by the next claim after this one has expired.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
import uuid
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from tiled.client.metadata_update import DELETE_KEY
from tiled.client.utils import ClientError
from tiled.queries import Key
from tiled.structures.core import StructureFamily

from .files import GROUP, write_volumes
from .layout import (
    DIMS,
    INTENSITY,
    QUICKLOOK,
    SPECS,
    UNITS,
    VOLUMES,
    Blocks,
    array_source,
    in_file,
    motor_key,
    node_key,
    volume_dtypes,
)
from .metadata import FillMetadata, from_report, from_scan
from .quicklook import draw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from tiled.client.array import ArrayClient
    from tiled.client.container import Container
    from tiled.structures.data_source import DataSource

    from bcdi_inpaint.filling.result import Inpainted, Report
    from bcdi_inpaint.scans.rocking_scan import RockingScan, ScanMetadata

    from .quicklook import Quicklook

LEASE = 300.0
"""Seconds after which a claim that was not renewed expires; every block written renews it."""
STATUS_EVERY = 0.5
"""Seconds between updates of the number of frames written."""


class ClaimedError(RuntimeError):
    """Somebody else is writing this fill; the message says who and until when."""


class AlreadyFilledError(RuntimeError):
    """There is a complete node for this run, detector and method."""


class ClaimLostError(RuntimeError):
    """The node has gone: the claim had expired and somebody else has taken over."""


class TagsRefusedError(PermissionError):
    """The server does not let this key give the node the access tags of the raw run."""


def claim(
    processed: Container,
    scan: ScanMetadata,
    *,
    method: str,
    redo: bool = False,
    owner: str = "",
    lease: float = LEASE,
) -> Fill:
    """Create the node of a fill, unless somebody is at it or it is done.

    What earlier attempts left half-written or failed is removed. Creating the node is atomic in
    the server: of two services that claim the same fill, one gets `ClaimedError`.

    Parameters
    ----------
    processed
        The container of filled scans, ``<beamline>/processed/bcdi_inpaint``.
    scan
        Where the scan comes from; `raw_uid` must be given.
    method
        The method that is going to fill. With the raw run and the detector it is the identity:
        there is one complete and current node for each.
    redo
        Make a new node although there is a complete one; on `Fill.finish` that one is superseded.
    owner
        Who claims; by default host, process and a token. An owner takes over at once what it had
        claimed itself, as a service does whose worker died.
    lease
        Seconds until the claim expires if it is not renewed.

    Raises
    ------
    ClaimedError, AlreadyFilledError, TagsRefusedError
    """
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    if not scan.raw_uid:
        raise ValueError("scan.raw_uid is empty: a filled scan is filed under the run it came from")
    earlier = _attempts(processed, scan.raw_uid, scan.data_key, method)
    now = time.time()
    for key, known in earlier.items():
        if known.complete and not known.superseded_by and not redo:
            raise AlreadyFilledError(f"{key} is complete already; ask for a redo to replace it")
        theirs = known.claim_expires > now and known.claimed_by != owner
        if not known.complete and not known.failed and theirs:
            raise ClaimedError(
                f"{key} is being written by {known.claimed_by} "
                f"(its claim expires in {known.claim_expires - now:.0f} s)"
            )
    attempt = 1 + max((known.attempt for known in earlier.values()), default=0)
    metadata = FillMetadata(
        **from_scan(scan),
        method=method,
        attempt=attempt,
        failures=max((known.failures for known in earlier.values()), default=0),
        claimed_by=owner,
        claim_expires=now + lease,
        created=now,
        version=version("bcdi-inpaint"),
        version_numpy=version("numpy"),
        version_tiled=version("tiled"),
    )
    key = node_key(scan.raw_uid, scan.data_key, method, attempt)
    try:
        node = _create(
            processed,
            StructureFamily.container,
            [],
            key=key,
            metadata=metadata.flat(),
            specs=list(SPECS),
            access_tags=scan.access_tags,
        )
    except ClientError as error:
        if error.response.status_code == httpx.codes.CONFLICT:
            raise ClaimedError(f"{key} has just been created by somebody else") from None
        raise
    for left_over, known in earlier.items():
        if not known.complete:
            _discard(processed, left_over, instead=key)
    return Fill(processed, node, metadata, access_tags=scan.access_tags, lease=lease)


def write(
    processed: Container,
    scan: RockingScan,
    filled: Inpainted,
    *,
    method: str = "",
    redo: bool = True,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Container:
    """Write a filled scan at once.

    Parameters
    ----------
    processed
        The container of filled scans, ``<beamline>/processed/bcdi_inpaint``.
    scan, filled
        The scan and what `inpaint` made of it. The arrays may be anything that gives numpy arrays
        when sliced (memory maps, dask arrays): they are read block by block.
    method
        The method that was asked for, where it is not the one that filled in the end.
    redo
        Whether to replace a complete node (it becomes superseded) or to raise `AlreadyFilledError`.
    folder
        Write the volumes to an HDF5 file in this folder and register it, instead of sending them
        to Tiled. The server must see it under the same path and have it in ``readable_storage``.
    progress
        Called with the frames written and their total after every block.

    Returns
    -------
    Container
        Client of the node, complete.

    Raises
    ------
    ClaimedError, AlreadyFilledError, TagsRefusedError
        And whatever stops it in the middle; nothing half-written is left then.
    """
    if scan.frames.shape != filled.intensity.shape:
        raise ValueError(
            f"the scan has shape {scan.frames.shape}, its fill {filled.intensity.shape}"
        )
    fill = claim(processed, scan.metadata, method=method or filled.report.method, redo=redo)
    path = None if folder is None else folder.absolute() / f"{fill.key}.h5"
    try:
        if path is None:
            _send(fill, filled, progress)
        else:
            _write_file(fill, filled, path, progress)
        return fill.finish(filled.report, draw(filled.intensity, filled.mask), angles=scan.angles)
    except BaseException:
        fill.abandon()
        if path is not None:
            path.unlink(missing_ok=True)
        raise


def _send(fill: Fill, filled: Inpainted, progress: Callable[[int, int], None] | None) -> None:
    """Send the volumes block by block."""
    total = filled.intensity.shape[0]
    step = fill.allocate(filled.intensity.shape, filled.intensity.dtype).frames
    for start in range(0, total, step):
        part = slice(start, min(start + step, total))
        fill.write_frames(start, filled.intensity[part], filled.sigma[part], filled.mask[part])
        if progress is not None:
            progress(part.stop, total)


def _write_file(
    fill: Fill, filled: Inpainted, path: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Write the volumes to a file, and let Tiled serve them from there."""

    def after_block(done: int, total: int) -> None:
        fill.renew_when_due()
        if progress is not None:
            progress(done, total)

    write_volumes(path, filled, progress=after_block)
    fill.register(path, filled.intensity.shape, filled.intensity.dtype)


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
        self._status_sent = 0.0

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
        intensity: NDArray[np.floating[Any]],
        sigma: NDArray[np.float32],
        mask: NDArray[np.bool_],
        *,
        seconds_behind: float | None = None,
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
            On the live road: age of the newest frame that is not yet filled.
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
                digest = hashlib.blake2b(np.ascontiguousarray(block).data, digest_size=16).digest()
                if self._sent.get((name, index)) != digest:
                    self._call(array.write_block, block, block=index)
                    self._sent[name, index] = digest
        self._written[start:stop] = True
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
        if time.time() - self._status_sent > STATUS_EVERY:
            self.renew(seconds_behind=seconds_behind)

    def renew(self, *, seconds_behind: float | None = None) -> None:
        """Extend the claim and publish how far the fill has come."""
        self._status_sent = time.time()
        self._update(
            claim_expires=self._status_sent + self._lease,
            frames=int(self._written.sum()),
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
            seconds_behind=None,
            claimed_by="",
            claim_expires=0.0,
            finished=time.time(),
            complete=True,
        )
        _supersede(self._processed, self._metadata)
        return self._node.refresh()

    def fail(self, reason: str) -> None:
        """Give up: the node stays, without data, and says why."""
        reason = reason or "no reason was given"
        for child in list(self._node.base):
            _delete(self._node.base, child)
        self._update(
            failed=reason,
            failures=self._metadata.failures + 1,
            frames=0,
            seconds_behind=None,
            claimed_by="",
            claim_expires=0.0,
        )

    def abandon(self) -> None:
        """Remove the node, if the server can be reached; else its claim will expire."""
        with suppress(httpx.HTTPError):
            _delete(self._processed, self.key)

    def _new_child(self, key: str, source: DataSource[Any], units: str) -> ArrayClient:
        """An empty or registered child array, in place of one that is there already."""
        parent = self._node.base

        def create() -> Any:
            return _create(
                parent,
                StructureFamily.array,
                [source],
                key=key,
                metadata={"units": units} if units else {},
                access_tags=self._access_tags,
            )

        try:
            return self._call(create)
        except ClientError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise
        _delete(parent, key)
        return self._call(create)

    def _write_whole(
        self, key: str, array: NDArray[Any], dims: tuple[str, ...], units: str
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


def _supersede(processed: Container, newest: FillMetadata) -> None:
    """Of the complete nodes of one run, detector and method, leave only the last one current."""
    complete = {
        key: known
        for key, known in _attempts(
            processed, newest.raw_uid, newest.data_key, newest.method
        ).items()
        if known.complete
    }
    if not complete:
        return
    last = max(complete, key=lambda key: complete[key].attempt)
    for key, known in complete.items():
        if key != last and not known.superseded_by:
            processed[key].update_metadata({"superseded_by": last})


def _attempts(
    processed: Container, raw_uid: str, data_key: str, method: str
) -> dict[str, FillMetadata]:
    """Metadata of all nodes of one run, detector and method, by key."""
    found = (
        processed.search(Key("raw_uid") == raw_uid)
        .search(Key("data_key") == data_key)
        .search(Key("method") == method)
    )
    # Without validation: a newer version may know more fields.
    return {key: FillMetadata.model_construct(**node.metadata) for key, node in found.items()}


def _create(
    parent: Container,
    family: StructureFamily,
    sources: list[Any],
    *,
    key: str,
    access_tags: tuple[str, ...],
    **kwargs: Any,
) -> Any:
    """A new node that nobody sees who may not see the raw run with these tags, or none at all."""
    # Tiled gives a user's or a service's own tag by itself, and refuses it when asked for.
    wanted = [tag for tag in access_tags if not tag.startswith(("user:", "service:"))]
    try:
        node = parent.new(family, sources, key=key, access_tags=wanted or None, **kwargs)
    except ClientError as error:
        if wanted and error.response.status_code == httpx.codes.FORBIDDEN:
            raise TagsRefusedError(
                f"{key} can't be written with the raw run's access tags {wanted}: "
                f"{' '.join(str(error).split())}. Give the service a key that owns these tags."
            ) from error
        raise
    got = node.item["attributes"]["access_tags"] or []
    if access_tags and not (got and set(got) <= set(access_tags)):
        _delete(parent, key)
        raise TagsRefusedError(
            f"{key} would have got the access tags {got} instead of the raw run's "
            f"{list(access_tags)}; it was removed. Has the server no access policy?"
        )
    return node


def _discard(processed: Container, key: str, *, instead: str) -> None:
    """Remove what an earlier attempt left, or mark it where this key may not delete."""
    try:
        _delete(processed, key)
    except ClientError as error:
        if error.response.status_code != httpx.codes.FORBIDDEN:
            raise
        processed[key].update_metadata({"superseded_by": instead})


def _delete(parent: Container, key: str) -> None:
    """Remove a child and its data; it is fine if somebody else has done so."""
    try:
        parent.delete_contents(key, recursive=True, external_only=False)
    except ClientError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
