"""Finding a detector by its name or by the frames it makes."""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING

from .known_detectors import ALIASES, DETECTORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .chips import Detector


def detectors() -> tuple[str, ...]:
    """Keys of all detectors that `detector` knows."""
    return tuple(DETECTORS)


def detector(key: str) -> Detector:
    """Give the detector with this key, or with a name that beamlines use for it.

    Case, spaces, dashes and underscores don't matter: ``"Eiger2 4M"`` is ``"eiger2_4m"``.

    Raises
    ------
    ValueError
        If nothing has that name (the nearest names are listed), or several detectors have
        (``"merlin"``, ``"eiger9m"``: they are listed).
    """
    names = {_plain(known): (known,) for known in DETECTORS} | ALIASES
    keys = names.get(_plain(key))
    if keys is None:
        near = [
            found
            for name in difflib.get_close_matches(_plain(key), names, n=3)
            for found in names[name]
        ]
        hint = (
            f"nearest: {', '.join(dict.fromkeys(near))}"
            if near
            else "'bcdi-inpaint detectors' lists all"
        )
        raise ValueError(f"unknown detector {key!r}; {hint}")
    if len(keys) > 1:
        raise ValueError(
            f"{key!r} is the name of several detectors; say which: "
            f"{_listing(DETECTORS[k] for k in keys)}"
        )
    return DETECTORS[keys[0]]


def recognise(
    shape: tuple[int, int],
    *,
    vendor: str | None = None,
    pixel_size: float | None = None,
    sensor: str | None = None,
) -> Detector:
    """Find the detector that makes full, unbinned frames of this shape.

    Parameters
    ----------
    shape
        (rows, cols) of the frame.
    vendor
        Its maker, as in ``"Dectris"``; words of its name help as well (``"EIGER2"``).
    pixel_size
        In metres.
    sensor
        Sensor material, ``"Si"`` or ``"CdTe"``.

    Raises
    ------
    ValueError
        If no detector makes such frames (the nearest shapes are listed), or several do (they are
        listed with what tells them apart).
    """
    rows, cols = _frame_shape(shape)
    if pixel_size is not None and not 1e-6 <= pixel_size <= 1e-2:
        raise ValueError(f"pixel_size is in metres (55e-6 for 55 um); got {pixel_size}")
    same_shape = [known for known in DETECTORS.values() if known.shape == (rows, cols)]
    if not same_shape:
        raise _unknown_shape(rows, cols)
    made_by = same_shape if vendor is None else _made_by(same_shape, vendor)
    matching = [
        known
        for known in made_by
        if (pixel_size is None or math.isclose(pixel_size, known.pixel_size, rel_tol=0.02))
        and (sensor is None or sensor.casefold() == known.sensor.casefold())
    ]
    if len(matching) > 1:
        raise _ambiguous(rows, cols, matching)
    if not matching:
        given = {"vendor": vendor, "pixel_size": pixel_size, "sensor": sensor}
        said = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
        raise ValueError(
            f"none of the {rows} x {cols} detectors has {said}; {_listing(same_shape)}"
        )
    return matching[0]


def _unknown_shape(rows: int, cols: int) -> ValueError:
    near = sorted(
        DETECTORS.values(), key=lambda d: abs(d.shape[0] - rows) + abs(d.shape[1] - cols)
    )[:3]
    turned = [known for known in DETECTORS.values() if known.shape == (cols, rows)]
    hint = f"transposed, it is that of {_listing(turned)}; " if turned else ""
    return ValueError(
        f"no known detector has a frame of {rows} x {cols} (rows x cols); {hint}"
        f"nearest: {_listing(near)}. If the frame was cut or binned, name the detector and "
        "give roi and binning"
    )


def _ambiguous(rows: int, cols: int, matching: list[Detector]) -> ValueError:
    differing = [
        name
        for name in ("vendor", "pixel_size", "sensor")
        if len({getattr(known, name) for known in matching}) > 1
    ]
    how = f"give {' or '.join(f'{name}=' for name in differing)}, or name the detector"
    return ValueError(
        f"a frame of {rows} x {cols} can come from {_listing(matching)}; "
        f"{how if differing else 'name the detector'}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.casefold()))


def _made_by(detectors: list[Detector], vendor: str) -> list[Detector]:
    """Those that some words describe: "Dectris", "EIGER2", or what a detector says, "Dectris EIGER2 Si 500K".

    If they fit none wholly, as those of a control system, "DECTRIS Ltd.", all of that maker.
    """
    asked = _words(vendor)
    described = [d for d in detectors if asked <= _words(f"{d.vendor} {d.name} {d.sensor}")]
    return described or [d for d in detectors if _words(d.vendor) <= asked]


def _frame_shape(shape: tuple[int, int]) -> tuple[int, int]:
    try:
        rows, cols = shape
    except (TypeError, ValueError):
        raise ValueError(f"shape must be (rows, cols) of one frame; got {shape!r}") from None
    return rows, cols


def _listing(found: Iterable[Detector]) -> str:
    return ", ".join(
        f"{d.key} ({d.shape[0]} x {d.shape[1]}, {d.vendor}, {d.sensor}, {d.pixel_size * 1e6:g} um)"
        for d in found
    )
