"""What is known of one run besides its status."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import Cause
from ..status import GOING_ON

if TYPE_CHECKING:
    from ..settings import Limits, Settings
    from ..status import RunStatus

LONGEST_WAIT = 32
"""Times the first wait, between attempts while Tiled can't be reached."""


@dataclass(slots=True)
class KnownRun:
    """A run that is not done."""

    status: RunStatus
    settings: Settings
    live: bool
    """Whether its documents go to the worker."""
    again: bool = False
    due: float = 0.0
    waits: int = 0
    absent_since: float | None = None
    proved: bool = False
    """Whether all its failures were caused by the run itself, not by something temporary."""
    last_document: float = field(default_factory=time.monotonic)
    """When the last document came."""
    releasing: bool = False
    """Whether the worker was asked to release its frames and node."""
    released: bool = False
    """Whether they are released."""

    def silent_at(self, silent_seconds: float) -> float:
        """Time from which on it counts as silent."""
        going_on = self.status.state in GOING_ON and not self.releasing and not self.released
        return max(self.last_document + silent_seconds, self.due) if going_on else math.inf

    def has_failed(self, cause: Cause, limits: Limits) -> None:
        """Count a failure, unless it is due to an outage, and set the time of the next attempt."""
        now = time.monotonic()
        self.releasing = False
        failures = self.status.failures
        if cause is Cause.RUN:
            failures += 1
            self.proved = True
        elif cause is Cause.OUTAGE:
            self.absent_since = None  # whatever was absent may have come meanwhile
        else:
            self.absent_since = now if self.absent_since is None else self.absent_since
            if now - self.absent_since > limits.absent_seconds:
                failures = max(failures + 1, limits.attempts)
                self.proved = False
        self.due = now + limits.retry_seconds * min(2**self.waits, LONGEST_WAIT)
        self.waits = min(self.waits + 1, LONGEST_WAIT)
        self.status = replace(self.status, failures=failures)
