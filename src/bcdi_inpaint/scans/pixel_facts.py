"""What a detector's file says of its pixels: which are no good, where they saturate, which were made up."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.geometry import CXI_BITS, NEXUS_BITS, PIXEL_MASK, rejected

from .guarded_file import GuardedFile
from .linked_files import check_sources
from .local_files import allowed_path, open_hdf5
from .sizes import LARGEST_STACK, check_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

NEXUS_REASONS = {0: "gap", 1: "dead", 2: "weak", 3: "hot", 4: "noisy", 6: "clustered", 8: "user"}
"""Bits of NXdetector's ``pixel_mask`` that reject a pixel (2: under-responding, 3: over-responding)."""
VIRTUAL_BIT = 31
CXI_REASONS = {
    0: "invalid", 1: "saturated", 2: "hot", 3: "dead", 4: "shadowed", 6: "ignored", 7: "bad", 9: "gap",
    10: "noisy", 12: "uncorrected",
}  # fmt: skip
"""Bits of a CXI file's ``mask`` that reject a pixel (9: missing, 12: failed correction)."""

ANY_BIT = -1

PLACES = ("", "detectorSpecific/", "threshold_1_channel/")
"""Where an NXdetector keeps them: itself, Dectris' own part of it, the channel of the first threshold."""
SATURATION = ("countrate_correction_count_cutoff", "saturation_value")
"""The highest count that a pixel can show: what Dectris and NeXus call it."""
VIRTUAL = ("virtual_pixel_interpolation_applied", "virtual_pixel_correction_applied")
"""Whether the detector made up counts of pixels between its chips: what NeXus and Dectris call it."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelFacts:
    """What is known of a detector's pixels beside its geometry.

    Attributes
    ----------
    mask
        bool ``(row, col)``, or ``(frame, row, col)`` if it may differ between frames, True = no good; None if
        nobody says.
    reasons
        Why -> how many pixels, for a mask that tells. A pixel may have several.
    saturation
        The highest count that a pixel can show; None if it is not recorded.
    notes
        Sentences on it.
    """

    mask: NDArray[np.bool_] | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    saturation: float | None = None
    notes: tuple[str, ...] = ()

    def same_pixels(self, other: PixelFacts) -> bool:
        """Whether the same pixels are missing, by mask and saturation."""
        masks = self.mask, other.mask
        if masks[0] is None or masks[1] is None:
            same = masks[0] is masks[1]
        else:
            same = np.array_equal(masks[0], masks[1])
        return same and self.saturation == other.saturation

    def or_else(self, other: PixelFacts) -> PixelFacts:
        """These, with what only the other ones say, and the notes of both."""
        return PixelFacts(
            other.mask if self.mask is None else self.mask,
            self.reasons or other.reasons,
            other.saturation if self.saturation is None else self.saturation,
            tuple(dict.fromkeys((*self.notes, *other.notes))),
        )


def read_pixel_facts(uri: str, dataset: str, roots: Sequence[str | Path]) -> PixelFacts:
    """What the file with a run's frames, in `dataset`, says; a note instead of it where that can't be read."""
    try:
        with open_hdf5(allowed_path(uri, roots), roots) as file:
            facts = pixel_facts(file, dataset, roots)
    except Exception as error:  # noqa: BLE001 (as below)
        return _not_used(error)
    # Points and frames of a run may come in any order.
    if facts.mask is not None and facts.mask.ndim == 3:
        return replace(_not_used("it is one for each frame"), saturation=facts.saturation)
    return facts


def readable_facts(file: h5py.File, dataset: str, roots: Sequence[str | Path]) -> PixelFacts:
    """What `pixel_facts` finds; a note instead of it where that can't be read."""
    try:
        return pixel_facts(file, dataset, roots)
    except Exception as error:  # noqa: BLE001 (h5py raises anything over broken files; the frames matter more)
        return _not_used(error)


def _not_used(why: object) -> PixelFacts:
    return PixelFacts(notes=(f"the file's own mask is not used: {why}",))


def pixel_facts(file: h5py.File, dataset: str, roots: Sequence[str | Path]) -> PixelFacts:
    """What an open file says of the detector whose frames are in `dataset`.

    The detector is the NXdetector around the dataset, else that in the same entry which is called like the
    dataset (ESRF: ``1.1/measurement/eiger``), else the only one that says something. Where none has a mask, one
    beside the frames counts.

    Raises
    ------
    OutsideRootsError
        If that lies in a file that is not below the roots.
    OSError, ValueError
        If it can't be read.
    """
    with ExitStack() as opened:
        links = GuardedFile(file, roots, opened)
        groups = list(_detectors(links, dataset))
        telling = [group for group in groups if _masks(links, group)]
        home = dataset.strip("/").rpartition("/")[0]
        if not telling and home and _masks(links, home):
            telling = [home]
        telling = telling or groups[:1]
        if len(telling) > 1:
            listed = ", ".join(telling)
            return PixelFacts(
                notes=(f"the file has masks of several detectors, none is used: {listed}",)
            )
        return _facts_of(links, telling[0]) if telling else PixelFacts()


def _detectors(links: GuardedFile, dataset: str) -> Iterator[str]:
    """Groups that may describe the detector, the surest only."""
    *above, last = (step for step in dataset.split("/") if step)
    for depth in range(len(above), 1, -1):
        around = "/".join(above[:depth])
        if links.is_a(around, "NXdetector", "detector"):
            yield around
            return
    entries = [above[0]] if above else []
    found = [
        detector
        for entry in entries
        for instrument in links.children(entry)
        if links.is_a(instrument, "NXinstrument", "instrument")
        for detector in links.children(instrument)
        if links.is_a(detector, "NXdetector", "detector")
    ]
    yield from [detector for detector in found if _last(detector) == last] or found


def _masks(links: GuardedFile, detector: str) -> dict[str, int]:
    """Paths of a detector's masks, and the bits that reject a pixel in each."""
    found = {}
    for place in PLACES:
        for path in links.children(f"{detector}/{place}".rstrip("/")):
            if PIXEL_MASK.fullmatch(_last(path)):
                found[path] = NEXUS_BITS
    if not found and f"{detector}/mask" in links.children(detector):
        found[f"{detector}/mask"] = CXI_BITS if _last(detector).startswith("detector") else ANY_BIT
    return found


def _facts_of(links: GuardedFile, detector: str) -> PixelFacts:
    numbers = [links.number(f"{detector}/{place}{name}") for place in PLACES for name in SATURATION]
    known = [number for number in numbers if number is not None and number > 0]
    facts = PixelFacts(saturation=min(known, default=None))
    bits = _masks(links, detector)
    masks: dict[h5py.Dataset, str] = {}  # one under several names (links) counts once
    for name in bits:
        if (mask := _mask(links, name)) is not None:
            masks.setdefault(mask, name)
    if masks:
        first = next(iter(masks.values()))
        facts = _told_apart(
            facts, _merged(list(masks), links.roots), bits[first], ", ".join(masks.values())
        )
    applied = [
        name for place in PLACES for name in VIRTUAL if links.number(f"{detector}/{place}{name}")
    ]
    return replace(facts, notes=(*facts.notes, *map(interpolated, applied[:1])))


def interpolated(name: str) -> str:
    """The note on counts that the detector made up itself."""
    return f"the detector has interpolated the virtual pixels between its chips ({name}); they count as measured"


def _mask(links: GuardedFile, path: str) -> h5py.Dataset | None:
    """A mask in bit fields; None if there is no such thing."""
    dataset = links.dataset(path)
    if dataset is None or dataset.dtype.kind not in "iub" or dataset.ndim not in (2, 3):
        return None
    check_size(dataset.shape, dataset.dtype, LARGEST_STACK)
    check_size(dataset.chunks or (), dataset.dtype, LARGEST_STACK)
    return dataset


def _merged(masks: list[h5py.Dataset], roots: Sequence[str | Path]) -> NDArray[np.integer]:
    """All bits of some masks ``(row, col)`` or ``(frame, row, col)``."""
    if len(shapes := {mask.shape for mask in masks}) > 1:
        raise ValueError(f"its parts have different shapes: {', '.join(map(str, shapes))}")
    values = []
    for mask in masks:
        stored = mask[()]
        check_sources(mask, roots)
        values.append(stored[0] if stored.ndim == 3 and len(stored) == 1 else stored)
    merged: NDArray[np.integer] = reduce(np.bitwise_or, values)
    return merged


def _told_apart(facts: PixelFacts, values: NDArray[np.integer], bits: int, name: str) -> PixelFacts:
    """The mask in bit fields, and how many pixels it marks for each reason."""
    mask = _marked(values, bits)
    names = {NEXUS_BITS: NEXUS_REASONS, CXI_BITS: CXI_REASONS}.get(bits, {})
    reasons = {
        reason: pixels
        for bit, reason in names.items()
        if (pixels := _pixels(_marked(values, 1 << bit)))
    }
    told = ", ".join(f"{pixels} {reason}" for reason, pixels in reasons.items())
    note = f"the file's own mask {name} marks {_pixels(mask)} pixels"
    notes = [f"{note} ({told})" if told else note]
    virtual = _pixels(_marked(values, 1 << VIRTUAL_BIT)) if bits == NEXUS_BITS else 0
    if virtual:
        notes.append(f"{virtual} pixels are virtual ones between chips; they count as measured")
    return replace(facts, mask=mask, reasons=reasons, notes=tuple(notes))


def _marked(values: NDArray[np.integer], bits: int) -> NDArray[np.bool_]:
    """Where any of the bits is set; frame by frame, for the sake of memory."""
    if values.ndim == 2:
        return rejected(values, bits)
    return np.stack([rejected(frame, bits) for frame in values])


def _pixels(mask: NDArray[np.bool_]) -> int:
    """How many pixels are marked, in any frame."""
    return int(np.count_nonzero(mask if mask.ndim == 2 else mask.any(axis=0)))


def _last(path: str) -> str:
    return path.rpartition("/")[2]
