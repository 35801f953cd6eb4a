"""A filled scan's volumes in an HDF5 file, which Tiled serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.progress import no_progress

from .hdf5_writing import whole_hdf5
from .layout import INTENSITY, MASK, SIGMA, VOLUMES, Blocks

if TYPE_CHECKING:
    from pathlib import Path

    from bcdi_inpaint.filling.result import Inpainted
    from bcdi_inpaint.progress import Progress

GROUP = "/entry/data"


def write_volumes(path: Path, filled: Inpainted, *, progress: Progress = no_progress) -> None:
    """Write the volumes block by block; the file appears under its name when it is complete.

    Compressed by Blosc with zstd, which every reader with hdf5plugin knows, Tiled among them.
    """
    import hdf5plugin

    volumes = {INTENSITY: filled.intensity, SIGMA: filled.sigma, MASK: filled.mask}
    n, rows, cols = filled.intensity.shape
    blocks = Blocks.of((n, rows, cols), filled.intensity.dtype)
    compression = hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=hdf5plugin.Blosc.SHUFFLE)
    with whole_hdf5(path) as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
        data = file.create_group(GROUP)
        data.attrs.update({"NX_class": "NXdata", "signal": INTENSITY})
        for name in VOLUMES:
            data.create_dataset(
                name,
                (n, rows, cols),
                volumes[name].dtype,
                chunks=(1, rows, cols),
                compression=compression,
            )
        for part in blocks.parts():
            for name in VOLUMES:
                data[name][part] = np.asarray(volumes[name][part])
            progress("writing", part.stop, n)
