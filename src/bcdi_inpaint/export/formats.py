"""Filled scans as files for phase retrieval and viewers.

Every exporter writes the layout that its reader expects. The HDF5 and tif exporters read the
volumes in blocks of frames, so that their memory does not grow with the scan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.atomic_writing import whole_file

from .hdf5_parts import (
    frame_blocks,
    iso_time,
    new_group,
    new_volume,
    plain_text,
    provenance,
    put_detector,
    put_monitor,
    put_quantity,
)
from .hdf5_writing import whole_hdf5
from .layout import motor_key
from .pynx import cdiutils, pynx_arrays, pynx_cxi, pynx_npz, pynx_run
from .transformations import NOWHERE, put_detector_place, put_sample_circles

if TYPE_CHECKING:
    from pathlib import Path

    from .filled_scan import FilledScan

__all__ = ["cdiutils", "cohere", "nexus", "pynx_arrays", "pynx_cxi", "pynx_npz", "pynx_run", "tif"]


def cohere(path: Path | str, scan: FilledScan) -> None:
    """cohere's ``phasing_data/data.tif``, as its own preprocessing makes it.

    Amplitudes, padded with zeros to even lengths that suit an FFT, the maximum rolled to the
    centre. cohere reads ``(col, row, frame)``, its tif is ``(frame, row, col)``. It has no mask:
    zeros are measured zeros there, which is why a filled gap matters.
    """
    import tifffile
    from scipy.fft import next_fast_len

    amplitude = np.sqrt(np.maximum(scan.filled.intensity[:], 0)).astype(np.float32)
    pads = []
    for length in amplitude.shape:
        good = length
        while (good := next_fast_len(good)) % 2:
            good += 1
        pads.append(((good - length) // 2, good - length - (good - length) // 2))
    padded = np.pad(amplitude, pads)
    centre = np.array(padded.shape) // 2
    shift = centre - np.unravel_index(int(padded.argmax()), padded.shape)
    with whole_file(path) as partial:
        tifffile.imwrite(partial, np.roll(padded, shift, axis=(0, 1, 2)), photometric="minisblack")


def tif(path: Path | str, scan: FilledScan) -> None:
    """The filled intensity as a tif with one page a frame, in the dtype that it is stored in."""
    import tifffile

    volume = scan.filled.intensity
    pages = (page for _, block, _, _ in frame_blocks(scan) for page in block)
    with whole_file(path) as partial:
        tifffile.imwrite(
            partial, pages, shape=volume.shape, dtype=volume.dtype, photometric="minisblack"
        )


def nexus(path: Path | str, scan: FilledScan) -> None:
    """NeXus HDF5 with the intensity as the default plot, its errors and the rocking angles."""
    import h5py

    metadata, volume = scan.metadata, scan.filled.intensity
    with whole_hdf5(path) as file:
        file.attrs["default"] = "entry"
        entry = new_group(file, "entry", "NXentry", default="data")
        title = f"{metadata.sample} scan {metadata.scan_id}, gaps filled"
        entry["title"] = plain_text(title.lstrip())
        entry["entry_identifier"] = plain_text(str(metadata.scan_id))
        entry["entry_identifier_uuid"] = plain_text(metadata.raw_uid)
        if metadata.time is not None:
            entry["start_time"] = iso_time(metadata.time)
        sample = new_group(entry, "sample", "NXsample")
        if metadata.sample:
            sample["name"] = plain_text(metadata.sample)
        put_sample_circles(sample, metadata, scan.angles)
        instrument = new_group(entry, "instrument", "NXinstrument")
        if metadata.energy is not None:
            beam = new_group(instrument, "beam", "NXbeam")
            put_quantity(beam, "incident_energy", metadata.energy, "eV")
            beam["depends_on"] = NOWHERE
        detector = new_group(instrument, "detector", "NXdetector")
        detector["local_name"] = plain_text(metadata.detector)
        put_detector(detector, scan)
        put_detector_place(detector, metadata)
        put_monitor(entry, scan)
        process = new_group(entry, "process", "NXprocess")
        process["program"] = "bcdi-inpaint"
        new_group(process, "note", "NXcollection").attrs.update(provenance(scan))

        axis = motor_key(metadata.motor) if scan.angles is not None else "."
        data = new_group(entry, "data", "NXdata", signal="intensity", axes=[axis, ".", "."])
        if scan.angles is not None:
            put_quantity(data, axis, scan.angles, "deg")
            data.attrs[f"{axis}_indices"] = 0
        intensity = new_volume(data, "intensity", scan, volume.dtype)
        errors = new_volume(data, "intensity_errors", scan, np.float32)
        intensity.attrs["units"] = errors.attrs["units"] = "counts"
        # Bit 0 of NXdetector's pixel_mask: gap.
        gap = new_volume(detector, "pixel_mask", scan, np.uint32)
        detector["data"] = h5py.SoftLink("/entry/data/intensity")
        for part, values, sigmas, missing in frame_blocks(scan):
            intensity[part], errors[part], gap[part] = values, sigmas, missing
