"""What is going on, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bcdi_inpaint.live.wording import BAD, line, progress, state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bcdi_inpaint.live import Status

    from .toggles import Toggles

SHOWN = 5
"""Results in the table."""


def table(status: Status, toggles: Toggles, where: Mapping[str, str]) -> Group:
    """Everything.

    Parameters
    ----------
    status
        Of live filling.
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
        sheet.add_row(run.name, progress(run))
    sheet.add_row(
        "queue", f"{status.queue_documents} documents, {status.queue_bytes / 2**20:.1f} MiB"
    )
    sheet.add_row(
        "so far",
        f"{status.complete} filled, {status.failed} given up, {status.dropped} filled late",
    )
    if status.last_error:
        sheet.add_row("last error", Text(f"{status.last_error}  (%inpaint log)", style=BAD))
    for what, path in where.items():
        sheet.add_row(what, path)
    lines = [line(run, toggles.threshold) for run in status.last[:SHOWN]]
    return Group(sheet, *([Text("last results", style="bold"), *lines] if lines else []))


def _method(toggles: Toggles) -> str:
    words = [toggles.method]
    if toggles.model:
        words.append(f"model {toggles.model}")
    if toggles.finetune:
        words.append("fine-tuned where the self-check is poor")
    return ", ".join(words)
