"""What a run of the bench has measured.

One row of `Results.records` is one gap filled by one method (``scope`` "volume"), or its part in one patch
("patch", numbered by ``index``):

* the case: ``pattern`` (a set of `cases`), ``seed``, ``family``, ``strain``, ``peak_counts`` and ``over_*``
  (oversampling) as in the simulation's recipe (of a measured scan its name and its maximum), ``unseen`` (whether
  training never saw such a shape or strain), ``kind``, ``width``, ``distance`` as in `cases.Gap`;
* the figures of its judged ``voxels``: ``mean`` (true counts a voxel), ``pcc_counts`` and ``pcc_rate`` (against what
  was counted and the noise-free rate), ``ceiling`` (what a perfect predictor reaches), ``r_amp``, ``cover_68`` and
  ``cover_95`` (shares in the central intervals), ``by_fill.*`` and ``by_rate.*`` (`metrics.band_sums`);
* ``seconds`` and ``cpu_seconds`` of the fill.

Without a known rate (a measured scan), counts take its place in ``mean``, ``r_amp`` and ``by_fill``, the ceiling is
estimated from the counts, intervals are predictive ones, and the others are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd

from .cases import MeasuredSet
from .metrics import BAND_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .store import Entry

CASE = [
    "pattern", "seed", "family", "strain", "peak_counts", "unseen", "kind", "width", "distance",
    "over_frame", "over_row", "over_col",
]  # fmt: skip
SCORES = [
    *CASE, "method", "scope", "index", "voxels", "mean", "pcc_counts", "pcc_rate", "ceiling", "r_amp",
    "cover_68", "cover_95", "seconds", "cpu_seconds",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What a run has measured, see the module; also what `real_space_errors` says, and gaps that a method refused."""

    records: pd.DataFrame
    real_space: pd.DataFrame
    refusals: pd.DataFrame

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Results:
        """From what `measuring.run` has stored."""
        units = [entry for entry in entries if "results" in entry]
        records, real_space = (
            _frame([{**row, "unit": u["name"]} for u in units for row in u["results"][part]])
            for part in ("records", "real_space")
        )
        refusals = pd.DataFrame([row for u in units for row in u["results"]["refusals"]])
        return cls(records, real_space, refusals)

    def bands(self) -> pd.DataFrame:
        """One row for each intensity band of each whole gap."""
        frames = []
        for by in ("fill", "rate"):
            sums = {f"by_{by}.{name}": name for name in ("voxels", "filled", "true")}
            if sums.keys() <= set(self.records):
                frame = self.records[[*CASE, "method", *sums]].dropna(subset=[*sums])
                frame.insert(len(CASE) + 1, "by", by)
                frame.insert(len(CASE) + 2, "band", [BAND_NAMES] * len(frame))
                frames.append(frame.explode(["band", *sums]).rename(columns=sums))
        return pd.concat(frames).sort_index(kind="stable")


def _frame(rows: list[Entry]) -> pd.DataFrame:
    """Rows, nested fields under their last names, and what tables group them by."""
    frame = pd.json_normalize(rows)
    frame = frame.rename(columns=lambda name: name.partition(".")[2] or name)
    if "oversampling" not in frame:
        return frame
    if "scope" in frame:
        frame["scope"] = frame["scope"].replace("portion", "patch")  # as earlier runs have it
    three = [over or [np.nan] * 3 for over in frame.pop("oversampling")]
    frame[["over_frame", "over_row", "over_col"]] = np.array(three, float)
    place = frame["kind"] + " " + frame["distance"].astype(str)
    # What counts as one observation: a simulated pattern, or a place on a measured one.
    measured = frame["pattern"].isin(get_args(MeasuredSet))
    frame["observation"] = place.where(measured, frame["seed"].astype(str))
    # Gaps on both sides of a measured peak are as far from it, but units of their own.
    frame["gap"] = frame.groupby([*CASE, "unit"], sort=False, dropna=False).ngroup()
    return frame
