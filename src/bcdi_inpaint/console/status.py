"""What is going on, for people: a table, and a line after each scan."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bcdi_inpaint.live import RunStatus, Status

    from .toggles import Toggles

SHOWN = 5
"""Results in the table."""

GOOD, BAD, NEUTRAL = "green", "yellow", "cyan"
"""Told apart by words as well."""


def verdict(result: Mapping[str, Any], threshold: float | None) -> str:
    """How far a fill can be trusted, in a word or two.

    Parameters
    ----------
    result
        The node's metadata.
    threshold
        Self-check PCC below which a fill is doubtful, whatever else.
    """
    pcc = result.get("self_check_pcc")
    if pcc is None:
        return "not checked"
    if threshold is not None and pcc < threshold:
        return f"doubtful: below {threshold:g}"
    return str(result.get("self_check_verdict", "not checked"))


def line(run: RunStatus, threshold: float | None = None) -> Text:
    """One run that is done, as operators like to read it."""
    words = Text(_name(run), style="bold")
    if run.state == "failed":
        return words.append(f"  given up: {run.reason}", style=BAD)
    result = run.result
    words.append(f"  gap {result['gap_share']:.1%}", style="not bold")
    words.append(f"  {result['method_used']}{_after(run)}", style="not bold")
    words.append(f"  {_figures(result)}", style="not bold")
    word = verdict(result, threshold)
    words.append(word, style=GOOD if word == "trusted" else BAD)
    return words.append(f"  {run.path}", style="not bold")


def table(status: Status, toggles: Toggles, where: Mapping[str, str]) -> Group:
    """Everything.

    Parameters
    ----------
    status
        Of the live road.
    toggles
        Of the operator.
    where
        Files to look into, by what they hold.
    """
    sheet = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    sheet.add_column(style="bold", no_wrap=True)
    sheet.add_column(overflow="fold")
    sheet.add_row("inpainting", state(status))
    sheet.add_row("method", _method(toggles))
    sheet.add_row("detector", toggles.detector or "as the run says")
    sheet.add_row("roi", toggles.roi or "whole frames")
    if toggles.mask:
        sheet.add_row("mask", toggles.mask)
    if toggles.threshold is not None:
        sheet.add_row("threshold", f"self-check PCC {toggles.threshold:g}")
    for run in status.runs:
        sheet.add_row(_name(run), _progress(run))
    sheet.add_row(
        "queue", f"{status.queue_documents} documents, {status.queue_bytes / 2**20:.1f} MiB"
    )
    sheet.add_row(
        "so far", f"{status.complete} filled, {status.failed} given up, {status.shed} filled late"
    )
    if status.last_error:
        sheet.add_row("last error", Text(f"{status.last_error}  (%inpaint log)", style=BAD))
    for what, path in where.items():
        sheet.add_row(what, path)
    lines = [line(run, toggles.threshold) for run in status.last[:SHOWN]]
    return Group(sheet, *([Text("last results", style="bold"), *lines] if lines else []))


def state(status: Status) -> Text:
    """Whether new scans are filled, and by whom."""
    if not status.enabled:
        return Text("off: new scans are not filled", style=BAD)
    if status.paused:
        return Text("paused: scans wait", style=BAD)
    worker = "starting" if status.worker is None else f"worker {status.worker}"
    again = f", replaced {status.restarts} times" if status.restarts > 0 else ""
    return Text("on", style=GOOD).append(f" ({worker}{again})", style="default")


def _method(toggles: Toggles) -> str:
    words = [toggles.method]
    if toggles.model:
        words.append(f"model {toggles.model}")
    if toggles.finetune:
        words.append("fine-tuned where the self-check is poor")
    return ", ".join(words)


def _progress(run: RunStatus) -> str:
    expected = "" if run.expected is None else f" of {run.expected}"
    words = [f"{run.state}: {run.frames}{expected} frames received, {run.filled} filled"]
    if run.seconds_behind:
        words.append(f"{run.seconds_behind:.1f} s behind")
    if run.reason:
        words.append(run.reason)
    return ", ".join(words)


def _name(run: RunStatus) -> str:
    scan = run.scan_id if run.scan_id is not None else run.result.get("scan_id", run.uid[:8])
    sample = run.sample or run.result.get("sample", "")
    return f"scan {scan} {sample}".rstrip()


def _after(run: RunStatus) -> str:
    if run.stopped is None or run.completed is None:
        return ""
    return f" {max(run.completed - run.stopped, 0):.1f} s after the last frame"


def _figures(result: Mapping[str, Any]) -> str:
    """``PCC 0.95 (kriging 0.94, linear 0.91) ``, of what there is."""
    pcc = result.get("self_check_pcc")
    if pcc is None:
        return ""
    others = ", ".join(
        f"{name} {result[f'self_check_pcc_{name}']:.3f}"
        for name in ("kriging", "linear")
        if f"self_check_pcc_{name}" in result
    )
    return f"PCC {pcc:.3f} ({others})  "


def ago(moment: float | None) -> str:
    """How long ago a moment was, roughly."""
    if moment is None:
        return ""
    seconds = max(0.0, time.time() - moment)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
