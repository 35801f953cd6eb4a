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

## Where the time goes

The default call (128^3, a cross of 6 px, self-check and twin included), profiled on one thread, shares of the processor's time:

| | share |
|---|---|
| the network | .44, of which convolutions .34 |
| kriging under it and beside it in the check | .38, of which solving .17, preparing gaps .09, local means .06 |
| texture, centre and symmetry, once for check and fill | .09 |
| reading arguments, baselines of the check, joining | .09 |

Of all this the self-check is .23. Before gaps were solved wave by wave, with one estimate for check and fill, the same call took 4.88 s of the
processor, and 2.70 s without the check; after that 1.84 and 1.33 s, on the same machine. The convolutions run at the processor's speed for
float32: what would make them faster is fewer voxels around the gap, or a smaller network.
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
