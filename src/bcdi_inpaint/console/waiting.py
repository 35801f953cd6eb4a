"""Waiting with a bar, until scans are filled and networks tuned."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from bcdi_inpaint.live import Status

    from .fine_tuning import FineTuning

LOOK_EVERY = 0.5
"""Seconds between looks at how far it is."""


def wait_with_bar(
    settled: Callable[[float], bool],
    status: Callable[[], Status],
    tuning: FineTuning,
    console: Console,
    timeout: float | None,
) -> bool:
    """Wait until all is done; whether that came within `timeout` seconds.

    Parameters
    ----------
    settled
        Waits for so many seconds at most, and says whether all is done.
    status, tuning
        What the bar shows.
    console
        Where it is drawn.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)
        while not settled(LOOK_EVERY):
            if deadline is not None and time.monotonic() > deadline:
                return False
            if tuning.uid:
                time.sleep(LOOK_EVERY)
                done, of = round(100 * tuning.share), 100
                bar.update(task, description="tuning", completed=done, total=of, visible=True)
            for run in status().runs[:1]:
                words, total = f"filling {run.name}", run.frames or None
                bar.update(task, description=words, completed=run.filled, total=total, visible=True)
    return True
