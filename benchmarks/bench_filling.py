"""Seconds of filling a 128^3 stack with a 6 px cross, and of the published pipeline, in one run.

    .venv/bin/python benchmarks/bench_filling.py [--device cuda]

Untrained weights fill as fast as trained ones.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import bcdi_inpaint as bi
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.weights import save_model
from bcdi_inpaint.lab.reference import filler as reference
from bcdi_inpaint.lab.reference.network import ReferenceNetwork
from bcdi_inpaint.lab.simulate import simulate_scan

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 128


def best_of(times: int, action: Callable[[], object]) -> float:
    """Least wall time of several calls, in seconds; the first call warms up."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        spent.append(time.perf_counter() - began)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    counts = simulate_scan(1, (SIZE, SIZE, SIZE), peak_counts=1e5).counts
    cross = np.zeros((SIZE, SIZE), bool)
    cross[80:86] = True
    cross[:, 80:86] = True
    wide = np.zeros((SIZE, SIZE), bool)
    wide[60:98] = True
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "untrained.safetensors")
        save_model(PatchingNetwork(), Path(model), {})

        def fill(mask: np.ndarray, method: str, **options: object) -> Callable[[], object]:
            return lambda: bi.inpaint(
                counts, mask, method=method, device=device, self_check=False, **options
            )

        rows = {
            "patching, 6 px cross": best_of(4, fill(cross, "patching", model=model)),
            "patching, 38 px line": best_of(4, fill(wide, "patching", model=model)),
            "kriging, 6 px cross": best_of(2, fill(cross, "kriging")),
            "linear, 6 px cross": best_of(2, fill(cross, "linear")),
        }
    missing = np.ascontiguousarray(np.broadcast_to(cross, counts.shape))
    known = np.where(missing, 0, counts).astype(np.float32)
    published = ReferenceNetwork().eval().to(device)
    rows["published network and pipeline, skip 4, 6 px cross"] = best_of(
        1, lambda: reference.patch(known, missing, published)
    )
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"
    print(f"{name}, {torch.get_num_threads()} threads")
    ours = rows["patching, 6 px cross"]
    for row, seconds in rows.items():
        print(f"{row:48s} {seconds:8.2f} s   x {seconds / ours:.1f}")


if __name__ == "__main__":
    main()
