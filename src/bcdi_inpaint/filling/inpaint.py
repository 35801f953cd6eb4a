"""``inpaint``: the contract every method is held to, and the registry of methods."""

from __future__ import annotations

import difflib
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import interpolation
from .bands import Band, bands
from .method import Fill, Method
from .result import Inpainted, Report
from .selfcheck import KRIGING_INSTEAD, TRUSTED
from .selfcheck import self_check as check_fill
from .side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from .bands import Box
    from .kriging import Texture
    from .result import SelfCheck
    from .selfcheck import Predict

    Counts = NDArray[np.float32]
    Bools = NDArray[np.bool_]


# Torch takes a second to import: what needs it is imported when it is first used.


def _texture(stack: NDArray[np.floating], mask: Bools) -> dict[str, Any]:
    from . import kriging

    return {"texture": kriging.texture_of(stack, mask)}


def _kriging(stack: Counts, mask: Bools, *, texture: Texture, iterations: int) -> Fill:
    from . import kriging

    return kriging.fill(stack, mask, texture=texture, iterations=iterations)


def _patching(stack: Counts, mask: Bools, *, texture: Texture, model: str, device: str) -> Fill:
    from . import patching

    return patching.fill(stack, mask, texture=texture, model=model, device=device)


def _reference(stack: Counts, mask: Bools, *, skip: int, weights: str) -> Fill:
    from . import reference

    return reference.fill(stack, mask, skip=skip, weights=weights)


REGISTRY: dict[str, Method] = {
    "patching": Method(
        _patching,
        margin=24,
        learn=_texture,
        options={"model": "patching"},
        learned=True,
        voxels=2**21,
        at_once=2,
    ),
    "kriging": Method(
        _kriging,
        margin=24,
        learn=_texture,
        options={"iterations": 40},
        voxels=2**21,
        at_once=2,
    ),
    "biharmonic": Method(interpolation.biharmonic, margin=8),
    "linear": Method(interpolation.linear, margin=8),
    "cubic": Method(interpolation.cubic, margin=8),
    "nearest": Method(interpolation.nearest, margin=8),
    "inverse_distance": Method(
        interpolation.inverse_distance,
        margin=interpolation.REACH_MAX,
        options={"reach": 8, "exponent": 2},
    ),
    "reference": Method(_reference, margin=None, options={"skip": 4, "weights": ""}),
}
"""Every method by its name; a new one is one entry here."""

METHODS = tuple(REGISTRY)

DEFAULT = "patching"
"""The method that fills when none is named."""

LARGEST_MISSING_SHARE = 0.9
"""A mask that marks more than this as missing has almost surely the other polarity."""


def inpaint(
    stack: ArrayLike,
    mask: ArrayLike,
    method: str = DEFAULT,
    device: str = "auto",
    *,
    self_check: bool = True,
    learned: Mapping[str, Any] | None = None,
    **options: Any,
) -> Inpainted:
    """Fill the missing voxels of a rocking scan with their expected counts.

    A pure function: it changes neither `stack` nor `mask`, the same inputs give the same bits on one
    machine, and nothing in a missing voxel (NaN, inf, -1, 65535, 2**32 - 1) changes the result.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts of any real dtype, byte order and layout; whatever
        ``numpy.asarray`` reads (memory maps, HDF5 data sets, dask arrays). Measured voxels must be
        finite. Negative ones are refused in integer data, where they are flags; in floating data
        (background subtracted) they stay as they are and count as 0 for the fill.
    mask
        bool, True = missing, ``(row, col)`` for all frames or ``(frame, row, col)``. Numbers that are
        all 0 or 1 are taken as bool.
    method
        One of `METHODS`.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``, for the patching model; the other methods
        run on the CPU.
    self_check
        Fill artificial gaps first; where the patching model loses to kriging there, kriging fills.
    learned
        What `learn` made of a brighter part of the same scan; by default it is made of this stack.
    **options
        What the method takes: `model` for ``"patching"`` (a shipped model's name or the path of a
        weights file), `iterations` for ``"kriging"``, `reach` and `exponent` for
        ``"inverse_distance"``, `skip` and `weights` (a folder) for ``"reference"``.

    Returns
    -------
    Inpainted
        ``intensity`` is float32, or float64 when counts exceed 2**24 or float32 can't hold a measured
        value exactly: measured voxels are the input's, bit for bit. Where gaps cross, the fills along
        each are averaged.

    Raises
    ------
    ValueError
        For everything that can't be filled; the message names the argument, what it got and
        what it takes.
    """
    start = time.perf_counter()
    settings = _settings(method, _method(method).options, options)
    place, notes = _device(device, method)
    if REGISTRY[method].learned:
        settings["device"] = place
    counts = _stack(stack)
    missing = _mask(mask, counts.shape)
    intensity = _measured(counts, missing, notes)
    sigma = np.zeros(counts.shape, np.float32)
    voxels = int(np.count_nonzero(missing))
    check = None
    if voxels == 0:
        notes.append("no gap: the mask marks no voxel as missing, the stack is returned unchanged")
    else:
        _note_empty_frames(missing, notes)
        if self_check:
            check = _check(intensity, missing, method, settings, notes)
        if check is not None and check.verdict == KRIGING_INSTEAD:
            method, settings = "kriging", dict(REGISTRY["kriging"].options)
        if learned is None:
            learned = REGISTRY[method].learn(intensity, missing)
        _fill(intensity, sigma, missing, REGISTRY[method], {**settings, **learned})
    name, sha256 = _model(settings)
    report = Report(
        method=method,
        voxels_missing=voxels,
        gap_share=voxels / missing.size,
        seconds=time.perf_counter() - start,
        device=place,
        model_name=name,
        model_hash=sha256,
        notes=tuple(notes),
        self_check=check,
    )
    return Inpainted(intensity, sigma, missing, report)


def learn(stack: ArrayLike, mask: ArrayLike, method: str = DEFAULT) -> Mapping[str, Any]:
    """What a method finds out once of a scan, to fill other parts of it with.

    Parameters
    ----------
    stack, mask, method
        As `inpaint` takes them.

    Returns
    -------
    Mapping
        For the argument `learned` of `inpaint` with the same method or kriging.
    """
    counts = _stack(stack)
    missing = _mask(mask, counts.shape)
    return _method(method).learn(_measured(counts, missing, []), missing)


def _fill(
    intensity: NDArray[np.floating],
    sigma: NDArray[np.float32],
    mask: Bools,
    method: Method,
    options: Mapping[str, Any],
) -> None:
    """Fill `intensity` and `sigma`, which are 0 in missing voxels, in place and band by band."""
    if method.margin is None:
        frames, rows, cols = mask.shape
        everywhere = tuple(np.ones(n, np.float32) for n in mask.shape)
        work = [Band((slice(0, frames), slice(0, rows), slice(0, cols)), mask, everywhere)]
    else:
        work = bands(mask, method.margin, max_voxels=method.voxels)

    def fill(band: Band) -> Fill:
        around = mask[band.slices].copy()
        # The voxels of other bands may be filled already: here they are unknown.
        known = np.where(around, 0, intensity[band.slices]).clip(min=0).astype(np.float32)
        return method.fill(known, around, **options)

    at_once = method.at_once if options.get("device", "cpu") == "cpu" else 1
    for band, (rate, deviation) in zip(work, side_by_side(fill, work, at_once), strict=True):
        share = (band.weight() / _weight_of_all(band, work))[band.own]
        intensity[band.slices][band.own] += rate[band.own] * share
        sigma[band.slices][band.own] += deviation[band.own] * share


def _weight_of_all(band: Band, work: list[Band]) -> NDArray[np.float32]:
    """Sum of the weights that all bands have in a band's box; 1 where none has any."""
    total = np.zeros(band.own.shape, np.float32)
    for other in work:
        both = list(zip(band.slices, other.slices, strict=True))
        if all(a.start < b.stop and b.start < a.stop for a, b in both):
            here, there = _overlap(band.slices, other.slices), _overlap(other.slices, band.slices)
            total[here] += other.weight(there)
    return np.where(total > 0, total, np.float32(1))


def _overlap(box: Box, other: Box) -> Box:
    """Where another box lies in a box, in that one's own indices."""
    first, second, third = (
        slice(max(a.start, b.start) - a.start, min(a.stop, b.stop) - a.start)
        for a, b in zip(box, other, strict=True)
    )
    return (first, second, third)


def _check(
    intensity: NDArray[np.floating],
    mask: Bools,
    method: str,
    settings: Mapping[str, Any],
    notes: list[str],
) -> SelfCheck | None:
    if REGISTRY[method].margin is None:
        notes.append(f"no self-check: {method} wants the whole stack")
        return None
    options = {name: REGISTRY[name].options for name in ("kriging", "linear")}
    options[method] = settings

    def predictors(hidden: Bools) -> dict[str, Predict]:
        ways = {name: REGISTRY[name].learn for name in options}
        learned = {learn: learn(intensity, hidden) for learn in set(ways.values())}
        return {
            name: partial(_rate, name, {**learned[ways[name]], **given})
            for name, given in options.items()
        }

    check = check_fill(intensity, mask, predictors, method, replaceable=REGISTRY[method].learned)
    if check is None:
        notes.append("no self-check: no artificial gap of the same shape fits on measured voxels")
    elif check.verdict != TRUSTED:
        notes.append(
            f"{check.verdict}: on artificial gaps {method} has PCC {check.pcc:.3f}, kriging "
            f"{check.pcc_kriging:.3f}, counts ratio {check.counts_ratio:.2f}"
        )
    return check


def _rate(name: str, options: Mapping[str, Any], stack: Counts, mask: Bools) -> Counts:
    return REGISTRY[name].fill(stack, mask, **options).rate


def _model(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Name and sha256 of the network that filled, empty if none did."""
    if "model" not in settings:
        return "", ""
    import torch

    from .weights import load_model

    model = load_model(settings["model"], torch.device(settings["device"]))
    return model.name, model.sha256


def _method(name: str) -> Method:
    try:
        return REGISTRY[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"method={name!r} is unknown{_like(name, METHODS)}; there are {', '.join(METHODS)}"
        ) from None


def _settings(
    method: str, defaults: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    for name in options:
        if name not in defaults:
            takes = ", ".join(f"{key}={value!r}" for key, value in defaults.items()) or "no options"
            raise ValueError(
                f"option {name!r} is unknown to method {method!r}{_like(name, defaults)}; "
                f"it takes {takes}"
            )
    return {**defaults, **options}


def _like(name: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name).lower(), known, n=2)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _device(device: str, method: str) -> tuple[str, list[str]]:
    """Where the method runs, and what is to be said of it."""
    if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ValueError(f"device={device!r}: takes 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if not REGISTRY[method].learned:
        cuda = device.startswith("cuda")
        return "cpu", [f"{method} runs on the CPU only"] if cuda else []
    import torch

    if device == "auto":
        return ("cuda" if torch.cuda.is_available() else "cpu"), []
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r}: torch sees no CUDA device; 'auto' takes what there is"
        )
    return device, []


def _stack(stack: ArrayLike) -> NDArray[Any]:
    if np.ma.isMaskedArray(stack):
        raise ValueError(
            "stack is a masked array, whose own mask would be lost: give stack.data, and its mask "
            "merged into the argument mask"
        )
    array = np.asarray(stack)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"stack has dtype {array.dtype}: takes real numbers (counts)")
    if array.ndim != 3:
        hint = "; a single image is stack[numpy.newaxis]" if array.ndim == 2 else ""
        raise ValueError(
            f"stack is {array.ndim}-D with shape {array.shape}: takes (frame, row, col){hint}"
        )
    if array.size == 0:
        raise ValueError(f"stack is empty: it has shape {array.shape}")
    return array


def _mask(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask as ``(frame, row, col)``: read-only, and no longer the caller's."""
    given = np.asarray(mask)
    if given.shape not in (shape, shape[1:]):
        hint = "; rows and cols look swapped" if given.shape == shape[:0:-1] else ""
        raise ValueError(
            f"mask has shape {given.shape}: takes {shape[1:]} or {shape} for this stack{hint}"
        )
    if given.dtype.kind not in "biuf" or not np.isin(given, (0, 1)).all():
        raise ValueError(
            f"mask has dtype {given.dtype} with values other than 0 and 1: takes bool, True = missing "
            "(bcdi_inpaint.geometry.read_mask reads bit fields and flags)"
        )
    missing = given.astype(bool)
    share = float(missing.mean())
    if share == 1:
        raise ValueError("mask marks every voxel as missing: nothing is left to learn from")
    if share > LARGEST_MISSING_SHARE:
        raise ValueError(
            f"mask marks {share:.1%} of the voxels as missing; True means missing: "
            "if it means measured here, give ~mask"
        )
    missing.flags.writeable = False
    return np.broadcast_to(missing, shape)


def _measured(
    counts: NDArray[Any], mask: NDArray[np.bool_], notes: list[str]
) -> NDArray[np.floating]:
    """A float copy of `counts` with exactly the measured values, and 0 in missing voxels.

    Frame by frame, so that nothing of the size of the stack is made but the result.
    """
    integer = counts.dtype.kind in "iu"
    flag = np.iinfo(counts.dtype).max if integer else np.inf
    dtype: type[np.floating] = np.float32
    negative = flagged = 0
    for frame, gap in zip(counts, mask, strict=True):
        values = frame[~gap]
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            raise ValueError(
                f"stack holds NaN or inf in measured voxels ({bad} in the first such frame): add them "
                "to the mask, e.g. mask | bcdi_inpaint.geometry.flagged(stack)"
            )
        negative += int(np.count_nonzero(values < 0))
        flagged += int(np.count_nonzero(values == flag)) if integer else 0
        peak = values.max(initial=0).item()
        if integer and peak > 2**53:
            raise ValueError(
                f"stack holds {peak} in a measured voxel, which no count is: add such flags to the mask, "
                "e.g. mask | bcdi_inpaint.geometry.flagged(stack)"
            )
        if dtype is np.float32 and (
            peak > 2**24 or (not integer and (values.astype(np.float32) != values).any())
        ):
            dtype = np.float64
    if negative and integer:
        raise ValueError(
            f"stack holds negative counts in {negative} measured voxels; in {counts.dtype} data these "
            "are flags: add them to the mask, e.g. mask | bcdi_inpaint.geometry.flagged(stack)"
        )
    if negative:
        notes.append(
            f"{negative} measured voxels are negative: they stay, and count as 0 for the fill"
        )
    if flagged:
        notes.append(
            f"{flagged} measured voxels hold {flag}, the largest {counts.dtype}: if they are flagged "
            "or saturated, add them to the mask"
        )
    intensity = np.zeros(counts.shape, dtype)
    np.copyto(intensity, counts, where=~mask, casting="unsafe")
    return intensity


def _note_empty_frames(mask: NDArray[np.bool_], notes: list[str]) -> None:
    empty = np.flatnonzero(mask.all(axis=(1, 2)))
    if empty.size:
        notes.append(
            f"{empty.size} frames are wholly missing: they are filled from their neighbours"
        )
