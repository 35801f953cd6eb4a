"""What ``serve --check`` and ``backfill`` print."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from .backfill import Outcome
    from .checks import Finding


def findings(found: Iterable[Finding]) -> Table:
    """What ``serve --check`` has found."""
    table = _sheet(3)
    for finding in found:
        sign = "[green]ok[/]" if finding.works else "[red]no[/]"
        table.add_row(finding.subject, sign, escape(finding.what))
    return table


def outcomes(done: Sequence[Outcome]) -> Table:
    """What ``backfill`` has done: a line for each state and verdict, and one for each failure."""
    table = _sheet(2)
    counts = Counter((outcome.state, outcome.verdict) for outcome in done)
    for (state, verdict), count in sorted(counts.items()):
        table.add_row(state, f"{count}{f', self-check: {verdict}' if verdict else ''}")
    filled = [outcome for outcome in done if outcome.state == "filled"]
    for part in ("read", "fill", "write"):
        if filled:
            seconds = median(getattr(outcome, f"{part}_seconds") for outcome in filled)
            table.add_row(part, f"{seconds:.2f} s a run (median)")
    for outcome in done:
        if outcome.reason:
            table.add_row(outcome.uid, escape(outcome.reason))
    return table


def track(done: Iterable[Outcome], total: int, console: Console) -> Iterator[Outcome]:
    """Pass on what is done, with a progress bar that says how fast and how long yet."""
    columns = (
        TextColumn("filling"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, rate="")
        for number, outcome in enumerate(done, start=1):
            elapsed = progress.tasks[task].elapsed or 1.0
            progress.update(task, advance=1, rate=f"{60 * number / elapsed:.1f} runs/min")
            yield outcome


def _sheet(columns: int) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    for _ in range(columns - 1):
        table.add_column(overflow="fold")
    return table
