"""``inpaint``: arguments, estimation, self-check, filling."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.progress import no_progress

from .arguments import empty_frames, measured_counts, read_device, read_mask, read_stack
from .bands import Band, bands, weight_of_all
from .empty import fill_empty
from .methods import DEFAULT, method_named, network_of, settings_of
from .on_demand import OnDemand
from .parallel import in_parallel
from .result import Inpainted, Report
from .self_checking import artificial_gaps, brightness, hidden_by
from .self_checking import self_check as check_fill
from .verdict import Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from bcdi_inpaint.progress import Progress

    from .bands import Box
    from .estimation import Estimate, Surroundings
    from .method import Fill, Method
    from .result import SelfCheck
    from .self_checking import ArtificialGap

    Counts = NDArray[np.float32]
    Bools = NDArray[np.bool_]


def inpaint(
    stack: ArrayLike,
    mask: ArrayLike,
    method: str = DEFAULT,
    device: str = "auto",
    *,
    twin: bool = True,
    self_check: bool = True,
    estimate: Estimate | None = None,
    progress: Progress = no_progress,
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
    twin
        Use what was measured at the gap's mirror image through the Bragg peak, as far as the scan's own
        measured pairs show that it can be believed. For ``"patching"`` and ``"kriging"``.
    self_check
        Fill artificial gaps first; if the patching model is worse than kriging there, kriging fills.
    estimate
        What `estimate_scan` made from a brighter part of the same scan; by default it is made from this
        stack.
    progress
        Told what is being done, and how much of it is done.
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
    for name, value in (("twin", twin), ("self_check", self_check)):
        if not isinstance(value, bool):
            raise ValueError(f"{name}={value!r}: takes True or False")  # noqa: TRY004
    settings = settings_of(method, options)
    place, notes = read_device(device, method, learned=method_named(method).learned)
    if method_named(method).learned:
        settings["device"] = place
    counts = read_stack(stack)
    missing = read_mask(mask, counts.shape)
    intensity = measured_counts(counts, missing, notes)
    sigma = np.zeros(counts.shape, np.float32)
    voxels = int(np.count_nonzero(missing))
    check = None
    gaps: list[ArtificialGap] = []
    if voxels == 0:
        notes.append("no gap: the mask marks no voxel as missing, the stack is returned unchanged")
    else:
        notes += empty_frames(missing)
        if estimate is None:
            progress("looking for texture and symmetry", 0.0)
            estimate = _estimated(method, intensity, missing, twin=twin)
        if self_check:
            known = estimate or _estimated("kriging", intensity, missing, twin=twin)
            gaps = _gaps(intensity, missing, method, known, notes)
            if gaps:
                check = _check(intensity, missing, method, settings, known, gaps, progress)
        if check is not None and check.verdict == Verdict.KRIGING_INSTEAD:
            method, settings = "kriging", dict(method_named("kriging").options)
        _fill(intensity, sigma, missing, method_named(method), settings, estimate, progress)
        _require_numbers(method, intensity[missing], sigma[missing])
        if check is not None:
            check = judged(check, intensity, sigma, missing)
            check = replace(check, brightness=brightness(gaps, intensity, missing))
            if check.verdict != Verdict.TRUSTED:
                notes.append(check.note)
    name, sha256 = network_of(settings)
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
        **({} if estimate is None else estimate.reported(missing)),
    )
    return Inpainted(intensity, sigma, missing, report)


def estimate_scan(
    stack: ArrayLike, mask: ArrayLike, method: str = DEFAULT, *, twin: bool = True
) -> Estimate | None:
    """What a method estimates once from a scan, to fill other parts of it.

    Parameters
    ----------
    stack, mask, method, twin
        As `inpaint` takes them.

    Returns
    -------
    Estimate or None
        For the argument `estimate` of `inpaint` with the same method or kriging; None where the
        method needs none.
    """
    if method_named(method).estimate is None:
        return None
    counts = read_stack(stack)
    missing = read_mask(mask, counts.shape)

    def measured(number: int) -> NDArray[np.float32]:
        return np.where(missing[number], 0, counts[number]).astype(np.float32)

    # Of most frames no more is needed than where the pattern is.
    frames: Any = OnDemand(counts.shape, np.float32, measured)
    return _estimated(method, frames, missing, twin=twin)


def _estimated(
    method: str, intensity: NDArray[np.floating], mask: Bools, *, twin: bool
) -> Estimate | None:
    estimate = method_named(method).estimate
    return None if estimate is None else estimate(intensity, mask, twin=twin)


def _fill(
    intensity: NDArray[np.floating],
    sigma: NDArray[np.float32],
    mask: Bools,
    method: Method,
    options: Mapping[str, Any],
    estimate: Estimate | None,
    progress: Progress,
) -> None:
    """Fill `intensity` and `sigma`, which are 0 in missing voxels, in place and band by band."""
    if method.margin is None:
        frames, rows, cols = mask.shape
        everywhere = tuple(np.ones(n, np.float32) for n in mask.shape)
        work = [Band((slice(0, frames), slice(0, rows), slice(0, cols)), mask, everywhere)]
    else:
        wanted = mask if estimate is None else fill_empty(intensity, sigma, mask)
        work = bands(mask, method.margin, max_voxels=method.voxels, wanted=wanted)

    def fill(band: Band) -> Fill:
        unknown = mask[band.slices].copy()
        # The voxels of other bands may be filled already: here they are unknown.
        known = np.where(unknown, 0, intensity[band.slices]).clip(min=0).astype(np.float32)
        around = _surroundings(method, estimate, intensity, mask, band.slices)
        return method.fill(known, unknown, **options, **around)

    fills = in_parallel(fill, work, _at_once(method, options))
    for number, (band, (rate, deviation)) in enumerate(zip(work, fills, strict=True)):
        progress("filling", number, len(work))
        share = (band.weight() / weight_of_all(band, work))[band.own]
        intensity[band.slices][band.own] += rate[band.own] * share
        sigma[band.slices][band.own] += deviation[band.own] * share


def _surroundings(
    method: Method,
    estimate: Estimate | None,
    intensity: NDArray[np.floating],
    mask: Bools,
    box: Box,
) -> dict[str, Surroundings]:
    """The argument `surroundings` of a method that takes it."""
    if method.estimate is None or estimate is None:
        return {}
    return {"surroundings": estimate.around(intensity, mask, box)}


def _gaps(
    intensity: NDArray[np.floating],
    mask: Bools,
    method: str,
    estimate: Estimate | None,
    notes: list[str],
) -> list[ArtificialGap]:
    """Where the method is checked; why it can't be is noted."""
    if method_named(method).margin is None:
        notes.append(f"no self-check: {method} needs the whole stack")
        return []
    gaps = artificial_gaps(intensity, mask, estimate.mirroring if estimate else None)
    if not gaps:
        notes.append("no self-check: no artificial gap of the same shape fits on measured voxels")
    return gaps


def _check(
    intensity: NDArray[np.floating],
    mask: Bools,
    method: str,
    settings: Mapping[str, Any],
    estimate: Estimate | None,
    gaps: list[ArtificialGap],
    progress: Progress,
) -> SelfCheck:
    hidden = hidden_by(mask, gaps)
    options = {method: settings} | {
        name: method_named(name).options for name in ("kriging", "linear") if name != method
    }

    def predict(job: tuple[str, ArtificialGap]) -> Counts:
        name, gap = job
        unknown = hidden[gap.box].copy()
        known = np.where(unknown, 0, intensity[gap.box]).clip(min=0).astype(np.float32)
        around = _surroundings(method_named(name), estimate, intensity, hidden, gap.box)
        rate = method_named(name).fill(known, unknown, **options[name], **around).rate
        _require_numbers(name, rate[unknown])
        return rate

    jobs = list(product(options, gaps))
    fills: dict[str, list[Counts]] = {name: [] for name in options}
    rates = in_parallel(predict, jobs, _at_once(method_named(method), settings))
    for number, ((name, _), rate) in enumerate(zip(jobs, rates, strict=True), 1):
        fills[name].append(rate)
        progress("checking on artificial gaps", number, len(jobs))
    return check_fill(intensity, gaps, fills, method, replaceable=method_named(method).learned)


def _at_once(method: Method, options: Mapping[str, Any]) -> int:
    """How many boxes are filled in parallel: one on a GPU."""
    return method.at_once if options.get("device", "cpu") == "cpu" else 1


def _require_numbers(method: str, *fills: NDArray[np.floating]) -> None:
    """Refuse a fill that is not finite, as strange weights give it."""
    if not all(np.isfinite(values).all() for values in fills):
        raise ArithmeticError(
            f"the fill by {method} is not finite, so nothing is returned: take other weights "
            "(model=) or another method"
        )
