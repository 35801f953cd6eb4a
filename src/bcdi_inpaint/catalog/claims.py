"""Claiming the node of a fill.

A node exists from its claim on. It is a result only when it is ``complete``, which is written last.
After a crash there is either no node, or one that is marked incomplete and is replaced by the next claim when this one
has expired.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from importlib.metadata import version
from typing import TYPE_CHECKING

import httpx
from tiled.client.utils import ClientError
from tiled.structures.core import StructureFamily

from bcdi_inpaint.base_error import BcdiInpaintError
from bcdi_inpaint.export.fields import from_scan
from bcdi_inpaint.export.metadata import FillMetadata

from .layout import SPECS, node_key
from .node import Fill
from .nodes import attempts, create, discard

if TYPE_CHECKING:
    from collections.abc import Collection

    from tiled.client.container import Container

    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

LEASE = 300.0
"""Seconds after which a claim that was not renewed expires; every block written renews it."""

WATCHED = 1000
"""Number of other services' claims that are watched, the latest ones."""


class Watch:
    """Since when the claims of others have not been renewed, by this machine's steady clock.

    Clocks jump and differ: a claim that expires in hours may have been made an hour before the clock was
    set right, by a service that is gone. A service that works on a node renews its claim.

    Parameters
    ----------
    patience
        Seconds without a renewal after which a claim has expired.
    """

    def __init__(self, patience: float = LEASE) -> None:
        self._patience = patience
        self._seen: dict[str, tuple[float, float]] = {}

    def is_dead(self, key: str, expires: float) -> bool:
        """Whether a claim, which expires at this time if it isn't renewed, hasn't been for too long."""
        now = time.monotonic()
        known, since = self._seen.get(key, (None, now))
        if known != expires:
            since = now
        dead = now - since > self._patience
        self._seen.pop(key, None)
        if not dead:
            self._seen[key] = expires, since
            if len(self._seen) > WATCHED:
                del self._seen[next(iter(self._seen))]
        return dead


class ClaimedError(BcdiInpaintError, RuntimeError):
    """Another service is writing this fill; the message says which one and until when."""


class AlreadyFilledError(BcdiInpaintError, RuntimeError):
    """There is a complete node for this run, detector and method."""


def unique_owner() -> str:
    """Host, process and a token: the owner of claims if no name is given."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def claim(
    processed: Container,
    scan: ScanMetadata,
    *,
    method: str,
    redo: bool = False,
    owner: str = "",
    lease: float = LEASE,
    watch: Watch | None = None,
) -> Fill:
    """Create the node of a fill, unless another service has claimed it or it is complete.

    Half-written and failed nodes of earlier attempts are removed. Creating the node is atomic in
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
    watch
        Of claims that stood in the way before: one that is not renewed is taken over before it expires.

    Raises
    ------
    ClaimedError, AlreadyFilledError, TagsRefusedError
    """
    owner = owner or unique_owner()
    if not scan.raw_uid:
        raise ValueError("scan.raw_uid is empty: a filled scan is filed under the run it came from")
    earlier = attempts(processed, scan.raw_uid, scan.data_key, method)
    now = time.time()
    for key, known in earlier.items():
        _refuse_if_taken(key, known, owner, watch, now, redo=redo)
    metadata = FillMetadata(
        **from_scan(scan),
        **_after(earlier.values()),
        **_versions(),
        method=method,
        claimed_by=owner,
        claim_expires=now + lease,
        created=now,
    )
    key = node_key(scan, method, metadata.attempt)
    node = _create(processed, key, metadata, scan.access_tags)
    for left_over, known in earlier.items():
        if not known.complete:
            discard(processed, left_over, instead=key)
    return Fill(processed, node, metadata, access_tags=scan.access_tags, lease=lease)


def _after(earlier: Collection[FillMetadata]) -> dict[str, int]:
    """The number of an attempt after these, and how many of them failed."""
    return {
        "attempt": 1 + max((known.attempt for known in earlier), default=0),
        "failures": max((known.failures for known in earlier), default=0),
    }


def _versions() -> dict[str, str]:
    return {
        "version": version("bcdi-inpaint"),
        "version_numpy": version("numpy"),
        "version_tiled": version("tiled"),
    }


def _refuse_if_taken(
    key: str, known: FillMetadata, owner: str, watch: Watch | None, now: float, *, redo: bool
) -> None:
    """Raise if a node is complete, or somebody else is at work on it."""
    if known.complete and not known.superseded_by and not redo:
        raise AlreadyFilledError(f"{key} is complete already; ask for a redo to replace it")
    theirs = known.claim_expires > now and known.claimed_by != owner
    if not theirs or known.complete or known.failed:
        return
    if watch is None or not watch.is_dead(key, known.claim_expires):
        raise ClaimedError(
            f"{key} is being written by {known.claimed_by} "
            f"(its claim expires in {known.claim_expires - now:.0f} s)"
        )


def _create(
    processed: Container, key: str, metadata: FillMetadata, access_tags: tuple[str, ...]
) -> Container:
    try:
        node: Container = create(
            processed,
            StructureFamily.container,
            [],
            key=key,
            metadata=metadata.flat(),
            specs=list(SPECS),
            access_tags=access_tags,
        )
    except ClientError as error:
        if error.response.status_code == httpx.codes.CONFLICT:
            raise ClaimedError(f"{key} has just been created by somebody else") from None
        raise
    return node
