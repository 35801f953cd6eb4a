"""Filling what the live pipeline has missed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bcdi_inpaint.catalog import unfilled
from bcdi_inpaint.live.callback import InpaintCallback
from bcdi_inpaint.live.errors import Fault, fault, reason
from bcdi_inpaint.live.guard import GuardedLogger
from bcdi_inpaint.live.status import FAILED, RunStatus
from bcdi_inpaint.scans import RockingScanRule, RunStart, is_rocking_scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tiled.client.container import Container

    from bcdi_inpaint.live.settings import Limits, Settings

logger = GuardedLogger(__name__)

LOOK_EVERY = 0.2
"""Seconds between looks at what is done."""
EVER = 10**9
"""More failures than a run can have."""


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
        Also those that were given up.
    """
    rule = rule or RockingScanRule()
    found = []
    for key in unfilled(raw, processed, max_failures=EVER if failed_too else 1):
        try:
            metadata = raw[key].metadata
            start = metadata.get("start")
            uid = RunStart.of(start).uid
            if uid and metadata.get("stop") and is_rocking_scan(start, rule):
                found.append(uid)
        except Exception as error:
            if fault(error) is Fault.OUTAGE:
                raise
            # One run with which something is wrong must not stand before the others.
            logger.warning("run %s is passed over: %s", key, reason(error))
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
    progress: Callable[[int, int], None] | None = None,
) -> list[RunStatus]:
    """Fill every finished rocking scan that has no complete node.

    Nodes that were left half-written are replaced, as soon as the claim of whoever began them has
    expired. Several services may do this at once: each run is filled by one of them.

    Parameters
    ----------
    raw, processed, settings, rule, limits, owner
        As `InpaintCallback` takes them.
    newest_first, failed_too
        As `left_over` takes them.
    progress
        Called with how many runs are done, of how many.

    Returns
    -------
    list of RunStatus
        What became of each run, in the order they were done.
    """
    uids = left_over(raw, processed, rule=rule, newest_first=newest_first, failed_too=failed_too)
    if progress is not None:
        progress(0, len(uids))
    done: list[RunStatus] = []
    if uids:
        with InpaintCallback(
            raw, processed, settings=settings, rule=rule, limits=limits, owner=owner
        ) as callback:
            for status in fill_all(callback, uids):
                done.append(status)
                if progress is not None:
                    progress(len(done), len(uids))
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
            yield RunStatus(uid, state=FAILED, reason=reason(error))
    while waiting:
        time.sleep(LOOK_EVERY)
        now = callback.status()
        for status in reversed(now.last):
            if status.uid in waiting:
                del waiting[status.uid]
                yield status
        # Whatever is neither to be done nor done would be waited for in vain.
        for uid in waiting.keys() - {run.uid for run in now.runs}:
            del waiting[uid]
            yield RunStatus(uid, state=FAILED, reason="it is not known what became of it")
