"""How long each step of finishing a run takes, for the log and for `benchmarks/bench_live.py`."""

from __future__ import annotations

import time


class Stages:
    """Seconds that steps took, one after the other; what it is called with has just been done."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._since
        self._since = now

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.3f} s" for name, seconds in self._seconds.items())
