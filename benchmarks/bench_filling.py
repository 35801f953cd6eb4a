"""Seconds of filling a 128^3 stack as users call it, and of the published pipeline, in one run.

    .venv/bin/python benchmarks/bench_filling.py [--device cuda] [--runs 5]

Each row: median of the runs, least and most, and its ratio to the default call.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

import bcdi_inpaint as bi
from bcdi_inpaint.lab.reference import filler as reference
from bcdi_inpaint.lab.reference.network import ReferenceNetwork
from bcdi_inpaint.lab.simulate import simulate_scan

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 128


def seconds_of(runs: int, action: Callable[[], object]) -> list[float]:
    """Wall times of several calls, after one that warms up if there are more than one."""
    if runs > 1:
        action()
    spent = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        spent.append(time.perf_counter() - began)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    device, runs = arguments.device, arguments.runs
    counts = simulate_scan(1, (SIZE, SIZE, SIZE), peak_counts=1e5).counts
    cross = np.zeros((SIZE, SIZE), bool)
    cross[80:86] = True
    cross[:, 80:86] = True
    wide = np.zeros((SIZE, SIZE), bool)
    wide[60:98] = True

    def fill(mask: np.ndarray, method: str = "patching", **options: object) -> Callable[[], object]:
        return lambda: bi.inpaint(counts, mask, method, device, **options)

    quick = {"self_check": False}
    rows = {
        "the default call, 6 px cross": seconds_of(runs, fill(cross)),
        "without self-check": seconds_of(runs, fill(cross, **quick)),
        "without self-check and twin": seconds_of(runs, fill(cross, twin=False, **quick)),
        "kriging without self-check": seconds_of(runs, fill(cross, "kriging", **quick)),
        "linear without self-check": seconds_of(runs, fill(cross, "linear", **quick)),
        "the default call, 38 px line": seconds_of(runs, fill(wide)),
        "38 px line, without self-check": seconds_of(runs, fill(wide, **quick)),
        "38 px line, without both": seconds_of(runs, fill(wide, twin=False, **quick)),
    }
    missing = np.ascontiguousarray(np.broadcast_to(cross, counts.shape))
    known = np.where(missing, 0, counts).astype(np.float32)
    published = ReferenceNetwork().eval().to(device)
    rows["the published network's pipeline, skip 4, 6 px cross"] = seconds_of(
        1, lambda: reference.patch(known, missing, published)
    )
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"
    print(f"{name}, {torch.get_num_threads()} threads, {runs} runs (the published pipeline: one)\n")
    print("| what | seconds: median (least - most) | times the default call |")
    print("|---|---|---|")
    ours = statistics.median(rows["the default call, 6 px cross"])
    for row, spent in rows.items():
        middle = statistics.median(spent)
        print(
            f"| {row} | {middle:.2f} ({min(spent):.2f} - {max(spent):.2f}) | {middle / ours:.2f} |"
        )


if __name__ == "__main__":
    main()
