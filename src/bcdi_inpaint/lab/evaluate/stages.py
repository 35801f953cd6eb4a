"""Telling how far a long run is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

Tell = Callable[[str, float], None]
"""Called with what is being done and the share that is done."""


def part(tell: Tell, at: int, number: int, prefix: str = "") -> Tell:
    """How one of a number of equal parts is told of."""

    def tell_of_part(what: str, share: float) -> None:
        tell(f"{prefix}{what}", (at + share) / number)

    return tell_of_part


@contextmanager
def progress(console: Console) -> Iterator[Tell]:
    """A progress bar with the time left, for work that may have been half done before."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # One fill may take minutes: the speed is that of the last ten.
    with Progress(*columns, console=console, transient=True, speed_estimate_period=600) as bars:
        task = bars.add_task("", total=None)

        def tell(what: str, share: float) -> None:
            if bars.tasks[0].total is None:
                # What was done by an earlier run says nothing of the speed of this one.
                bars.reset(task, total=1.0, completed=share)  # type: ignore[arg-type]
            bars.update(task, description=what, completed=share)

        yield tell
