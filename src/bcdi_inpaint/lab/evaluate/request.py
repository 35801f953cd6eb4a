"""What is asked of the bench."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .cases import NARROW
from .config import METHODS, Config

if TYPE_CHECKING:
    from pathlib import Path

    from .cases import PatternSet

TRAINING_FREE = ("kriging", "biharmonic", "linear", "cubic", "nearest", "inverse_distance")

FULL: dict[PatternSet, int] = {"plain": 8, "held-out": 12, "bright": 6}
QUICK: dict[PatternSet, int] = {"plain": 2, "held-out": 2, "bright": 1}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the bench.

    Attributes
    ----------
    methods
        Names of ``bcdi_inpaint.filling.METHODS``; empty for all that can run (with `quick`, those that
        need no training).
    quick
        A few patterns and widths, in minutes.
    data
        A measured scan without gaps (npz, npy, tif, HDF5) instead of simulated ones.
    avoid
        (row, col) on the detector of other crystals' peaks in `data`; 16 px around them are not judged.
    widths
        Of gaps, in pixels; empty for 3, 6, 9, 12, 38 and (not with `quick`) 41.
    patterns
        Of each simulated set; None for the sets' own numbers.
    shape
        Voxels of a simulated pattern, or of the region around the peak of a measured one.
    model
        Weights of the patching model other than the shipped ones.
    reference
        Folder of the reference networks' weights; None for the package's own, where none are shipped.
    skip
        Positions left out between the reference's windows; 4 is the paper's fast setting.
    device
        For methods with a network.
    out
        Folder for tables and figures; None writes none. A run that was killed goes on there.
    command
        As the tables say it.
    """

    methods: tuple[str, ...] = ()
    quick: bool = False
    data: Path | None = None
    avoid: tuple[tuple[int, int], ...] = ()
    widths: tuple[int, ...] = ()
    patterns: int | None = None
    shape: tuple[int, int, int] = (128, 128, 128)
    model: str | None = None
    reference: Path | None = None
    skip: int = 4
    device: str = "auto"
    out: Path | None = None
    command: str = field(default_factory=lambda: shlex.join(["bcdi-inpaint", *sys.argv[1:]]))

    def config(self) -> Config:
        """The bench's configuration.

        Raises
        ------
        ValueError
            If a method is unknown or a width impossible.
        """
        for method in self.methods:
            if method not in METHODS:
                raise ValueError(f"method {method!r} is unknown; there are {', '.join(METHODS)}")
        if any(not 1 <= width < min(self.shape[1:]) // 2 for width in self.widths):
            raise ValueError(
                f"widths {self.widths}: takes 1 to {min(self.shape[1:]) // 2 - 1} px in a {self.shape} pattern"
            )
        options: dict[str, dict[str, Any]] = {
            "reference": {"skip": self.skip, "weights": self.reference or ""}
        }
        if self.model is not None:
            options["patching"] = {"model": self.model}
        numbers = QUICK if self.quick else FULL
        if self.patterns is not None:
            numbers = {which: self.patterns for which, number in numbers.items() if number}
        config = Config(
            methods=self.methods or (TRAINING_FREE if self.quick else METHODS),
            patterns=numbers,
            shape=self.shape,
            device=self.device,
            options=options,
        )
        if self.quick:
            config = replace(config, wide=(38,), kinds=("vertical",))
        if self.widths:
            narrow = tuple(w for w in self.widths if w <= max(NARROW))
            config = replace(
                config, narrow=narrow, wide=tuple(w for w in self.widths if w not in narrow)
            )
        return config
