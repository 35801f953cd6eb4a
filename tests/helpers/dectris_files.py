"""Files as a Dectris EIGER's file writer leaves them: a master file that links to the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bcdi_inpaint.testing.file_writers import DATASET, FrameWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class DectrisWriter(FrameWriter):
    """Writes ``<name>_master.h5``, which has the detector's own description, and ``<name>_data_000001.h5``.

    Parameters
    ----------
    pixel_mask
        uint32 ``(row, col)``, bits as in NXdetector.
    count_cutoff
        The highest count that a pixel can show.
    **options
        As `FrameWriter` takes them.
    """

    suffix = "_master.h5"
    dataset = "/entry/data/data_000001"

    def __init__(
        self, pixel_mask: NDArray[np.uint32], *, count_cutoff: int = 2**32 - 2, **options: Any
    ) -> None:
        super().__init__(**options)
        self._pixel_mask = pixel_mask
        self._count_cutoff = count_cutoff

    def open(
        self,
        path: Path,
        frame_shape: tuple[int, int],
        dtype: str,
        attributes: tuple[str, ...] = (),
    ) -> None:
        """Create the master file `path`, and the file of frames beside it."""
        frames = path.with_name(path.name.replace("_master", "_data_000001"))
        with h5py.File(path, "x") as file:
            for name, nx_class in (
                ("entry", "NXentry"),
                ("entry/data", "NXdata"),
                ("entry/instrument", "NXinstrument"),
                ("entry/instrument/detector", "NXdetector"),
                ("entry/instrument/detector/detectorSpecific", "NXcollection"),
            ):
                file.create_group(name).attrs["NX_class"] = np.bytes_(nx_class)  # of fixed length
            file["entry/data/data_000001"] = h5py.ExternalLink(frames.name, DATASET)
            detector = file["entry/instrument/detector"]
            detector["detectorSpecific/pixel_mask"] = self._pixel_mask
            detector["detectorSpecific/countrate_correction_count_cutoff"] = np.uint32(
                self._count_cutoff
            )
            detector["pixel_mask"] = h5py.SoftLink(
                "/entry/instrument/detector/detectorSpecific/pixel_mask"
            )
            detector["saturation_value"] = np.uint32(self._count_cutoff)
            detector["virtual_pixel_interpolation_applied"] = np.uint8(1)
        super().open(frames, frame_shape, dtype, attributes)
