"""Filling what the live pipeline has missed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bcdi_inpaint.catalog.access import follow_tags
from bcdi_inpaint.catalog.queries import settled_uids
from bcdi_inpaint.live.callback import InpaintCallback
from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.live.guard import GuardedLogger, going_on
from bcdi_inpaint.live.status import RunStatus, State
from bcdi_inpaint.progress import no_progress
from bcdi_inpaint.scans import RockingScanRule

from .seen_runs import finished_scans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiled.client.container import Container

    from bcdi_inpaint.live.settings import Limits, Settings
    from bcdi_inpaint.progress import Progress

logger = GuardedLogger(__name__)

LOOK_EVERY = 0.2
"""Seconds between looks at what is done."""
EVER = 10**9
"""More failures than a run can have."""
NEWEST_FIRST = ("start.time", -1)


def left_over(
    raw: Container,
    processed: Container,
    *,
    rule: RockingScanRule | None = None,
    newest_first: bool = False,
    failed_too: bool = False,
) -> list[str]:
    """Uids of finished rocking scans that have no complete node.

    Parameters
    ----------
    raw, processed
        Tiled clients of the catalogue of runs and the container of filled scans.
    rule
        What makes a run a rocking scan.
    newest_first
        The order.
    failed_too
        Also those that have failed.
    """
    settled = settled_uids(processed, max_failures=EVER if failed_too else 1)
    scans = finished_scans(raw.sort(NEWEST_FIRST), rule or RockingScanRule())
    found = [run.uid for run in scans if run.uid not in settled]
    return found if newest_first else found[::-1]


def catch_up(
    raw: Container,
    processed: Container,
    *,
    settings: Settings | None = None,
    rule: RockingScanRule | None = None,
    limits: Limits | None = None,
    owner: str = "",
    newest_first: bool = False,
    failed_too: bool = False,
    progress: Progress = no_progress,
) -> list[RunStatus]:
    """Fill every finished rocking scan that has no complete node, and have access tags follow the raw runs.

    Nodes that were left half-written are replaced, as soon as the claim on them has expired. Several services
    may do this at once: each run is filled by one of them.

    Parameters
    ----------
    raw, processed, settings, rule, limits, owner
        As `InpaintCallback` takes them.
    newest_first, failed_too
        As `left_over` takes them.
    progress
        Called with the number of runs that are done.

    Returns
    -------
    list of RunStatus
        The result of each run, in the order they were done; runs without images are left out.
    """
    with going_on(logger, "access tags of filled scans could not be compared with the raw runs'"):
        if changed := follow_tags(raw, processed):
            logger.warning(
                "filled scans got the access tags of their raw runs: %s", ", ".join(changed)
            )
    uids = left_over(raw, processed, rule=rule, newest_first=newest_first, failed_too=failed_too)
    progress("catching up", 0, len(uids))
    done: list[RunStatus] = []
    if uids:
        with InpaintCallback(
            raw, processed, settings=settings, rule=rule, limits=limits, owner=owner
        ) as callback:
            for number, status in enumerate(fill_all(callback, uids), start=1):
                if status.state is not State.SKIPPED:
                    done.append(status)
                progress("catching up", number, len(uids))
    return done


def fill_all(callback: InpaintCallback, uids: Sequence[str]) -> Iterator[RunStatus]:
    """Fill finished runs in this order; yields what became of each as it is done."""
    waiting = dict.fromkeys(uids)
    for uid in uids:
        try:
            callback.submit(uid)
        except Exception as error:
            logger.exception("run %s could not be submitted", uid)
            del waiting[uid]
            yield RunStatus(uid, state=State.FAILED, reason=reason(error))
    while waiting:
        time.sleep(LOOK_EVERY)
        now = callback.status()
        for status in reversed((*now.skipped, *now.last)):
            if status.uid in waiting:
                del waiting[status.uid]
                yield status
        # Don't wait for runs that are neither waiting nor done.
        for uid in waiting.keys() - {run.uid for run in now.runs}:
            del waiting[uid]
            yield RunStatus(uid, state=State.FAILED, reason="its result is not known")
