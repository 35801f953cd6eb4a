"""The result of a fill: the stack, its uncertainty, what was filled, and a report."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How well the same method fills artificial gaps laid over measured voxels of the same scan.

    Attributes
    ----------
    voxels
        Number of measured voxels that were hidden and predicted.
    pcc, pcc_kriging, pcc_linear
        Pearson correlation of log(1 + counts) between prediction and measurement.
    pcc_ceiling
        The same for a perfect predictor of the rate, estimated from the fill's own expectation;
        counts are Poisson, so it is below 1.
    counts_ratio, counts_ratio_kriging, counts_ratio_linear
        Predicted over measured sum of counts.
    brightness
        Measured counts in the artificial gaps over those filled in the parts of the real gaps that they are
        copies of: far from 1, what is said of them says little of the real ones.
    verdict
        ``"trusted"``, ``"doubtful"`` or ``"kriging used instead"``.
    reason
        Why, in one phrase.
    doubt_of_fill, doubt_of_all
        Sum of sigma over the sum of what was filled, and over all counts of the scan.
    """

    voxels: int
    pcc: float
    pcc_kriging: float
    pcc_linear: float
    pcc_ceiling: float
    counts_ratio: float
    counts_ratio_kriging: float
    counts_ratio_linear: float
    verdict: str
    reason: str = ""
    doubt_of_fill: float = math.nan
    doubt_of_all: float = math.nan
    brightness: float = math.nan

    @property
    def note(self) -> str:
        """Verdict and reason."""
        return f"{self.verdict}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Report:
    """How a fill was made.

    Attributes
    ----------
    method
        The method that filled (after a fallback: the one that was used in the end).
    voxels_missing
        Number of missing voxels; all of them were filled.
    gap_share
        ``voxels_missing`` over all voxels.
    seconds
        Wall time of the fill, self-check included.
    device
        ``"cpu"`` or the CUDA device's name.
    model_name, model_hash
        The network's name and the sha256 of its weights; empty for methods without one.
    notes
        Plain sentences on what was unusual (no gap, fallback, frames entirely missing, ...).
    self_check
        Figures on artificial gaps, or None where none could be laid.
    centre
        (frame, row, col) of the Bragg peak in voxels; None where the method looks for none.
    symmetry
        Correlation of the pattern's texture with its mirror image through the centre, photon noise taken
        out; 0 where it is not believed or was not looked for.
    twin_share
        Share of the missing voxels whose mirror image was measured; 0 where the symmetry is not believed.
    """

    method: str
    voxels_missing: int
    gap_share: float
    seconds: float
    device: str = "cpu"
    model_name: str = ""
    model_hash: str = ""
    notes: tuple[str, ...] = ()
    self_check: SelfCheck | None = None
    centre: tuple[float, float, float] | None = None
    symmetry: float = 0.0
    twin_share: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Flat dictionary of plain values; self-check figures as ``self_check_<name>``."""
        flat = asdict(self)
        check = flat.pop("self_check")
        flat["notes"] = one_a_line(self.notes)
        if check is not None:
            flat.update({f"self_check_{name}": value for name, value in check.items()})
        return flat


def one_a_line(notes: Iterable[str]) -> str:
    """Notes as one text; ``text.splitlines()`` gives them back."""
    return "\n".join(" ".join(note.split()) for note in notes)


@dataclass(frozen=True, slots=True, eq=False)
class Inpainted:
    """A filled stack.

    Attributes
    ----------
    intensity
        ``(frame, row, col)`` float32, or float64 when counts exceed 2**24. Measured voxels are the
        input's, bit for bit; missing ones are expected counts.
    sigma
        ``(frame, row, col)`` float32: one standard deviation of the expected counts in missing
        voxels, 0 elsewhere.
    mask
        ``(frame, row, col)`` bool, True = was missing and has been filled.
    report
        How it was made.
    """

    intensity: NDArray[np.floating]
    sigma: NDArray[np.float32]
    mask: NDArray[np.bool_]
    report: Report = field(repr=True)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Central slices as recorded, filled and with their uncertainty, under the verdict and its reason.

        Parameters
        ----------
        path
            A picture is written there too; its ending decides its format.

        Returns
        -------
        matplotlib.figure.Figure
            That a notebook shows, and that isn't kept by pyplot.
        """
        from matplotlib.figure import Figure

        from .plotting import SIZE, draw

        figure = Figure(figsize=SIZE, layout="constrained")
        draw(figure, self)
        if path is not None:
            figure.savefig(path)
        return figure
