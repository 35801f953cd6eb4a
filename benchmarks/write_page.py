"""Run the benchmarks of speed one after the other and write docs/speed.md (``make benchmarks``).

Takes some 10 minutes on two cores that do nothing else; figures taken beside other work are of no use.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "speed.md"
BENCHMARKS = {
    "Filling a stack": ["bench_filling.py"],
    "A detector that is mostly empty": ["bench_empty.py"],
    "Live": ["bench_live.py"],
}
INTRODUCTION = """\
# Speed

`make benchmarks` writes this page. Ratios are of one run on one machine; seconds are that machine's.
"""


def main() -> None:
    """Write the page; one section for each benchmark."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine is busy (load {load:.1f}): figures will be worse than they are")
    parts = [
        INTRODUCTION,
        f"{time.strftime('%d %B %Y')}, {platform.machine()}, {os.cpu_count()} cores, load before {load:.1f}.\n",
    ]
    for title, (script, *arguments) in BENCHMARKS.items():
        print(title, flush=True)
        done = subprocess.run(
            [sys.executable, HERE / script, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        command = " ".join(["python", f"benchmarks/{script}", *arguments])
        parts.append(f"## {title}\n\n`{command}`\n\n{done.stdout.strip()}\n")
    PAGE.write_text("\n".join(parts))
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
