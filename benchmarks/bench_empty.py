"""How seconds and memory of a fill grow with the signal, on a detector that is mostly empty.

    .venv/bin/python benchmarks/bench_empty.py

A pattern of growing size in a stack of 256 x 1030 x 514 uint16 with gaps of 38 and 12 px: seconds, share of the
gaps' voxels that are near a signal, and the peak of memory of a process that does nothing else (the libraries'
own memory included) over the stack's size as float32.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (256, 1030, 514)
SIZES = (32, 64, 96, 128, 192)


def gaps() -> NDArray[np.bool_]:
    """What is missing, bool ``(row, col)``."""
    mask = np.zeros(SHAPE[1:], bool)
    mask[514:552] = True
    mask[:, 256:268] = True
    return mask


def prepare(size: int, path: Path) -> dict[str, float]:
    """Write a stack to a file, and tell how much of its gaps is near a signal."""
    from bcdi_inpaint.filling.empty import fill_empty
    from bcdi_inpaint.lab.simulate import simulate_scan

    stack = np.zeros(SHAPE, np.uint16)
    dark = np.random.default_rng(0)
    for frame in stack:
        frame[:] = dark.random(SHAPE[1:], dtype=np.float32) < 0.002
    pattern = simulate_scan(1, (size, size, size), peak_counts=1e5).counts.clip(max=60000)
    corner = 128 - size // 2, 500 - size // 2, 240 - size // 2
    stack[tuple(slice(c, c + size) for c in corner)] = pattern
    np.save(path, stack)
    missing = np.array(np.broadcast_to(gaps(), SHAPE))
    known = np.where(missing, 0, stack).astype(np.float32)
    return {"lit": fill_empty(known, np.zeros_like(known), missing).mean() / missing.mean()}


def fill(path: Path) -> dict[str, float]:
    """Fill the stack in a file."""
    import bcdi_inpaint as bi

    stack = np.load(path)
    began = time.perf_counter()
    bi.inpaint(stack, gaps())
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "memory": peak / (stack.size * 4)}


def main() -> None:
    """Print one row for each size."""
    if len(sys.argv) > 1:
        task, path, size = sys.argv[1:]
        found = prepare(int(size), Path(path)) if task == "prepare" else fill(Path(path))
        print(json.dumps(found))
        return
    print("| pattern, edge in voxels | gap near a signal | seconds | peak memory / stack |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "stack.npy")
        for size in SIZES:
            found = {}
            for task in ("prepare", "fill"):
                command = [sys.executable, __file__, task, path, str(size)]
                done = subprocess.run(command, capture_output=True, check=True)
                found |= json.loads(done.stdout)
            row = f"{found['lit']:.3f} | {found['seconds']:.1f} | {found['memory']:.1f}"
            print(f"| {size} | {row} |", flush=True)


if __name__ == "__main__":
    main()
