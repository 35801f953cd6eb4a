"""What is going on, in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from bcdi_inpaint.live.wording import BAD, line, progress, state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from bcdi_inpaint.live import Status

    from .toggles import Toggles

SHOWN = 5
"""Results that are shown."""


def show(console: Console, status: Status, toggles: Toggles, where: Mapping[str, str]) -> None:
    """Print everything, a line each however long, so that what is in it can be copied.

    `where` are files to look into, by what they hold.
    """
    rows: list[tuple[str, Text | str]] = [
        ("inpainting", state(status)),
        ("method", _method(toggles)),
        ("detector", toggles.detector or "as the run says"),
        ("roi", toggles.roi or "whole frames"),
    ]
    if toggles.mask:
        rows.append(("mask", toggles.mask))
    if not toggles.own_mask:
        rows.append(("own mask", "the mask in the detector's files is left out"))
    if toggles.saturated:
        rows.append(("saturated", "saturated voxels are filled"))
    if toggles.threshold is not None:
        rows.append(("threshold", f"self-check PCC {toggles.threshold:g}"))
    rows += [(run.name, progress(run)) for run in status.runs]
    waiting = f"{status.queue_documents} documents, {status.queue_bytes / 2**20:.1f} MiB"
    done = f"{status.complete} filled, {status.failed} failed, {status.dropped} filled late"
    rows += [("queue", waiting), ("so far", done)]
    if status.last_error:
        rows.append(("last error", Text(f"{status.last_error}  (%inpaint log)", style=BAD)))
    rows += where.items()
    width = max(len(name) for name, _ in rows)
    lines = [Text.assemble((f"{name:<{width}}  ", "bold"), value) for name, value in rows]
    if status.last:
        lines.append(Text("last results", style="bold"))
    lines += [line(run, toggles.threshold) for run in status.last[:SHOWN]]
    for one in lines:
        console.print(one, soft_wrap=True)


def _method(toggles: Toggles) -> str:
    words = [toggles.method]
    if toggles.model:
        words.append(f"model {toggles.model}")
    if toggles.finetune:
        words.append("fine-tuned where the self-check is poor")
    return ", ".join(words)
