"""What ``serve --check`` and ``backfill`` print."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    from .backfill import Ending  # what it imports takes a second

    table = _sheet(2)
    counts = Counter((outcome.state, outcome.verdict) for outcome in done)
    for (state, verdict), count in sorted(counts.items()):
        table.add_row(state, f"{count}{f', self-check: {verdict}' if verdict else ''}")
    filled = [outcome for outcome in done if outcome.state is Ending.FILLED]
    for part in ("read", "fill", "write"):
        if filled:
            seconds = median(getattr(outcome, f"{part}_seconds") for outcome in filled)
            table.add_row(part, f"{seconds:.2f} s a run (median)")
    for outcome in done:
        if outcome.reason:
            table.add_row(outcome.uid, escape(outcome.reason))
    return table


def _sheet(columns: int) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    for _ in range(columns - 1):
        table.add_column(overflow="fold")
    return table
