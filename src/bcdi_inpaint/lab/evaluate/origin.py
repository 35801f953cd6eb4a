"""Where a table comes from."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bcdi_inpaint.lab.provenance import source_commit

if TYPE_CHECKING:
    from .config import Config
    from .request import Request


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a table must say of itself, so that it can be made again."""

    command: str
    seeds: str
    date: str
    commit: str
    versions: str
    machine: str

    def line(self) -> str:
        """One line for a caption."""
        return (
            f"`{self.command}`; {self.seeds}; {self.date}; commit {self.commit}; "
            f"{self.versions}; {self.machine}"
        )


def origin(request: Request, config: Config, seeds: str) -> Provenance:
    """What is known of this run, its seeds in words."""
    return Provenance(
        command=request.command,
        seeds=seeds,
        date=datetime.now(UTC).date().isoformat(),
        commit=source_commit(),
        versions=", ".join(f"{p} {version(p)}" for p in ("bcdi-inpaint", "numpy", "torch")),
        machine=f"{os.cpu_count()} "
        f"{platform.machine()} cores, {_processor()}, device {config.device}",
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
