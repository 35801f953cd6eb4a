"""Status and results as lines for people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

from bcdi_inpaint.filling import Verdict

from .status import State

if TYPE_CHECKING:
    from bcdi_inpaint.export.layout import NodeMetadata

    from .status import RunStatus, Status

NOT_CHECKED = "not checked"
GOOD, BAD = "green", "yellow"
"""Also distinguished by words."""


def verdict(result: NodeMetadata, threshold: float | None) -> str:
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
        return NOT_CHECKED
    if threshold is not None and pcc < threshold:
        return f"doubtful: below {threshold:g}"
    return str(result.get("self_check_verdict", NOT_CHECKED))


def line(run: RunStatus, threshold: float | None = None) -> Text:
    """One finished run, in a line for operators."""
    words = Text(run.name, style="bold")
    if run.state is State.FAILED:
        return words.append(f"  failed: {run.reason}", style=BAD)
    result = run.result
    words.append(f"  gap {result['gap_share']:.1%}", style="not bold")
    words.append(f"  {result['method_used']}{_after(run)}", style="not bold")
    words.append(f"  {_figures(result)}", style="not bold")
    word = verdict(result, threshold)
    words.append(word, style=GOOD if word == Verdict.TRUSTED else BAD)
    return words.append(f"  {run.path}", style="not bold")


def state(status: Status) -> Text:
    """Whether new scans are filled, and by whom."""
    if not status.enabled:
        return Text("off: new scans are not filled", style=BAD)
    if status.paused:
        return Text("paused: scans wait", style=BAD)
    worker = "starting" if status.worker is None else f"worker {status.worker}"
    again = f", replaced {status.restarts} times" if status.restarts > 0 else ""
    return Text("on", style=GOOD).append(f" ({worker}{again})", style="default")


def progress(run: RunStatus) -> str:
    expected = "" if run.expected is None else f" of {run.expected}"
    words = [f"{run.state}: {run.frames}{expected} frames received, {run.filled} filled"]
    if run.final < run.filled:
        words.append(f"{run.filled - run.final} of them provisional, until their twins are in")
    if run.seconds_behind:
        words.append(f"{run.seconds_behind:.1f} s behind")
    if run.reason:
        words.append(run.reason)
    return ", ".join(words)


def _after(run: RunStatus) -> str:
    if run.stopped is None or run.completed is None:
        return ""
    return f" {max(run.completed - run.stopped, 0):.1f} s after the last frame"


def _figures(result: NodeMetadata) -> str:
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
    """How long ago a moment was, approximately."""
    if moment is None:
        return ""
    seconds = max(0.0, time.time() - moment)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
