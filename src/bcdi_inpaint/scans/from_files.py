"""A rocking scan from a file, without Bluesky or Tiled."""

from __future__ import annotations

import json
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .assembly import assemble
from .detector_files import frame_datasets, own_mask, read_frames_of
from .local_files import check_regular, open_hdf5
from .reading import AS_RECORDED
from .streams import PointFrames, RunRecord, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from .reading import ReadingOptions
    from .rocking_scan import RockingScan

ANGLES = ("theta", "angles")
MOTOR = "angle"


def from_file(
    path: str | Path,
    reading: ReadingOptions = AS_RECORDED,
    *,
    dataset: str | None = None,
    angles: str | None = None,
    **options: Any,
) -> RockingScan:
    """Read a rocking scan from an npz, npy, tif or HDF5 file.

    Parameters
    ----------
    path
        ``.npz``, ``.npy``, ``.tif`` with a page for each frame, or HDF5 of any other extension (so
        CXI and NeXus), also compressed with bitshuffle and the like.
    dataset
        Name of the frames ``(frame, row, col)`` or ``(point, frame, row, col)``: an npz file's
        ``data`` if None; in HDF5 all data files of a Dectris master file, what NeXus' ``default`` leads to,
        or the only dataset of such a shape.
    angles
        Name of the angles in degrees, one for each point. If None, ``theta`` or ``angles`` of an
        npz file; in HDF5 there are none then.
    reading
        What the file itself doesn't decide. The mask that an HDF5 file holds of its own pixels (Dectris, NeXus,
        CXI) is taken too, unless ``mask=False``.
    **options
        Single fields of `ReadingOptions`, before those of ``reading``: ``detector="eiger2_500k"``.

    Returns
    -------
    RockingScan
        With the metadata that an npz file's ``meta`` (JSON) holds under the names of
        `bcdi_inpaint.scans.facts`.

    Raises
    ------
    OSError
        If the file can't be read.
    ValueError
        If it is not a regular file or doesn't hold such arrays, or a choice is missing or doesn't fit.
    """
    reading = replace(reading, **options)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    check_regular(path)
    other = _NOT_HDF5.get(path.suffix.lower(), _read_hdf5)
    read = _read_npz if zipfile.is_zipfile(path) else other
    frames, positions, meta, own, note = read(path, dataset, angles)
    if frames.ndim not in (3, 4) or frames.dtype.kind not in "iuf":
        raise ValueError(
            f"frames must be real numbers, (frame, row, col) or (point, frame, row, col); {path} has "
            f"{frames.dtype} {frames.shape}"
        )
    if positions is not None and positions.shape != frames.shape[:1]:
        raise ValueError(f"{path} has {len(frames)} points but {positions.shape} angles")
    points = frames if frames.ndim == 4 else frames[:, None]
    columns = {} if positions is None else {MOTOR: positions}
    start = {"uid": path.name, "motors": [MOTOR], "num_points": len(points), **meta}
    run = RunRecord(start, {"exit_status": "success"}, {"primary": Stream({}, {}, columns)})
    notes = (note,) if note else ()
    read_points = PointFrames("primary", dataset or "data", points, mask=own, notes=notes)
    return assemble(run, read_points, reading)


class _Read(NamedTuple):
    """Frames, angles, metadata, and what the file itself takes for missing."""

    frames: NDArray[np.number]
    angles: NDArray[np.number] | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})
    mask: NDArray[np.bool_] | None = None
    note: str = ""


def _read_npz(path: Path, dataset: str | None, angles: str | None) -> _Read:
    with _whole_archive(path) as arrays:
        name = dataset or "data"
        if name not in arrays:
            raise ValueError(f"{path} has no array {name!r}; there are: {', '.join(arrays)}")
        if angles is not None and angles not in arrays:
            raise ValueError(f"{path} has no angles {angles!r}; there are: {', '.join(arrays)}")
        there = [known for known in ((angles,) if angles else ANGLES) if known in arrays]
        meta = json.loads(str(arrays["meta"])) if "meta" in arrays else {}
        return _Read(arrays[name], arrays[there[0]] if there else None, meta)


@contextmanager
def _whole_archive(path: Path) -> Iterator[Mapping[str, NDArray[np.number]]]:
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (zipfile.BadZipFile, zlib.error) as error:
        raise OSError(f"{path} is broken or cut short, copy it again: {error}") from error


def _read_npy(path: Path, dataset: str | None, angles: str | None) -> _Read:
    _refuse_names(path, dataset, angles)
    return _Read(np.load(path, allow_pickle=False))


def _read_tif(path: Path, dataset: str | None, angles: str | None) -> _Read:
    import tifffile

    _refuse_names(path, dataset, angles)
    try:
        return _Read(tifffile.imread(path))
    except tifffile.TiffFileError as error:
        raise OSError(f"{path} can't be read as tif: {error}") from error


_NOT_HDF5 = {".npz": _read_npz, ".npy": _read_npy, ".tif": _read_tif, ".tiff": _read_tif}
"""Extension -> what reads it; all other files are HDF5."""


def _refuse_names(path: Path, dataset: str | None, angles: str | None) -> None:
    if named := dataset or angles:
        raise ValueError(f"{path} holds a single array without a name; there is no {named!r}")


def _read_hdf5(path: Path, dataset: str | None, angles: str | None) -> _Read:
    with open_hdf5(path) as file:
        frames = read_frames_of(file, [dataset] if dataset else frame_datasets(file))
        positions = None if angles is None else read_frames_of(file, [angles])
        return _Read(frames, positions, {}, *own_mask(file))
