"""Filling an archive on a cluster: one task for each run, by Dask distributed."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING

import stamina
from tiled.queries import Key

from bcdi_inpaint.catalog import AlreadyFilledError, current
from bcdi_inpaint.catalog.queries import raw_uids
from bcdi_inpaint.live.errors import Cause, cause_of, reason
from bcdi_inpaint.live.worker.pipeline import Catalogs, fill_finished
from bcdi_inpaint.scans import NoImagesError

from .connection import connect
from .seen_runs import finished_scans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client, Future
    from tiled.client.container import Container

    from bcdi_inpaint.live.settings import Settings

    from .config import ServiceConfig
    from .source_sections import TiledSection

TRIES = 3
"""How often a run is tried."""
WAIT = 5.0
"""Seconds before a run is tried again on the same worker; doubles."""
LONGEST = 300.0
"""Seconds that such a wait lasts at most."""
AHEAD = 4
"""Tasks for each worker that the scheduler is given in advance."""


class Ending(StrEnum):
    """What became of a run."""

    FILLED = "filled"
    THERE = "there"
    """It had a complete node before."""
    SKIPPED = "without images"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: its node's path and self-check, or why it failed, and what it took on the worker."""

    uid: str
    scan_id: int | None = None
    state: Ending = Ending.FILLED
    path: str = ""
    verdict: str = ""
    pcc: float | None = None
    reason: str = ""
    read_seconds: float = 0.0
    fill_seconds: float = 0.0
    write_seconds: float = 0.0


def matching(
    raw: Container,
    processed: Container,
    config: ServiceConfig,
    *,
    since: float | None = None,
    until: float | None = None,
    sample: str | None = None,
    detector: str | None = None,
    plan: str | None = None,
) -> list[str]:
    """Uids of finished rocking scans of an archive that are not filled, oldest first.

    Every criterion that is given must hold.

    Parameters
    ----------
    raw, processed
        Tiled clients.
    config
        What a rocking scan is, and by what method it is filled.
    since, until
        When they began, seconds since 1970, half-open.
    sample, plan
        Names.
    detector
        A device that took part.
    """
    found = raw
    if since is not None:
        found = found.search(Key("start.time") >= since)
    if until is not None:
        found = found.search(Key("start.time") < until)
    if plan is not None:
        found = found.search(Key("start.plan_name") == plan)
    done = set(raw_uids(current(processed).search(Key("method") == config.filling.method)))
    return [
        run.uid
        for run in finished_scans(found.sort(("start.time", 1)), config.scans)
        if run.uid not in done
        and sample in (None, run.sample)
        and (detector is None or detector in run.detectors)
    ]


def backfill(
    uids: Sequence[str], config: ServiceConfig, client: Client, *, tries: int = TRIES
) -> Iterator[Outcome]:
    """Fill runs on a cluster; yields what became of each as it is done.

    May be interrupted at any time and begun again: a run is filled once, and what was left
    half-written is replaced. A task holds no key; workers take it from their own environment, or
    from the file that the configuration names.

    Parameters
    ----------
    uids
        The runs.
    config
        How they are filled, and where Tiled is.
    client
        Of a ``distributed`` cluster whose workers have this package and reach Tiled.
    tries
        How often a run is tried before it counts as failed.
    """
    distributed = import_module("distributed")
    task = partial(
        fill_run,
        tiled=config.tiled,
        settings=config.filling.settings(),
        owner=f"{config.name}/backfill",
        tries=tries,
    )
    left = iter(uids)
    known: dict[object, str] = {}

    def submit(count: int) -> list[Future[Outcome]]:
        futures = []
        for uid in (uid for uid, _ in zip(left, range(count), strict=False)):
            future = client.submit(task, uid, pure=False)
            known[future.key] = uid
            futures.append(future)
        return futures

    workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    running = distributed.as_completed(submit(AHEAD * workers))
    for future in running:
        uid = known.pop(future.key)
        if future.status == "finished":
            yield future.result()
        else:  # the worker died each time
            yield Outcome(uid, state=Ending.FAILED, reason=reason(future.exception()))
        for more in submit(1):
            running.add(more)


def fill_run(uid: str, tiled: TiledSection, settings: Settings, owner: str, tries: int) -> Outcome:
    """Fill one run, as a task on a worker; failures are an outcome, not an exception."""
    dask = import_module("dask")
    attempts = stamina.retry_context(
        _wait_after,
        attempts=tries,
        timeout=None,
        wait_initial=WAIT,
        wait_max=LONGEST,
        wait_jitter=0,
    )
    try:
        for attempt in attempts:
            # Tiled's client reads by dask. On a worker that would become tasks of their own, and
            # this worker would begin with the next runs meanwhile, all of them in memory at once.
            with attempt, dask.config.set(scheduler="threads"):
                return _fill(uid, *_connect(tiled), settings, owner)
    except AlreadyFilledError:
        return Outcome(uid, state=Ending.THERE)
    except NoImagesError:
        return Outcome(uid, state=Ending.SKIPPED)
    except Exception as error:  # noqa: BLE001 (a failure of one run does not affect the others)
        return Outcome(uid, state=Ending.FAILED, reason=reason(error))
    raise AssertionError("the last attempt ends in one way or the other")


def _wait_after(error: Exception) -> bool | float:
    """Whether a run is tried again after this; at once if the run is the cause, else after growing waits."""
    if isinstance(error, AlreadyFilledError | ValueError):
        return False
    return 0.0 if cause_of(error) is Cause.RUN else True


def _fill(
    uid: str, raw: Container, processed: Container, settings: Settings, owner: str
) -> Outcome:
    began = time.time()
    catalogs = Catalogs(raw, processed, owner)
    node = fill_finished(catalogs, uid, settings, again=False)
    known = node.metadata
    outcome = Outcome(
        uid,
        known.get("scan_id"),
        path="/".join(node.path_parts),
        verdict=known.get("self_check_verdict") or "",
        pcc=known.get("self_check_pcc"),
    )
    if known["created"] < began:
        return replace(outcome, state=Ending.THERE)
    seconds = known["seconds"]
    return replace(
        outcome,
        read_seconds=known["created"] - began,
        fill_seconds=seconds,
        write_seconds=time.time() - known["created"] - seconds,
    )


@cache
def _connect(tiled: TiledSection) -> tuple[Container, Container]:
    """Clients of this worker process."""
    return connect(tiled)


@contextmanager
def cluster(*, scheduler: str | None, workers: int, gpus: int = 0) -> Iterator[Client]:
    """A Dask client of a site's `scheduler`, or of processes on this machine that end with the context.

    Of those there are as many as `workers`, or one for each of so many `gpus`.
    """
    distributed = import_module("distributed")
    if scheduler is not None:
        with distributed.Client(scheduler) as client:
            yield client
        return
    places = [{"CUDA_VISIBLE_DEVICES": str(device)} for device in range(gpus)] or [{}] * workers
    options = {"nthreads": 1, "dashboard": False, "silence_logs": logging.WARNING}
    spec = {
        number: {"cls": distributed.Nanny, "options": {**options, "env": place}}
        for number, place in enumerate(places)
    }
    head = {
        "cls": distributed.Scheduler,
        "options": {"dashboard": False, "host": "127.0.0.1", "port": 0},
    }
    with (
        distributed.SpecCluster(
            workers=spec, scheduler=head, silence_logs=logging.WARNING
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client
