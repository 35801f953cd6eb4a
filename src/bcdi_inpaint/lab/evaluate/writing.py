"""Tables on disk and in a terminal, and where they come from."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bcdi_inpaint.lab.provenance import source_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from .markdown import Table
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

    @classmethod
    def of(cls, request: Request, seeds: str, *packages: str) -> Provenance:
        """What is known of this run, its seeds in words, besides with the versions of some packages."""
        return cls(
            request.command,
            seeds,
            datetime.now(UTC).date().isoformat(),
            source_commit(),
            ", ".join(f"{p} {version(p)}" for p in ("bcdi-inpaint", "numpy", "torch", *packages)),
            f"{os.cpu_count()} {platform.machine()} cores, {_processor()}, device {request.device}",
        )

    def line(self) -> str:
        """One line for a caption."""
        return "; ".join([f"`{self.command}`", self.seeds, self.date, f"commit {self.commit}"]) + (
            f"; {self.versions}; {self.machine}"
        )


def write_tables(
    folder: Path, tables: Sequence[Table], remarks: Sequence[str], made: Provenance
) -> None:
    """Write ``tables.md`` and ``tables.json``; the folder is made if it isn't there."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([*(table.markdown() for table in tables), *(f"- {r}" for r in remarks)])
    (folder / "tables.md").write_text(f"{text}\n\n<sub>{made.line()}</sub>\n")
    plain = {
        "provenance": asdict(made),
        "remarks": list(remarks),
        "tables": [table.plain() for table in tables],
    }
    (folder / "tables.json").write_text(json.dumps(plain, indent=1) + "\n")


def show(
    console: Console, tables: Sequence[Table], remarks: Sequence[str], made: Provenance
) -> None:
    """Print tables, but for those that are too long for a terminal, and what is to be said of them."""
    for table in tables:
        if not table.figure:
            table.show(console)
    for remark in (*remarks, made.line()):
        console.print(remark, markup=False, highlight=False)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
