"""What commands and operators see on a terminal: lines, a fill's summary, bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from bcdi_inpaint.filling import Inpainted, SelfCheck


def say(console: Console, line: str) -> None:
    """Print a line as it is, so that names in it can be copied."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def summary(filled: Inpainted, more: Mapping[str, str] | None = None) -> Table:
    """What was filled, how, and how far it can be trusted; then the rows in `more`."""
    report = filled.report
    table = sheet()
    frames, rows, cols = filled.intensity.shape
    table.add_row("stack", f"{frames} frames of {rows} x {cols}, {filled.intensity.dtype}")
    table.add_row("gap", f"{report.gap_share:.2%} ({report.voxels_missing} voxels)")
    table.add_row("method", f"{report.method} on {report.device}, {report.seconds:.1f} s")
    if report.model_name:
        table.add_row("model", f"{report.model_name} ({report.model_hash[:12]})")
    if report.self_check is not None:
        table.add_row("self-check", _told(report.self_check))
    said = "" if report.self_check is None else report.self_check.note
    for note in report.notes:
        if note != said:
            table.add_row("note", note)
    for name, value in (more or {}).items():
        table.add_row(name, value)
    return table


def _told(check: SelfCheck) -> str:
    unlike = not 0.5 < check.brightness < 2 and check.brightness > 0
    place = f", {check.brightness:.2g} times as bright as the real ones:" if unlike else ""
    return (
        f"{check.note}. On artificial gaps{place} PCC {check.pcc:.3f} "
        f"(kriging {check.pcc_kriging:.3f}, linear {check.pcc_linear:.3f}, "
        f"at best {check.pcc_ceiling:.3f}), counts x {check.counts_ratio:.2f} "
        f"(kriging {check.counts_ratio_kriging:.2f}, linear {check.counts_ratio_linear:.2f})"
    )


def sheet(columns: int = 2) -> Table:
    """A table of names and values."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    for _ in range(columns - 1):
        table.add_column(overflow="fold")
    return table
