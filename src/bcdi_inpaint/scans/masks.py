"""The mask of a scan: the detector's gaps, the user's own mask, and values that are no counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bcdi_inpaint import geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bcdi_inpaint.geometry import Detector, Span

NAME_IT = "Name it (detector=), give a mask (mask=missing), or say that only flagged pixels are missing (mask=False)"


def find_detector(
    frame_shape: tuple[int, int],
    *,
    named: str = "",
    vendor: str = "",
    pixel_size: tuple[float, float] | None = None,
    whole: bool = True,
) -> tuple[Detector, str]:
    """Find the detector by its name in the run, else by the shape of `whole` frames, neither cut nor binned.

    A name that geometry knows decides; another one may help, as do the maker and the pixels' size (row, col) in
    metres. The note with the detector is empty if the run named it.

    Raises
    ------
    ValueError
        If it is not found, with the candidates.
    """
    if named:
        try:
            return geometry.detector(named), ""
        except ValueError:
            pass  # a name that nobody or several have may still narrow the shape down
    failure = ValueError("its frames are cut or binned, so their shape doesn't identify it")
    for hint in dict.fromkeys((named, vendor, "")) if whole else ():
        try:
            found = geometry.recognise(
                frame_shape, vendor=hint or None, pixel_size=pixel_size[0] if pixel_size else None
            )
        except ValueError as error:
            failure = error
        else:
            if not hint and not found.mask().any():
                raise ValueError(
                    f"frames of {_by(frame_shape)} may be a whole {found.key}, which has no gaps, or "
                    f"a part of another detector. {NAME_IT}"
                )
            return found, f"took the detector for {found.key} by the shape of its frames"
    raise ValueError(f"the detector isn't known: {failure}. {NAME_IT}")


def missing_pixels(
    flags: NDArray[np.bool_],
    *,
    detector: Detector | None = None,
    roi: tuple[Span, Span] | None = None,
    binning: tuple[int, int] = (1, 1),
    mask: NDArray[np.bool_] | None = None,
    own: NDArray[np.bool_] | None = None,
    saturated: NDArray[np.bool_] | None = None,
) -> geometry.MissingPixels:
    """All missing voxels of a stack: its sources are gaps, user, file, flags and saturated.

    Parameters
    ----------
    flags, saturated
        ``(frame, row, col)`` bool: values that are no counts; counts that the detector could not tell any more.
    detector, roi, binning
        Its gaps, cut and binned as the frames are.
    mask, own
        bool, of a frame or of the stack: what else is missing; the detector's own mask.

    Raises
    ------
    ValueError
        If the detector's frame or the mask don't have the frames' shape.
    """
    frame_shape = flags.shape[1:]
    gaps = None
    if detector is not None:
        gaps = detector.mask(roi=roi, binning=binning)
        if gaps.shape != frame_shape:
            raise ValueError(
                f"frames are {_by(frame_shape)}, but those of {detector.key}{_cut(roi, binning)} are "
                f"{_by(gaps.shape)}; give the region (roi=) and binning (binning=) they were recorded "
                "with, or another detector"
            )
    if mask is not None and mask.shape not in (frame_shape, flags.shape):
        raise ValueError(
            f"mask must be {frame_shape} or {flags.shape}, as the frames are; got {mask.shape}"
        )
    return geometry.merge(gaps=gaps, user=mask, file=own, flags=flags, saturated=saturated)


def _cut(roi: tuple[Span, Span] | None, binning: tuple[int, int]) -> str:
    region = (
        "" if roi is None else f" in the region {roi[0][0]}:{roi[0][1]},{roi[1][0]}:{roi[1][1]}"
    )
    return region + ("" if binning == (1, 1) else f" binned {_by(binning)}")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
