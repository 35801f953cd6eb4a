"""Filled scans as files for phase retrieval and viewers.

Every exporter writes the layout that its reader expects. The HDF5 and tif exporters read the
volumes in blocks of frames, so that their memory does not grow with the scan.

How a gap is handed to PyNX is the caller's choice; `treatment.recommended` chooses where nothing is said:

``"hard"``
    The filled values count as measured.
``"soft"``
    PyNX keeps the intensity in a band around the filled values (by default 0.5 to 1.2 times):
    they are stored as ``-(I + 1) * 1e19``. PyNX understands this from its Python API only,
    ``CDI(iobs, mask=None)``; its command line takes negative values for zeros, therefore the gap
    is masked in the file, and stays free there.
``"free"``
    The gap is masked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from bcdi_inpaint.atomic_writing import whole_file
from bcdi_inpaint.scans.constants import JOULE_PER_EV, METRE_EV

from .layout import Blocks, motor_key, path_segment
from .metadata import from_report, from_scan
from .treatment import Gaps, recommended

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    from numpy.typing import DTypeLike, NDArray

    from .filled_scan import FilledScan

SOFT_BAND = (0.5, 1.2)
"""PyNX's band around an estimated intensity, as factors of it."""

_SOFT = np.float32(-1e19)
_SOFT_LIMIT = np.nextafter(_SOFT, np.float32(-np.inf))
"""Rounded to float32, -1e19 lies a little within PyNX's range of free but observed pixels."""


def pynx_arrays(
    intensity: NDArray[np.floating], mask: NDArray[np.bool_], gaps: Gaps
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Data and mask as PyNX takes them from Python.

    Negative values are clipped: PyNX would take them for free pixels.
    """
    if gaps not in get_args(Gaps):
        raise ValueError(f"gaps must be one of {', '.join(get_args(Gaps))}; got {gaps!r}")
    data: NDArray[np.float32] = np.maximum(intensity, 0).astype(np.float32)
    if gaps == "soft":
        data[mask] = np.minimum((data[mask] + 1) * _SOFT, _SOFT_LIMIT)
    unusable = np.zeros_like(mask) if gaps == "hard" else mask
    return data, unusable.astype(np.int8)


def pynx_cxi(path: Path | str, scan: FilledScan, *, gaps: Gaps | None = None) -> None:
    """CXI as PyNX reads and writes it; its mask is 1 where a voxel is not to be used.

    Pass the mask to PyNX explicitly, since some of its versions drop the one of the data file:
    ``data=scan.cxi mask=scan.cxi:/entry_1/instrument_1/detector_1/mask``.

    Parameters
    ----------
    path
        The file to write.
    scan
        The filled scan.
    gaps
        See the module's description.
    """
    import h5py

    gaps = gaps or recommended(scan.filled)
    metadata = scan.metadata
    with whole_file(path) as partial, h5py.File(partial, "w") as file:
        file["cxi_version"] = 140
        file.attrs["default"] = "entry_1"
        entry = _group(file, "entry_1", "NXentry", default="data_1")
        entry["program_name"] = "bcdi-inpaint"
        if metadata.time is not None:
            entry["start_time"] = _iso(metadata.time)
        if metadata.sample:
            _group(entry, "sample_1", "NXsample")["name"] = _text(metadata.sample)
        instrument = _group(entry, "instrument_1", "NXinstrument")
        if metadata.energy is not None:
            joules = metadata.energy * JOULE_PER_EV
            _quantity(_group(instrument, "source_1", "NXsource"), "energy", joules, "J")
            beam = _group(instrument, "beam_1", "NXbeam")
            _quantity(beam, "incident_energy", joules, "J")
            _quantity(beam, "incident_wavelength", METRE_EV / metadata.energy, "m")
        detector = _group(instrument, "detector_1", "NXdetector")
        _detector_geometry(detector, scan)
        values = _volume(detector, "data", scan, np.float32)
        # PyNX casts the mask to int8: nothing but 0 and 1 survives that.
        mask = _volume(detector, "mask", scan, np.int8)
        # PyNX takes the first dataset with "mask" in its path: no other may be called so.
        ours = _group(entry, "bcdi_inpaint", "NXcollection")
        ours.attrs.update({**_provenance(scan), "gaps": gaps})
        if scan.angles is not None:
            _quantity(ours, "rocking_angle", scan.angles, "deg")
        sigma = _volume(ours, "sigma", scan, np.float32)
        filled = _volume(ours, "filled_voxels", scan, np.uint8)
        for part, intensity, sigmas, missing in _parts(scan):
            values[part], mask[part] = pynx_arrays(intensity, missing, gaps)
            sigma[part], filled[part] = sigmas, missing
        data = _group(entry, "data_1", "NXdata", signal="data")
        data["data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")


def pynx_npz(path: Path | str, scan: FilledScan, *, gaps: Gaps | None = None) -> None:
    """One npz for PyNX: `data` float32 and `mask` int8, ``data=scan.npz mask=scan.npz``."""
    gaps = gaps or recommended(scan.filled)
    data, mask = pynx_arrays(np.asarray(scan.filled.intensity), np.asarray(scan.filled.mask), gaps)
    _save(path, data=data, mask=mask)


def cdiutils(
    folder: Path | str, scan: FilledScan, *, gaps: Gaps | None = None
) -> tuple[Path, Path]:
    """The pair of npz that cdiutils hands to PyNX; in both the array is called `data`.

    Returns
    -------
    tuple of Path
        ``S<scan>_pynx_input_data.npz`` and ``S<scan>_pynx_input_mask.npz``.
    """
    gaps = gaps or recommended(scan.filled)
    data, mask = pynx_arrays(np.asarray(scan.filled.intensity), np.asarray(scan.filled.mask), gaps)
    number = scan.metadata.scan_id
    # A server's nodes may hold anything in the place of a number.
    name = path_segment(scan.metadata.raw_uid[:8] if number is None else str(number))
    stem = f"S{name}_pynx_input"
    paths = Path(folder, f"{stem}_data.npz"), Path(folder, f"{stem}_mask.npz")
    _save(paths[0], data=data)
    _save(paths[1], data=mask)
    return paths


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
    pages = (page for _, block, _, _ in _parts(scan) for page in block)
    with whole_file(path) as partial:
        tifffile.imwrite(
            partial, pages, shape=volume.shape, dtype=volume.dtype, photometric="minisblack"
        )


def nexus(path: Path | str, scan: FilledScan) -> None:
    """NeXus HDF5 with the intensity as the default plot, its errors and the rocking angles."""
    import h5py

    metadata, volume = scan.metadata, scan.filled.intensity
    with whole_file(path) as partial, h5py.File(partial, "w") as file:
        file.attrs["default"] = "entry"
        entry = _group(file, "entry", "NXentry", default="data")
        title = f"{metadata.sample} scan {metadata.scan_id}, gaps filled"
        entry["title"] = _text(title.lstrip())
        entry["entry_identifier"] = _text(str(metadata.scan_id))
        entry["entry_identifier_uuid"] = _text(metadata.raw_uid)
        if metadata.time is not None:
            entry["start_time"] = _iso(metadata.time)
        if metadata.sample:
            _group(entry, "sample", "NXsample")["name"] = _text(metadata.sample)
        instrument = _group(entry, "instrument", "NXinstrument")
        if metadata.energy is not None:
            beam = _group(instrument, "beam", "NXbeam")
            _quantity(beam, "incident_energy", metadata.energy, "eV")
        detector = _group(instrument, "detector", "NXdetector")
        detector["local_name"] = _text(metadata.detector)
        _detector_geometry(detector, scan)
        process = _group(entry, "process", "NXprocess")
        process["program"] = "bcdi-inpaint"
        _group(process, "note", "NXcollection").attrs.update(_provenance(scan))

        axis = motor_key(metadata.motor) if scan.angles is not None else "."
        data = _group(entry, "data", "NXdata", signal="intensity", axes=[axis, ".", "."])
        if scan.angles is not None:
            _quantity(data, axis, scan.angles, "deg")
            data.attrs[f"{axis}_indices"] = 0
        intensity = _volume(data, "intensity", scan, volume.dtype)
        intensity.attrs["units"] = "counts"
        errors = _volume(data, "intensity_errors", scan, np.float32)
        # Bit 0 of NXdetector's pixel_mask: gap.
        gap = _volume(detector, "pixel_mask", scan, np.uint32)
        detector["data"] = h5py.SoftLink("/entry/data/intensity")
        for part, values, sigmas, missing in _parts(scan):
            intensity[part], errors[part], gap[part] = values, sigmas, missing


def _save(path: Path | str, **arrays: NDArray[np.number]) -> None:
    with whole_file(path) as partial, partial.open("wb") as file:  # numpy appends .npz to a name
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _parts(scan: FilledScan) -> Iterator[tuple[slice, Any, Any, Any]]:
    """Blocks of frames: where they are, intensity, sigma and mask."""
    filled = scan.filled
    n, rows, cols = filled.intensity.shape
    step = Blocks.of((n, rows, cols), filled.intensity.dtype).frames
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        yield (
            part,
            np.asarray(filled.intensity[part]),
            np.asarray(filled.sigma[part]),
            np.asarray(filled.mask[part]),
        )


def _volume(group: h5py.Group, name: str, scan: FilledScan, dtype: DTypeLike) -> h5py.Dataset:
    """An empty dataset of the volumes' shape, compressed frame by frame."""
    shape = scan.filled.intensity.shape
    return group.create_dataset(
        name,
        shape,
        dtype,
        chunks=(1, *shape[1:]),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )


def _group(parent: h5py.Group, name: str, nx_class: str, **attributes: object) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update({"NX_class": nx_class, **attributes})
    return group


def _quantity(group: h5py.Group, name: str, value: object, unit: str) -> None:
    group[name] = value
    group[name].attrs["units"] = unit


def _detector_geometry(detector: h5py.Group, scan: FilledScan) -> None:
    """Distance, and pixel size and direct beam in pixels of the stack (region and binning)."""
    metadata = scan.metadata
    if metadata.distance is not None:
        _quantity(detector, "distance", metadata.distance, "m")
    origin = (0, 0) if metadata.roi is None else (metadata.roi[0][0], metadata.roi[1][0])
    for i, axis in enumerate("yx"):
        if metadata.pixel_size is not None:
            size = metadata.pixel_size[i] * metadata.binning[i]
            _quantity(detector, f"{axis}_pixel_size", size, "m")
        if metadata.direct_beam is not None:
            centre = (metadata.direct_beam[i] - origin[i]) / metadata.binning[i]
            _quantity(detector, f"beam_center_{axis}", centre, "pixel")


def _provenance(scan: FilledScan) -> dict[str, Any]:
    """Everything else that is known, as attributes."""
    flat = {**from_scan(scan.metadata), **from_report(scan.filled.report)}
    return {
        name: _text(value) if isinstance(value, str) else value
        for name, value in flat.items()
        if value is not None
    }


def _text(words: str) -> str:
    """Words as HDF5 takes them: no zeros, no halves of characters."""
    return words.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
