"""Which of a run's data are the frames of the detector that is to be filled."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint import geometry

from .facts import DETECTOR_NAMES, Facts
from .recognition import NoImagesError
from .start_stop import field, items, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .reading import ReadingOptions
    from .streams import RunRecord

    Image = tuple[str, str]
    """Stream and data key."""


def are_frames(shape: Sequence[int | None]) -> bool:
    """Whether data of this shape, without the axis of the points, are a frame or several."""
    return len(shape) in (2, 3) and all((length or 0) > 1 for length in shape[-2:])


def declared_images(run: RunRecord) -> tuple[Image, ...]:
    """What the descriptors say are frames."""
    return tuple(
        (name, key)
        for name, stream in run.streams.items()
        for key, data_key in stream.data_keys.items()
        if are_frames(_shape(data_key))
    )


def choose_image(run: RunRecord, images: Sequence[Image], reading: ReadingOptions) -> Image:
    """Stream and data key of the frames, among those that a run has.

    Of several detectors it is the one that is named, by the run or by ``reading``, else the only
    one whose gaps are known, else the only one whose frames fit the mask in ``reading``.

    Raises
    ------
    NoImagesError
        If there are none at all.
    ValueError
        If there are several and none is chosen, or the chosen one is absent.
    """
    if not images:
        raise NoImagesError("the run has no frames")
    wanted = reading.data_key
    found = [image for image in images if wanted in (None, image[1])]
    if len(found) > 1:  # the same detector may take darks in a stream of its own
        found = [image for image in found if image[0] == "primary"] or found
    if len(found) > 1:
        found = _known(run, found, reading)
    if len(found) == 1:
        return found[0]
    listed = ", ".join(dict.fromkeys(key for _, key in images))
    if not found:
        raise ValueError(f"the run has no frames under {wanted!r}; there are: {listed}")
    raise ValueError(f"several detectors recorded frames; set data_key to one of: {listed}")


def _known(run: RunRecord, images: list[Image], reading: ReadingOptions) -> list[Image]:
    """Those of the detector that is to be filled; all of them if it is not known."""
    named = {image: _key(_own_name(run, image)) for image in images}
    chosen = reading.detector or Facts(run.start, ()).text(DETECTOR_NAMES)
    if key := _key(chosen):
        shape = geometry.detector(key).shape
        return (
            [image for image in images if named[image] == key]
            or [image for image in images if _frame_shape(run, image) == shape]
            or images
        )
    if isinstance(reading.mask, np.ndarray):
        shape = reading.mask.shape[-2:]
        fitting = [image for image in images if _frame_shape(run, image) == shape]
        if len(fitting) == 1:
            return fitting
    return [image for image in images if named[image]] or images


def _own_name(run: RunRecord, image: Image) -> str:
    """The detector's own name, as far as the run records it."""
    stream, key = image
    return Facts({}, Facts.of_detector(run, run.streams[stream], key).devices).text(DETECTOR_NAMES)


def _key(name: str) -> str:
    """The key of a detector in `bcdi_inpaint.geometry`; empty if it isn't known."""
    with suppress(ValueError):
        return geometry.detector(name).key if name else ""
    return ""


def _frame_shape(run: RunRecord, image: Image) -> tuple[int, ...]:
    stream, key = image
    return _shape(run.streams[stream].data_keys.get(key))[-2:]


def _shape(data_key: object) -> tuple[int, ...]:
    lengths = [whole_number(length) for length in items(field(data_key, "shape"))]
    return tuple(length for length in lengths if length is not None)
