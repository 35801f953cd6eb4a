"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

WAIT = 240.0
"""Seconds; only a fault makes anything take so long."""


def until(
    done: Callable[..., Result],
    meanwhile: Callable[..., object] = lambda: None,
    *,
    report: Callable[[], str] = lambda: "it did not come to pass",
) -> Result:
    """What `done` gives once that is true.

    `meanwhile` is called as long as it isn't; what `report` gives is said if it never is.
    """
    deadline = time.monotonic() + WAIT
    while not (result := done()):
        assert time.monotonic() < deadline, report()
        meanwhile()
        time.sleep(0.02)
    return result
