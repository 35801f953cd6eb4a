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
| kriging under the network and beside it in the check | .48, of which solving .20, preparing gaps .07, the twin's share of the mean .14, limits .05 |
| the network | .23, of which convolutions .11 (in bfloat16, where the processor computes in it) |
| texture, centre and symmetry, once for check and fill | .15 |
| reading arguments, baselines of the check, joining | .14 |

That is 2.5 s of the processor with the profiler, of which the self-check is .28. Before that, on the same machine, it was 5.8 s:
all Fourier components along a gap were solved for, although nine of ten say nothing of the planes beyond (.9 s); Gaussians were full matrix
products, many of whose numbers were too small for a processor to multiply fast (.7 s); correlations were transformed back whole (.3 s); and
the network's input was put in another order twice (.3 s).
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
