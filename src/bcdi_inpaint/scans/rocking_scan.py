"""A rocking scan as every other package sees it: frames, mask, angles and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bcdi_inpaint.geometry import Span


@dataclass(frozen=True, slots=True)
class ScanMetadata:
    """Where a scan comes from and what phase retrieval needs to orthogonalise it.

    What a run doesn't say is None (or empty). Angles are in degrees, lengths in metres, energy in eV.

    Attributes
    ----------
    raw_uid, raw_path
        The run's uid and its path in Tiled (``"cdi/raw/<uid>"``).
    scan_id, sample, plan_name, time
        As in the start document; ``time`` in seconds since the epoch.
    data_key
        The detector's key in the documents (``"eiger2-1_image"``).
    detector
        The detector's key in ``bcdi_inpaint.geometry`` (``"eiger2_500k"``).
    motor
        The rocking motor's name.
    energy, distance, pixel_size
        Photon energy; sample to detector; pixel size (row, col).
    direct_beam
        (row, col) of the direct beam on the full, unbinned frame, in pixels.
    sample_angles, detector_angles
        Motor name -> angle for the circles that did not move.
    roi, binning
        Relative to the full, unbinned frame: ``((row0, row1), (col0, col1))``, ``(rows, cols)``.
    access_tags
        Those of the raw run.
    frames_expected
        What the plan announced; compare with the number of frames that are there.
    exit_status
        ``"success"``, ``"abort"`` or ``"fail"``, as in the stop document; empty while running.
    monitor
        The column of the beam's monitor; empty if none was recorded.
    counts_per_unit
        What the recorded values were multiplied by to have counts; None if they are counts.
    masked
        Where it is known from that pixels are missing -> how many pixels of the recorded frames, in at least
        one frame: ``gaps`` (the detector's geometry), ``user``, ``file`` (the detector's own mask, with
        ``file_dead`` and so on by its reasons), ``flags`` (values that are no counts), ``saturated``.
    notes
        Plain sentences on what was unusual (frames missing, repeated, read from the file, ...).
    extra
        Other scalar entries of the start document, carried along untouched.
    """

    raw_uid: str = ""
    raw_path: str = ""
    scan_id: int | None = None
    sample: str = ""
    plan_name: str = ""
    time: float | None = None
    data_key: str = ""
    detector: str = ""
    motor: str = ""
    energy: float | None = None
    distance: float | None = None
    pixel_size: tuple[float, float] | None = None
    direct_beam: tuple[float, float] | None = None
    sample_angles: Mapping[str, float] = field(default_factory=dict)
    detector_angles: Mapping[str, float] = field(default_factory=dict)
    roi: tuple[Span, Span] | None = None
    binning: tuple[int, int] = (1, 1)
    access_tags: tuple[str, ...] = ()
    frames_expected: int | None = None
    exit_status: str = ""
    monitor: str = ""
    counts_per_unit: float | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class RockingScan:
    """The 3-D stack of one rocking scan.

    Attributes
    ----------
    frames
        ``(frame, row, col)`` counts, any real dtype, as read from the detector.
    mask
        bool, ``(row, col)`` or ``(frame, row, col)``; True = missing.
    angles
        ``(frame,)`` float64, the rocking motor's readings in degrees; None if no motor was recorded.
    metadata
        Provenance and geometry.
    monitor
        ``(frame,)`` float64, the monitor's readings as recorded; None if there is none.
    """

    frames: NDArray[np.number]
    mask: NDArray[np.bool_]
    angles: NDArray[np.float64] | None = None
    metadata: ScanMetadata = field(default_factory=ScanMetadata)
    monitor: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 3:
            raise ValueError(f"frames must be (frame, row, col); got shape {self.frames.shape}")
        if self.mask.dtype != np.bool_ or self.mask.shape not in (
            self.frames.shape,
            self.frames.shape[1:],
        ):
            raise ValueError(
                f"mask must be bool of shape {self.frames.shape[1:]} or {self.frames.shape}; "
                f"got {self.mask.dtype} {self.mask.shape}"
            )
        if self.angles is not None and self.angles.shape != self.frames.shape[:1]:
            raise ValueError(
                f"angles must have one value a frame ({self.frames.shape[0]}); got shape {self.angles.shape}"
            )
