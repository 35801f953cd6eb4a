"""A fill compared with what the gap hid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from bcdi_inpaint.filling import inpaint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bcdi_inpaint.filling import Inpainted

    from .experiment import Experiment

BASELINES = ("kriging", "linear", "biharmonic")


def compare(experiment: Experiment, filled: Inpainted) -> Table:
    """Compare the fill and plain interpolations with what the gap hid."""
    # With the whole bench and torch, which a session with simulated devices doesn't need.
    from bcdi_inpaint.lab.evaluate.metrics import pcc, pcc_ceiling, pcc_ceiling_of_counts

    gap = np.broadcast_to(experiment.mask, experiment.counts.shape)
    truth = experiment.counts[gap]
    rate = None if experiment.rate is None else experiment.rate[gap]
    fills = {filled.report.method: filled.intensity[gap]} | {
        method: _interpolated(experiment, method)[gap]
        for method in BASELINES
        if method != filled.report.method
    }
    table = Table("in the gap", "PCC with counts", title="Against what the gap hid", box=None)
    if rate is not None:
        table.add_column("PCC with the noise-free rate")
    table.add_column("counts, fill / truth")
    for name, fill in fills.items():
        row = [name, f"{pcc(fill, truth):.3f}"]
        row += [] if rate is None else [f"{pcc(fill, rate):.3f}"]
        table.add_row(*row, f"{fill.sum() / truth.sum():.2f}")
    ceiling = pcc_ceiling_of_counts(truth) if rate is None else pcc_ceiling(rate, truth)
    table.add_row("a perfect fill", f"{ceiling:.3f}")
    table.caption = (
        "PCC: Pearson correlation of log(1 + counts). Measured counts scatter around their rate "
        "(Poisson), so that even a perfect fill correlates with them below 1."
    )
    return table


def _interpolated(experiment: Experiment, method: str) -> NDArray[np.floating]:
    return inpaint(experiment.counts, experiment.mask, method, self_check=False).intensity
