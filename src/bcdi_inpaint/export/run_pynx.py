"""Phase retrieval by PyNX of a CXI file that bcdi-inpaint has written, filled gaps kept within their uncertainty.

    python run_pynx.py scan.cxi --runs 5

PyNX (pynx.esrf.fr) and h5py are needed, bcdi-inpaint is not. PyNX has two factors for all voxels that were estimated,
``confidence_interval_factor_mask_min`` and ``_max``: the file says which ones this fill's uncertainty gives.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pynx.cdi import (
    CDI,
    ER,
    RAAR,
    AutoCorrelationSupport,
    ScaleObj,
    SupportTooLarge,
    SupportTooSmall,
    SupportUpdate,
)

FACTOR = "confidence_interval_factor_mask"
ESTIMATED = np.nextafter(np.float32(-1e19), np.float32(-np.inf))
"""PyNX: values from here down are estimates, stored as ``-(I + 1) * 1e19``."""


def read(path: Path) -> tuple[np.ndarray, dict[str, float]]:
    """Intensities as PyNX takes them ``(frame, row, col)``, and the two factors."""
    with h5py.File(path) as file:
        ours = file["entry_1/bcdi_inpaint"]
        intensity = file["entry_1/data_1/data"][()]
        estimated = (ours["filled_voxels"][()] > 0) & (intensity >= 0)
        factors = {
            f"{FACTOR}_{end}": float(ours.attrs[f"{FACTOR}_{end}"]) for end in ("min", "max")
        }
    intensity[estimated] = np.minimum(-(intensity[estimated] + 1) * np.float32(1e19), ESTIMATED)
    return intensity, factors


def centred(intensity: np.ndarray) -> np.ndarray:
    """The largest box around the brightest voxel whose lengths are even and have no prime factor above 7."""
    counts = np.where(intensity < 0, -intensity / 1e19 - 1, intensity)
    peak = np.unravel_index(int(counts.argmax()), counts.shape)
    box = []
    for centre, length in zip(peak, counts.shape, strict=True):
        half = min(int(centre), length - int(centre))
        while half > 1 and not _small_primes(2 * half):
            half -= 1
        box.append(slice(int(centre) - half, int(centre) + half))
    return intensity[tuple(box)]


def _small_primes(number: int) -> bool:
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            number //= prime
    return number == 1


def retrieve(intensity: np.ndarray, factors: dict[str, float], seed: int) -> Any:
    """One retrieval from a random start; the peak must be in the array's centre."""
    cdi = CDI(np.fft.fftshift(intensity), mask=None)
    cdi = AutoCorrelationSupport(threshold=(0.09, 0.11)) * cdi
    rng = np.random.default_rng(seed)
    phases = np.exp(1j * rng.uniform(-np.pi, np.pi, intensity.shape))
    cdi.set_obj((cdi.get_support() * phases).astype(np.complex64))
    cdi = ScaleObj() * cdi
    cdi.init_free_pixels()
    support = SupportUpdate(threshold_relative=0.25, smooth_width=(2, 0.5, 600), method="rms")
    cdi = (support * RAAR(**factors) ** 50) ** 12 * cdi
    return (support * ER(**factors) ** 50) ** 4 * cdi


def main() -> None:
    """Write one result for each run beside the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cxi", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    intensity, factors = read(arguments.cxi)
    for run in range(1, arguments.runs + 1):
        try:
            cdi = retrieve(centred(intensity), factors, run)
        except (SupportTooLarge, SupportTooSmall) as error:
            print(f"run {run} lost its support: {error}")
            continue
        cdi.save_obj_cxi(str(arguments.cxi.with_name(f"{arguments.cxi.stem}_run{run:02d}.cxi")))


if __name__ == "__main__":
    main()
