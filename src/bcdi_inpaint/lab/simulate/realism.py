"""How simulated scans compare with a measured one: the command ``compare-simulation``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from bcdi_inpaint.geometry import hot_pixels
from bcdi_inpaint.progress import no_progress
from bcdi_inpaint.scans import from_file

from .rendering import simulate_scan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bcdi_inpaint.progress import Progress

    from .rocking import Floats

SHELLS = np.array([0, 0.7, 1.5, 2.5, 3.5, 4.5, 5.5, 7, 9, 11, 13, 16])
"""Edges of the shells, in fringes from the peak."""

HALF = 64
"""Voxels around the peak of a measured scan that are compared, on each side."""

LEVELS = np.unique(np.geomspace(1, 1e5, 41).astype(int))
"""Counts for which the share of voxels with at least as many is computed."""


@dataclass(frozen=True)
class ScanStatistics:
    """Statistics of a scan about its brightest voxel.

    Attributes
    ----------
    profile
        Mean counts in each of `SHELLS`, over the scan's maximum.
    visibility
        Contrast of fringes in each shell: the counts' standard deviation within a fringe and a half,
        photon noise subtracted, over their mean; the mean square of it, weighted with the counts.
    zeros
        Share of voxels without a count in each shell.
    exceedance
        Share of all voxels that hold at least so many counts, for each of `LEVELS`.
    """

    profile: Floats
    visibility: Floats
    zeros: Floats
    exceedance: Floats


def statistics_of(counts: NDArray[np.number], periods: Sequence[float]) -> ScanStatistics:
    """Describe a scan whose brightest voxel is the centre, ``shape // 2``, and that reaches as far as `SHELLS`.

    Distances from the peak are in the fringes' `periods`, voxels along each axis.
    """
    counts = counts.astype(float)
    axes = [
        (np.arange(n) - n // 2) / period for n, period in zip(counts.shape, periods, strict=True)
    ]
    x, y, z = np.ix_(*axes)
    shell = np.digitize(np.sqrt(x * x + y * y + z * z), SHELLS) - 1
    window = [max(3, round(1.5 * period)) for period in periods]
    mean = uniform_filter(counts, window)
    variance = uniform_filter(counts * counts, window) - mean * mean - mean
    lit = mean * np.prod(window) > 0.5  # at least a count: running sums leave rounding errors
    contrast = np.divide(variance, mean, out=np.zeros_like(mean), where=lit)
    inside = [shell == index for index in range(len(SHELLS) - 1)]
    if not all(part.any() for part in inside):
        raise ValueError(
            f"a scan of shape {counts.shape} doesn't reach {SHELLS[-1]:g} fringes of periods {periods}"
        )
    return ScanStatistics(
        profile=np.array([counts[part].mean() for part in inside]) / counts.max(),
        visibility=np.array(
            [np.sqrt(max(contrast[part].sum(), 0) / mean[part].sum()) for part in inside]
        ),
        zeros=np.array([(counts[part] == 0).mean() for part in inside]),
        exceedance=np.array([(counts >= level).mean() for level in LEVELS]),
    )


def compare(
    scan: Path,
    figure: Path,
    periods: Sequence[float],
    *,
    count: int = 60,
    progress: Progress = no_progress,
) -> None:
    """Draw a measured scan over the spread of simulated ones.

    Parameters
    ----------
    scan, periods
        A file that `bcdi_inpaint.scans.from_file` reads, without gaps, and the periods of its fringes in voxels.
    figure
        The picture to write.
    count
        How many scans to simulate: of the same size, oversampling and brightness, everything else drawn.
    """
    counts = measured_counts(scan)
    measured = statistics_of(counts, periods)
    simulated = []
    for seed in range(count):
        progress("simulating", seed, count)
        simulated.append(simulated_statistics(counts, periods, seed))
    draw(measured, simulated, figure)


def measured_counts(path: Path) -> NDArray[np.number]:
    """Counts about the brightest voxel of a measured scan, ``shape // 2``, hot pixels set to zero."""
    frames = from_file(path, mask=False).frames
    counts = np.where(hot_pixels(frames=frames), 0, frames)
    peak = np.unravel_index(counts.argmax(), counts.shape)
    cut = []
    for place, length in zip(peak, counts.shape, strict=True):
        half = min(HALF, int(place), length - int(place))
        cut.append(slice(int(place) - half, int(place) + half))
    return counts[tuple(cut)]


def simulated_statistics(
    counts: NDArray[np.number], periods: Sequence[float], seed: int
) -> ScanStatistics:
    """Those of a simulated scan of the size, oversampling and brightness of `counts`."""
    scan = simulate_scan(
        seed,
        counts.shape,
        split="evaluation",
        oversampling=tuple(periods),
        peak_offset=(0.0, 0.0, 0.0),
        # the measured maximum has lost some to partial coherence and pixels
        peak_counts=1.1 * float(counts.max()),
        hot_pixels=0,
    )
    return statistics_of(scan.counts, periods)


def draw(measured: ScanStatistics, simulated: Sequence[ScanStatistics], path: Path) -> None:
    """Draw what `compare` compares."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    radius = (SHELLS[1:] + SHELLS[:-1]) / 2
    for panel, name in zip(panels, ("profile", "visibility", "zeros", "exceedance"), strict=True):
        x = LEVELS if name == "exceedance" else radius
        values = np.array([getattr(item, name) for item in simulated])
        low, middle, high = np.percentile(values, (5, 50, 95), axis=0)
        panel.fill_between(x, low, high, alpha=0.3, label=f"{len(simulated)} simulated, 5 to 95 %")
        panel.plot(x, middle, label="simulated, median")
        panel.plot(x, getattr(measured, name), "k", label="measured")
        panel.set(xlabel="fringes from the peak")
    panels[0].set(yscale="log", ylabel="mean counts / maximum")
    panels[1].set(ylabel="fringe visibility", ylim=(0, None))
    panels[2].set(ylabel="share of voxels without a count")
    panels[3].set(xscale="log", yscale="log", xlabel="counts", ylabel="share of voxels above")
    panels[0].legend()
    figure.savefig(path, dpi=110)
