"""What is asked of the bench."""

from __future__ import annotations

import itertools
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.filling import METHODS as SHIPPED
from bcdi_inpaint.filling import inpaint

from .cases import NARROW, WIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bcdi_inpaint.filling import Inpainted

    from .cases import Kind, PatternSet
    from .patterns import Bools, Counts

METHODS = (*SHIPPED, "reference")
"""What is compared: the package's methods, and the published network."""

FULL: dict[PatternSet, int] = {"plain": 8, "held-out": 12, "bright": 6}
QUICK: dict[str, Any] = {
    "usual": SHIPPED,
    "patterns": {"plain": 2, "held-out": 2, "bright": 1},
    "widths": (*NARROW, 38),
    "kinds": ("vertical",),
}
"""Fields of a request that takes minutes."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the bench.

    Attributes
    ----------
    methods
        Names of `METHODS`, with a label behind them where one is compared with itself, see `method_of`. Empty
        for those of `usual` that can run; a method that is named here must be able to.
    usual
        See `methods`.
    patterns
        How many of each simulated set.
    widths, kinds
        Of gaps: pixels, and which of `Kind`.
    shape
        Voxels (frame, row, col) of a simulated pattern, or of the region around the peak of a measured one.
    patches
        Cut from each filled volume.
    data
        A measured scan (npz, npy, tif, HDF5) instead of simulated ones.
    avoid
        (row, col) on the detector of other crystals' peaks in `data`; 16 px around them are not judged.
    options
        Entry of `methods` -> options, as for ``inpaint``.
    device
        For methods with a network.
    out
        Folder for tables and figures; None writes none. A run that was killed goes on there.
    command
        As the tables say it.

    Raises
    ------
    ValueError
        If a method is unknown or a width impossible.
    """

    methods: tuple[str, ...] = ()
    usual: tuple[str, ...] = METHODS
    patterns: Mapping[PatternSet, int] = field(default_factory=FULL.copy)
    widths: tuple[int, ...] = (*NARROW, *WIDE)
    kinds: tuple[Kind, ...] = ("vertical", "cross")
    shape: tuple[int, int, int] = (128, 128, 128)
    patches: int = 12
    data: Path | None = None
    avoid: tuple[tuple[int, int], ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    device: str = "auto"
    out: Path | None = None
    command: str = field(default_factory=lambda: shlex.join(["bcdi-inpaint", *sys.argv[1:]]))

    def __post_init__(self) -> None:
        for method in map(method_of, self.methods):
            if method not in METHODS:
                raise ValueError(f"method {method!r} is unknown; there are {', '.join(METHODS)}")
        widest = min(self.shape[1:]) // 2 - 1
        if any(not 1 <= width <= widest for width in self.widths):
            raise ValueError(
                f"widths {self.widths}: takes 1 to {widest} px in a {self.shape} pattern"
            )

    def inpaint(self, stack: Counts, mask: Bools, name: str, **others: Any) -> Inpainted:
        """Fill by the public function, self-check off: it fills other gaps than those that are judged."""
        options = {**self.options.get(name, {}), **others}
        return inpaint(stack, mask, method_of(name), self.device, self_check=False, **options)


def requested(
    *,
    quick: bool = False,
    methods: tuple[str, ...] = (),
    models: Sequence[str] = (),
    patterns: int | None = None,
    widths: tuple[int, ...] = (),
    skip: int = 4,
    reference: Path | None = None,
    **others: Any,
) -> Request:
    """A request in the words of ``bcdi-inpaint evaluate``, whose help explains them."""
    weights = weights_by_name(models)
    chosen: dict[str, Any] = {"usual": METHODS, **(QUICK if quick else {})}
    if widths:
        chosen["widths"] = widths
    if patterns is not None:
        chosen["patterns"] = dict.fromkeys(FULL, patterns)
    for field_name, names in (("methods", methods), ("usual", chosen["usual"])):
        rows = (weights if weights and name == "patching" else [name] for name in names)
        chosen[field_name] = tuple(itertools.chain.from_iterable(rows))
    options: dict[str, dict[str, Any]] = {n: {"model": model} for n, model in weights.items()}
    options["reference"] = {"skip": skip, "weights": reference or ""}
    return Request(options=options, **chosen, **others)


def weights_by_name(models: Sequence[str]) -> dict[str, str]:
    """Weights by the names of their rows: patching, or where there are several, each as short as tells them apart."""
    if len(models) == 1:
        return {"patching": models[0]}
    for label in (_stem, _folder_and_stem, str):
        weights = {f"patching ({label(model)})": model for model in models}
        if len(weights) == len(models):
            return weights
    raise ValueError(f"model {', '.join(models)}: one is named twice")


def method_of(name: str) -> str:
    """The method behind a row's name: ``"patching (mine)"`` is patching with weights of its own."""
    return name.partition(" (")[0]


def _stem(model: str) -> str:
    return Path(model).stem


def _folder_and_stem(model: str) -> str:
    return f"{Path(model).resolve().parent.name}/{_stem(model)}"
