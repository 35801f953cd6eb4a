"""What is asked of the bench."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.filling import METHODS as SHIPPED

from .cases import NARROW
from .config import METHODS, Config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cases import PatternSet

FULL: dict[PatternSet, int] = {"plain": 8, "held-out": 12, "bright": 6}
QUICK: dict[PatternSet, int] = {"plain": 2, "held-out": 2, "bright": 1}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the bench.

    Attributes
    ----------
    methods
        Names of `METHODS`; empty for all that can run (with `quick`, without the reference).
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
    models
        Weights of the patching model in place of the shipped ones. Several are compared: each is a
        method of its own, ``patching (NAME)``.
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
    models: tuple[str, ...] = ()
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
        weighed = weights_by_name(self.models)
        options: dict[str, dict[str, Any]] = {
            "reference": {"skip": self.skip, "weights": self.reference or ""},
            **{name: {"model": model} for name, model in weighed.items()},
        }
        methods: list[str] = []
        for method in self.methods or (SHIPPED if self.quick else METHODS):
            methods += weighed if method == "patching" and weighed else [method]
        numbers = QUICK if self.quick else FULL
        if self.patterns is not None:
            numbers = {which: self.patterns for which, number in numbers.items() if number}
        config = Config(
            methods=tuple(methods),
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


def weights_by_name(models: Sequence[str]) -> dict[str, str]:
    """Weights by the names of their rows, as short as tells them apart.

    Raises
    ------
    ValueError
        If one is named twice.
    """
    if len(models) == 1:
        return {"patching": models[0]}
    for label in (_stem, _folder_and_stem, str):
        names = {f"patching ({label(model)})": model for model in models}
        if len(names) == len(models):
            return names
    raise ValueError(f"model {', '.join(models)}: one is named twice")


def _stem(model: str) -> str:
    return Path(model).stem


def _folder_and_stem(model: str) -> str:
    return f"{Path(model).resolve().parent.name}/{_stem(model)}"
