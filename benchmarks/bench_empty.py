"""How seconds and memory of a fill grow with the signal, on a detector that is mostly empty.

    .venv/bin/python benchmarks/bench_empty.py

A pattern of growing size in a stack of 256 x 1030 x 514 with gaps of 38 and 12 px, each in a process of
its own: seconds, share of the gaps' voxels that are near a signal, and the peak of memory over the stack's
size as float32.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

SHAPE = (256, 1030, 514)
SIZES = (32, 64, 96, 128, 192)


def measure(size: int) -> dict[str, float]:
    """Fill one stack."""
    import bcdi_inpaint as bi
    from bcdi_inpaint.filling.empty import fill_empty
    from bcdi_inpaint.lab.simulate import simulate_scan

    stack = np.zeros(SHAPE, np.uint16)
    dark = np.random.default_rng(0)
    for frame in stack:
        frame[:] = dark.random(SHAPE[1:], dtype=np.float32) < 0.002
    pattern = simulate_scan(1, (size, size, size), peak_counts=1e5).counts.clip(max=60000)
    corner = 128 - size // 2, 500 - size // 2, 240 - size // 2
    stack[tuple(slice(c, c + size) for c in corner)] = pattern
    mask = np.zeros(SHAPE[1:], bool)
    mask[514:552] = True
    mask[:, 256:268] = True
    missing = np.array(np.broadcast_to(mask, SHAPE))
    known = np.where(missing, 0, stack).astype(np.float32)
    lit = fill_empty(known, np.zeros_like(known), missing).mean() / missing.mean()
    del known, missing
    began = time.perf_counter()
    bi.inpaint(stack, mask)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "lit": float(lit), "memory": peak / (stack.size * 4)}


def main() -> None:
    """Print one row for each size."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    print("| pattern, edge in voxels | gap near a signal | seconds | peak memory / stack |")
    print("|---|---|---|---|")
    for size in SIZES:
        out = subprocess.run([sys.executable, __file__, str(size)], capture_output=True, check=True)
        found = json.loads(out.stdout)
        print(f"| {size} | {found['lit']:.3f} | {found['seconds']:.1f} | {found['memory']:.1f} |")


if __name__ == "__main__":
    main()
