"""The pipeline of a finished run: read it from Tiled, fill it, write it. Live runs end in it too."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from tiled.client.metadata_update import DELETE_KEY
from tiled.queries import Key

from bcdi_inpaint import catalog
from bcdi_inpaint.catalog.claims import LEASE, Watch
from bcdi_inpaint.catalog.nodes import delete
from bcdi_inpaint.export import quicklook
from bcdi_inpaint.filling import inpaint
from bcdi_inpaint.progress import no_progress
from bcdi_inpaint.scans import RunStart, ScanMetadata, from_run

from ..errors import NotThereYetError, reason
from ..guard import GuardedLogger
from ..region import crop, region_of

if TYPE_CHECKING:
    from tiled.client.container import Container

    from bcdi_inpaint.filling import Estimate, Inpainted
    from bcdi_inpaint.progress import Progress
    from bcdi_inpaint.scans import RockingScan

    from ..settings import Settings

logger = GuardedLogger(__name__)


@dataclass(frozen=True, slots=True)
class Catalogs:
    """Where runs come from, where filled scans go, and in whose name nodes are claimed.

    A claim expires after `lease_seconds` if it is not renewed; `watch` follows the claims of others.
    """

    raw: Container
    processed: Container
    owner: str = ""
    lease_seconds: float = LEASE
    watch: Watch = field(default_factory=Watch)

    def provenance(self, uid: str) -> tuple[str, tuple[str, ...]]:
        """Path and access tags of a run in Tiled, finished or not.

        Raises
        ------
        NotThereYetError
            If it is not in the catalogue.
        """
        run = self._run(uid)
        return "/".join(run.path_parts), tuple(run.access_tags or ())

    def finished_run(self, uid: str) -> Container:
        """The run in Tiled.

        Raises
        ------
        NotThereYetError
            If it is not in the catalogue, or goes on.
        """
        run = self._run(uid)
        if not run.metadata.get("stop"):
            raise NotThereYetError(f"run {uid} has no stop document in {self.raw.uri}")
        return run

    def known_of(self, uid: str) -> ScanMetadata:
        """What the catalogue knows of a run by which people find it; nothing more where it doesn't answer."""
        try:
            run = self._run(uid)
            start = RunStart.of(run.metadata["start"])
        except Exception as error:  # noqa: BLE001 (it may be what is wrong with the run)
            logger.info("run %s: little is known of it: %s", uid, reason(error))
            return ScanMetadata(raw_uid=uid)
        return ScanMetadata(
            raw_uid=uid,
            raw_path="/".join(run.path_parts),
            scan_id=start.scan_id,
            sample=start.sample,
            plan_name=start.plan_name,
            time=start.time,
            access_tags=tuple(run.access_tags or ()),
        )

    def _run(self, uid: str) -> Container:
        try:
            return self.raw[uid]
        except KeyError:
            raise NotThereYetError(f"run {uid} is not in {self.raw.uri}") from None

    def complete_node(self, uid: str, settings: Settings) -> Container | None:
        """The complete node of a run with these settings, if there is one."""
        found = catalog.current(self.processed).search(Key("raw_uid") == uid)
        found = found.search(Key("method") == settings.method)
        if settings.data_key is not None:
            found = found.search(Key("data_key") == settings.data_key)
        return next(iter(found.values()), None)

    def remove_failed(self, uid: str) -> None:
        """Remove the failed node of a run whose detector was not known."""
        failed = self.processed.search(Key("raw_uid") == uid).search(Key("data_key") == "")
        for key in list(failed):
            delete(self.processed, key)

    def claim(self, scan: ScanMetadata, settings: Settings, *, again: bool) -> catalog.Fill:
        """Begin a node."""
        return catalog.claim(
            self.processed,
            scan,
            method=settings.method,
            redo=again,
            owner=self.owner,
            lease=self.lease_seconds,
            watch=self.watch,
        )


def fill_finished(
    catalogs: Catalogs,
    uid: str,
    settings: Settings,
    *,
    again: bool,
    progress: Progress = no_progress,
) -> Container:
    """Fill a finished run, unless there is a complete node and `again` is false.

    Returns
    -------
    Container
        The complete node.
    """
    if not again and (node := catalogs.complete_node(uid, settings)) is not None:
        return node
    scan = read_finished(catalogs, uid, settings)
    fill = catalogs.claim(scan.metadata, settings, again=again)
    try:
        filled = fill_whole(scan, settings)
        fill.write(filled, frames_per_block=settings.portion, progress=progress)
        node = finish(fill, scan, filled, settings)
    except BaseException:
        fill.abandon()
        raise
    catalogs.remove_failed(uid)
    return node


def read_finished(catalogs: Catalogs, uid: str, settings: Settings) -> RockingScan:
    """The scan of a finished run, cut to the region that is to be filled."""
    scan = from_run(catalogs.finished_run(uid), settings)
    return crop(scan, region_of(scan, settings.region))


@cache
def warm_up(method: str, device: str) -> None:
    """Load what filling and writing need, so that no run waits for it."""
    mask = np.zeros((16, 16), bool)
    mask[:, 8] = True
    stack = np.ones((16, 16, 16))
    quicklook.draw(stack, np.broadcast_to(mask, stack.shape))
    inpaint(stack, mask, "kriging")  # the self-check needs it whatever the method
    with suppress(ValueError):  # whatever is wrong with the method is said when it is to fill
        inpaint(stack, mask, method, device)


def fill_whole(
    scan: RockingScan,
    settings: Settings,
    *,
    self_check: bool = True,
    estimate: Estimate | None = None,
) -> Inpainted:
    """What `inpaint` makes of a scan, or of a part of it with the `estimate` of another."""
    options = {"self_check": self_check, "estimate": estimate, **settings.options}
    return inpaint(scan.frames, scan.mask, settings.method, settings.device, **options)


def finish(
    fill: catalog.Fill, scan: RockingScan, filled: Inpainted, settings: Settings
) -> Container:
    """Finish the node of a filled scan that is written."""
    report = replace(filled.report, notes=(*filled.report.notes, *settings.notes))
    return fill.finish(
        replace(filled, report=report),
        angles=scan.angles,
        monitor=scan.monitor,
        scan=scan.metadata,
    )


def mark_failed(
    catalogs: Catalogs, uid: str, settings: Settings, why: str, *, proved: bool = True
) -> None:
    """Create a node that says why a run could not be filled.

    Catching up tries again, unless the run is `proved` to be the cause.
    """
    scan = replace(catalogs.known_of(uid), data_key=settings.data_key or "")
    catalogs.claim(scan, settings, again=False).fail(why, counts=proved)


def release_nodes(catalogs: Catalogs, uid: str, why: str) -> None:
    """Release the unfinished nodes of a run, and write the reason into them."""
    begun = catalogs.processed.search(Key("raw_uid") == uid).search(Key("complete") == False)
    for node in begun.search(Key("claimed_by") == catalogs.owner).values():
        released = {"left": why, "claimed_by": "", "claim_expires": 0.0}
        node.update_metadata({**released, "seconds_behind": DELETE_KEY}, drop_revision=True)
