"""Filled scans for PyNX, from Python, from its command line and by way of cdiutils.

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

Best for a reconstruction is a band of the fill's own uncertainty (docs/downstream.md). PyNX has one pair of factors for
all estimated voxels, so `pynx_run` writes those of the whole gap, and a script that hands them over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from bcdi_inpaint.atomic_writing import whole_file
from bcdi_inpaint.constants import JOULE_PER_EV, METRE_EV

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
from .layout import path_segment
from .treatment import Gaps, recommended

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .filled_scan import FilledScan

SIGMAS = 2.0
"""Half-width of the band that a fill's uncertainty gives, in standard deviations."""
SOFT_BAND = (0.5, 1.2)
"""PyNX's band around an estimated intensity, as factors of it."""


FACTOR = "confidence_interval_factor_mask"
"""What PyNX calls the factors, with _min and _max."""
RUN = "run_pynx.py"

_SOFT = np.float32(-1e19)
_SOFT_LIMIT = np.nextafter(_SOFT, np.float32(-np.inf))
"""Rounded to float32, -1e19 lies a little within PyNX's range of free but observed pixels."""


@dataclass(slots=True)
class Doubt:
    """Counts of filled voxels and their uncertainty, summed up.

    Attributes
    ----------
    counts, sigma
        Sums over the voxels so far.
    """

    counts: float = 0.0
    sigma: float = 0.0

    def add(self, counts: NDArray[np.floating], sigma: NDArray[np.floating]) -> None:
        """Add some voxels."""
        self.counts += float(np.maximum(counts, 0).sum(dtype=float))
        self.sigma += float(sigma.sum(dtype=float))

    def factors(self) -> tuple[float, float]:
        """PyNX's confidence-interval factors: the band of `SIGMAS` where the gap's light is.

        ``1 -+ SIGMAS * sum(sigma) / sum(counts)``, that is each voxel's relative uncertainty weighted by its counts;
        PyNX's own pair where there is no light or no uncertainty.
        """
        if self.counts == 0 or self.sigma == 0:
            return SOFT_BAND
        width = SIGMAS * self.sigma / self.counts
        return max(1 - width, 0.0), 1 + width


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
    with whole_hdf5(path) as file:
        file["cxi_version"] = 140
        file.attrs["default"] = "entry_1"
        entry = new_group(file, "entry_1", "NXentry", default="data_1")
        entry["program_name"] = "bcdi-inpaint"
        if metadata.time is not None:
            entry["start_time"] = iso_time(metadata.time)
        if metadata.sample:
            new_group(entry, "sample_1", "NXsample")["name"] = plain_text(metadata.sample)
        instrument = new_group(entry, "instrument_1", "NXinstrument")
        if metadata.energy is not None:
            joules = metadata.energy * JOULE_PER_EV
            put_quantity(new_group(instrument, "source_1", "NXsource"), "energy", joules, "J")
            beam = new_group(instrument, "beam_1", "NXbeam")
            put_quantity(beam, "incident_energy", joules, "J")
            put_quantity(beam, "incident_wavelength", METRE_EV / metadata.energy, "m")
        detector = new_group(instrument, "detector_1", "NXdetector")
        put_detector(detector, scan)
        put_monitor(entry, scan)
        values = new_volume(detector, "data", scan, np.float32)
        # PyNX casts the mask to int8: nothing but 0 and 1 survives that.
        mask = new_volume(detector, "mask", scan, np.int8)
        # PyNX takes the first dataset with "mask" in its path: no other may be called so.
        ours = new_group(entry, "bcdi_inpaint", "NXcollection")
        ours.attrs.update({**provenance(scan), "gaps": gaps})
        if scan.angles is not None:
            put_quantity(ours, "rocking_angle", scan.angles, "deg")
        sigma = new_volume(ours, "sigma", scan, np.float32)
        filled = new_volume(ours, "filled_voxels", scan, np.uint8)
        doubt = Doubt()
        for part, intensity, sigmas, missing in frame_blocks(scan):
            values[part], mask[part] = pynx_arrays(intensity, missing, gaps)
            sigma[part], filled[part] = sigmas, missing
            doubt.add(intensity[missing], sigmas[missing])
        low, high = doubt.factors()
        ours.attrs[f"{FACTOR}_min"], ours.attrs[f"{FACTOR}_max"] = low, high
        data = new_group(entry, "data_1", "NXdata", signal="data")
        data["data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")


def pynx_run(
    folder: Path | str, scan: FilledScan, *, gaps: Gaps | None = None
) -> tuple[Path, Path, Path]:
    """All that PyNX needs for a run: a CXI file, a script for its Python API, inputs for its command line.

    The script keeps the filled gap within its uncertainty whatever `gaps` says, which is for the command line:
    that can't be told of estimates (``mask_interp`` makes its own, and the factors are for those).

    Returns
    -------
    tuple of Path
        ``S<scan>.cxi``, ``run_pynx.py`` and ``S<scan>_pynx_inputs.txt``.
    """
    folder = Path(folder)
    stem = _stem(scan)
    cxi, script, inputs = folder / f"{stem}.cxi", folder / RUN, folder / f"{stem}_pynx_inputs.txt"
    pynx_cxi(cxi, scan, gaps=gaps)
    with whole_file(script) as partial:
        partial.write_text(
            Path(__file__).with_name(RUN).read_text(encoding="utf-8"), encoding="utf-8"
        )
    mask = f"{cxi.name}:/entry_1/instrument_1/detector_1/mask"
    with whole_file(inputs) as partial:
        partial.write_text(
            f"data = {cxi.name}\nmask = {mask}\nzero_mask = False\n", encoding="utf-8"
        )
    return cxi, script, inputs


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
    stem = f"{_stem(scan)}_pynx_input"
    paths = Path(folder, f"{stem}_data.npz"), Path(folder, f"{stem}_mask.npz")
    _save(paths[0], data=data)
    _save(paths[1], data=mask)
    return paths


_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _stem(scan: FilledScan) -> str:
    """Of files' names: the scan's number, else the name of its file, else the beginning of its uid."""
    number, name = scan.metadata.scan_id, Path(scan.metadata.raw_uid).stem
    if number is not None:
        name = str(number)  # a server's nodes may hold anything in the place of a number
    elif _UID.fullmatch(name):
        name = name[:8]
    return f"S{path_segment(name)}"


def _save(path: Path | str, **arrays: NDArray[np.number]) -> None:
    with whole_file(path) as partial, partial.open("wb") as file:  # numpy appends .npz to a name
        np.savez_compressed(file, allow_pickle=False, **arrays)
