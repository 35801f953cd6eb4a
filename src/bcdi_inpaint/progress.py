"""How long work says how far it is: one protocol, and the bar that draws it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


class Progress(Protocol):
    """Called again and again while long work goes on."""

    def __call__(self, what: str, done: float, total: float = 1.0, /) -> None:
        """Take note of how far the work is.

        Parameters
        ----------
        what
            What is being done, in a few words.
        done, total
            How much of it is done, of how much: runs, frames; a share where `total` is left out.
        """


def no_progress(what: str, done: float, total: float = 1.0) -> None:
    """Ignore progress."""


def part(progress: Progress, index: int, number: int, prefix: str = "") -> Progress:
    """The progress of part `index` of `number` equal parts, as a share of the whole."""

    def of_part(what: str, done: float, total: float = 1.0) -> None:
        progress(f"{prefix}{what}", (index + done / (total or 1)) / number)

    return of_part


@contextmanager
def progress_bar(console: Console, *, transient: bool = False) -> Iterator[Progress]:
    """Draw progress as a bar, with the time that is left.

    Parameters
    ----------
    console
        Where; what is printed on it meanwhile stands above the bar.
    transient
        Whether the bar disappears at the end; then nothing at all is drawn where there is no terminal.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # A single step may take minutes: the speed is that of the last ten.
    with Progress(
        *columns,
        console=console,
        transient=transient,
        disable=transient and not console.is_terminal,
        speed_estimate_period=600,
    ) as bars:
        task = bars.add_task("", total=None, count="")

        def draw(what: str, done: float, total: float = 1.0) -> None:
            bar = bars.tasks[0]
            if bar.total != total or done < bar.completed:
                # Begun anew, or gone on with: what was done before says nothing of this one's speed.
                bars.reset(task, total=total, completed=done)  # type: ignore[arg-type]
            count = f"{done}/{total}" if isinstance(done, int) and total != 1 else ""
            bars.update(task, description=what, completed=done, count=count)

        yield draw
