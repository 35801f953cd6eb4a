"""Metrics for Prometheus, read from the service's status at each scrape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from bcdi_inpaint.live.status import GOING_ON, TO_DO, DropReason, FailReason
from bcdi_inpaint.scans import SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from enum import StrEnum

    from prometheus_client import Metric

    from bcdi_inpaint.live.status import RunStatus, Status

    from .sources import Source

ESTIMATES = {"fill": "", "kriging": "_kriging", "linear": "_linear", "ceiling": "_ceiling"}
"""Label -> how the field of the self-check ends."""


class StatusCollector(Collector):
    """Metrics ``bcdi_inpaint_*``; there is no `status` while the service has not reached Tiled yet."""

    def __init__(self, status: Callable[[], Status | None], sources: Sequence[Source]) -> None:
        self._status = status
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Everything, as it is now."""
        from bcdi_inpaint import __version__

        yield InfoMetricFamily("bcdi_inpaint", "The service.", {"version": __version__})
        source_open = GaugeMetricFamily(
            "bcdi_inpaint_source_open", "1 while runs can come in.", labels=["source"]
        )
        for source in self._sources:
            source_open.add_metric([source.name], not source.trouble)
        yield source_open
        status = self._status()
        if status is not None:
            yield from _counters(status)
            yield from _gauges(status)
            if status.last:
                yield from _last(status.last[0])


def _counters(status: Status) -> Iterable[Metric]:
    without_images = status.skipped_by.get(SkipReason.NO_IMAGES, 0)
    seen = status.complete + status.failed + without_images + len(status.runs)
    for name, value, meaning in (
        ("scans_seen", seen, "Runs that were taken for rocking scans."),
        ("scans_filled", status.complete, "Scans that have a complete node."),
        ("worker_restarts", max(status.restarts, 0), "Workers that had to be replaced."),
    ):
        yield CounterMetricFamily(f"bcdi_inpaint_{name}", meaning, value)
    yield _by_reason("failed", FailReason, status.failed_by, "Scans that have failed.")
    put_off = "Scans whose filling was put off until they had finished."
    yield _by_reason("dropped", DropReason, status.dropped_by, put_off)
    yield _by_reason("skipped", SkipReason, status.skipped_by, "Runs that are not to be filled.")


def _by_reason(
    name: str, reasons: type[StrEnum], counts: Mapping[str, int], meaning: str
) -> CounterMetricFamily:
    """A counter for each reason, from 0 on: Prometheus sees no increase in one that begins at 1."""
    counter = CounterMetricFamily(f"bcdi_inpaint_scans_{name}", meaning, labels=["reason"])
    for reason in reasons:
        counter.add_metric([reason], counts.get(reason, 0))
    return counter


def _gauges(status: Status) -> Iterable[Metric]:
    measured = [run for run in status.runs if run.state in GOING_ON]
    to_do = [run for run in status.runs if run.state in TO_DO]
    for name, value, meaning in (
        ("enabled", status.enabled and not status.paused, "1 while runs are filled."),
        ("worker_up", status.worker is not None, "1 while there is a worker process."),
        ("scans_measuring", len(measured), "Scans that are being measured."),
        ("scans_waiting", len(to_do), "Scans that have finished and are not filled yet."),
        ("seconds_behind", _seconds_behind(status.runs), "Age of the oldest unfilled frame."),
        ("queue_documents", status.queue_documents, "Documents that wait for the worker."),
        ("queue_bytes", status.queue_bytes, "Their size."),
    ):
        yield GaugeMetricFamily(f"bcdi_inpaint_{name}", meaning, value)


def _seconds_behind(runs: Iterable[RunStatus]) -> float:
    now = time.time()
    return max(
        (max(run.seconds_behind, now - run.stopped if run.stopped else 0.0) for run in runs),
        default=0.0,
    )


def _last(run: RunStatus) -> Iterable[Metric]:
    """Of the scan that was done last."""
    if run.completed and run.stopped:
        yield GaugeMetricFamily(
            "bcdi_inpaint_last_seconds_after_stop",
            "From the end of the last scan to its complete node.",
            run.completed - run.stopped,
        )
    for field, meaning in (
        ("pcc", "Correlation of log counts over artificial gaps in the last scan."),
        ("counts_ratio", "Predicted over measured counts in artificial gaps in the last scan."),
    ):
        metric = GaugeMetricFamily(f"bcdi_inpaint_self_check_{field}", meaning, labels=["estimate"])
        for estimate, ending in ESTIMATES.items():
            value = run.result.get(f"self_check_{field}{ending}")
            if value is not None:
                metric.add_metric([estimate], value)
        if metric.samples:
            yield metric
