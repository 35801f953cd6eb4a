"""What a worker meets when its GPU fails: given to kriging as its number of iterations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Iterations:
    """A number that can't be had for some times.

    `faults` is a file with a letter for each time: m for out of memory, l for a device that is
    lost, h for one that hangs.
    """

    number: int
    faults: Path

    def __index__(self) -> int:
        import torch

        fault, rest = self.faults.read_text()[:1], self.faults.read_text()[1:]
        self.faults.write_text(rest)
        if fault == "m":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if fault == "l":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if fault == "h":
            time.sleep(3600)
        return self.number
