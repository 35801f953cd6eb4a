"""Waiting with a bar, until scans are filled and networks tuned."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bcdi_inpaint.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from bcdi_inpaint.live import Status

    from .tuning import FineTuning

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

    `settled` waits for so many seconds at most, and says whether all is done; the bar shows `status` and `tuning`.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with progress_bar(console, transient=True) as draw:
        while not settled(LOOK_EVERY):
            if deadline is not None and time.monotonic() > deadline:
                return False
            if tuning.uid:
                time.sleep(LOOK_EVERY)
                draw(tuning.doing, tuning.share)
            for run in status().runs[:1]:
                draw(f"filling {run.name}", run.filled, max(run.frames, 1))
    return True
