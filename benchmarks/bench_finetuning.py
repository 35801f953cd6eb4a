"""What fine-tuning gains on scans unlike those that were learned: ``python benchmarks/bench_finetuning.py``.

Each simulated scan has a gap whose truth is known. Its self-check and the truth under the gap judge the
shipped weights and those tuned to it. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import bcdi_inpaint as bi
from bcdi_inpaint.lab.evaluate.metrics import amplitude_residual, pcc, pcc_ceiling
from bcdi_inpaint.lab.simulate import simulate_scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bcdi_inpaint.lab.simulate.rendering import SimulatedScan

SHAPE = (96, 160, 160)
FIRST_SEED = 70_000
"""In the evaluation split, which training never sees."""

FOREIGN: Mapping[str, Mapping[str, Any]] = {
    "shape and strain kept out of training": {"family": "hexagonal_prism", "strain": "inclusion"},
    "oversampling 2 (training: 2.5-8)": {"oversampling": (2.0, 2.0, 2.0)},
    "oversampling 12": {"oversampling": (12.0, 12.0, 12.0)},
    "blurred by 2.5 voxels (training: at most 0.8)": {"blur": (2.5, 2.5, 2.5)},
    "scattered background of 40 counts (at most 10)": {"scatter": 40.0},
    "angles off by half a step (at most 0.15)": {"angle_jitter": 0.5},
}
"""What is unlike the training data, as the simulation's parameters."""


def main() -> None:
    options = _options()
    print(
        "| scan | gap's PCC, before -> after (kriging; ceiling) | R_amp | self-check's PCC | kept, s |"
    )
    print("|---|---|---|---|---|")
    for number, (name, pinned) in enumerate(FOREIGN.items()):
        scan = simulate_scan(
            FIRST_SEED + number,
            SHAPE,
            split="evaluation",
            **{"peak_counts": 1e5, "peak_offset": (0.0, 0.0, 0.0), **pinned},
        )
        print(row(name, scan, options.width, options.seconds), flush=True)


def row(name: str, scan: SimulatedScan, width: int, seconds: float) -> str:
    """One line of the table."""
    gap = np.zeros(SHAPE[1:], bool)
    middle = SHAPE[2] // 2 + 10
    gap[:, middle : middle + width] = True
    mask = gap | scan.bad_pixels
    shown = np.where(mask, 0, scan.counts)
    with tempfile.TemporaryDirectory() as folder:
        tuned = bi.finetune(shown, mask, seconds=seconds)
        weights = Path(folder) / "tuned.safetensors"
        tuned.save(weights)
        fills = [
            bi.inpaint(shown, mask, self_check=False, **how)
            for how in ({}, {"model": str(weights)}, {"method": "kriging"})
        ]
        checks = [
            bi.inpaint(shown, mask, **how).report.self_check
            for how in ({}, {"model": str(weights)})
        ]
    hidden = np.broadcast_to(gap & ~scan.bad_pixels, SHAPE)
    rate, counts = scan.rate[hidden], scan.counts[hidden]
    before, after, kriging = (pcc(fill.intensity[hidden], counts) for fill in fills)
    residuals = [amplitude_residual(fill.intensity[hidden], rate) for fill in fills[:2]]
    figures = (
        f"{before:.4f} -> {after:.4f} ({kriging:.4f}; {pcc_ceiling(rate, counts):.4f})",
        " -> ".join(f"{value:.3f}" for value in residuals),
        " -> ".join("none" if check is None else f"{check.pcc:.4f}" for check in checks),
        f"{'tuned' if tuned.improved else 'old'}, {tuned.seconds:.0f}",
    )
    return f"| {name} | {' | '.join(figures)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=9, help="of the gap in pixels")
    parser.add_argument("--seconds", type=float, default=55.0, help="for each fine-tuning")
    return parser.parse_args()


if __name__ == "__main__":
    main()
