"""A rocking scan from files, without Bluesky or Tiled."""

from __future__ import annotations

import json
import tokenize
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .assembly import assemble
from .detector_files import frame_datasets, read_frames_of
from .file_contents import FileContents
from .guarded_file import text_attribute
from .hdf5_facts import COUNTS_PER_UNIT, columns_of, monitor_column, read_values
from .image_files import is_image, read_images
from .local_files import check_regular, open_hdf5
from .pixel_facts import PixelFacts, readable_facts
from .reading import AS_RECORDED
from .sizes import check_size
from .start_stop import number, text
from .streams import PointFrames, RunRecord, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from event_model import DataKey
    from numpy.typing import NDArray

    from .reading import ReadingOptions
    from .rocking_scan import RockingScan

BROKEN = (EOFError, SyntaxError, tokenize.TokenError)
"""What numpy raises over a broken array, beside `OSError` and `ValueError`."""
FRAMES = ("data", "intensity")
"""Arrays of an npz file that are frames without being named."""
ANGLES = ("theta", "angles")
MONITOR = "monitor"
"""An npz file's array of the beam monitor's readings, and its name under ``meta``."""
MOTOR = "angle"
"""What the rocking motor is called where the file has no name for it."""


def from_file(
    path: str | Path,
    reading: ReadingOptions = AS_RECORDED,
    *,
    dataset: str | None = None,
    angles: str | None = None,
    **options: Any,
) -> RockingScan:
    """Read a rocking scan from a file, or from a numbered series of image files.

    Parameters
    ----------
    path
        ``.npz``, ``.npy``; ``.tif``, ``.edf`` or ``.cbf``, also compressed, with all frames in one file or one in
        each: then the folder, a pattern (``scan_*.tif``), or any file of the series; else HDF5 of any
        extension (so CXI, NeXus, Dectris master files), also compressed with bitshuffle and the like.
    dataset
        Name of the frames ``(frame, row, col)`` or ``(point, frame, row, col)``. If None, an npz file's
        ``data`` or ``intensity``, or its only such array; in HDF5 all data files of a Dectris master file, what
        NeXus' ``default`` leads to, CXI's ``data_1``, or the only dataset of such a shape.
    angles
        Name of the angles in degrees, one for each point: an array, or a motor in the headers of EDF and CBF
        files. If None, ``theta`` or ``angles`` of an npz file; elsewhere NeXus' ``axes``, or the only column
        that rises or falls all the time.
    reading
        What the file itself doesn't decide.
    **options
        Single fields of `ReadingOptions`, before those of ``reading``: ``detector="eiger2_500k"``.

    Returns
    -------
    RockingScan
        With what the file says of energy, distance, pixels, detector and sample: an npz file in ``meta`` (JSON),
        under the names of `bcdi_inpaint.scans.facts`. The beam's monitor is the array ``monitor`` of an npz file,
        the only NXmonitor in HDF5; nothing is divided by it.

    Raises
    ------
    OSError
        If a file can't be read.
    ValueError
        If it is not a regular file or doesn't hold such arrays, or a choice is missing or doesn't fit.
    ImportError
        If fabio is needed (EDF, CBF) and not installed.
    """
    reading = replace(reading, **options)
    path = Path(path)
    contents = _contents(path, dataset, angles, reading.largest_stack)
    _check_shapes(contents, path)
    key, frames = dataset or "data", contents.frames
    motors = {"motors": [contents.motor]} if contents.motor else {}
    start = {"uid": path.name, "num_points": len(frames), **motors, **contents.start}
    points = frames if frames.ndim == 4 else frames[:, None]
    scan = assemble(
        RunRecord(start, {"exit_status": "success"}, {"primary": _stream(contents, path, key)}),
        PointFrames("primary", key, points, notes=contents.notes, pixels=contents.pixels),
        reading,
    )
    return _multiplied_before(scan, contents.counts_per_unit)


def _multiplied_before(scan: RockingScan, factor: float | None) -> RockingScan:
    """A scan from a file whose values had been multiplied by a factor already (None: were not)."""
    if factor is None:
        return scan
    whole = factor * (scan.metadata.counts_per_unit or 1.0)
    return replace(scan, metadata=replace(scan.metadata, counts_per_unit=whole))


def _check_shapes(contents: FileContents, path: Path) -> None:
    frames = contents.frames
    if frames.ndim not in (3, 4) or frames.dtype.kind not in "iuf":
        raise ValueError(
            f"frames must be real numbers, (frame, row, col) or (point, frame, row, col); {path} has "
            f"{frames.dtype} {frames.shape}"
        )
    for name, (column, _) in contents.columns.items():
        if column.shape != frames.shape[:1]:
            raise ValueError(f"{path} has {len(frames)} points but {column.shape} angles ({name})")


def _stream(contents: FileContents, path: Path, key: str) -> Stream:
    """What a file tells, as a run's descriptor would."""
    values = contents.named_values.items()
    columns = contents.columns.items()
    return Stream(
        data_keys={name: _key(path, unit) for name, (_, unit) in columns},
        configuration={
            key: {
                "data": {name: value for name, (value, _) in values},
                "data_keys": {name: _key(path, unit) for name, (_, unit) in values},
            }
        },
        columns={name: column for name, (column, _) in columns},
    )


def _key(path: Path, unit: str) -> DataKey:
    """As a descriptor has it for one number a point."""
    return {"source": path.name, "dtype": "number", "shape": [], "units": unit}


def _contents(path: Path, dataset: str | None, angles: str | None, largest: int) -> FileContents:
    """Read whatever it is."""
    if path.is_dir() or is_image(path):
        if dataset is not None:
            raise ValueError(f"{path} holds images without a name; there is no {dataset!r}")
        return read_images(path, angles, largest)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    check_regular(path)
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".npz":
        return _read_npz(path, dataset, angles, largest)
    if path.suffix.lower() == ".npy":
        if named := dataset or angles:
            raise ValueError(f"{path} holds a single array without a name; there is no {named!r}")
        return _read_npy(path, largest)
    return _read_hdf5(path, dataset, angles, largest)


def _read_npy(path: Path, largest: int) -> FileContents:
    try:
        with path.open("rb") as file:
            _check_declared(file, largest)
        return FileContents(np.load(path, allow_pickle=False))
    except BROKEN as error:
        raise OSError(f"{path} is broken or truncated, copy it again: {error}") from error


def _check_declared(file: IO[bytes], largest: int) -> None:
    """Refuse an array that is larger than this, before memory is taken for it."""
    short = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if short else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    check_size(shape, dtype, largest)


def _read_npz(path: Path, dataset: str | None, angles: str | None, largest: int) -> FileContents:
    with _whole_archive(path, largest) as arrays:
        name = dataset or next((known for known in FRAMES if known in arrays), None)
        if name is None:
            stacks = [known for known in arrays if arrays[known].ndim in (3, 4)]
            name = stacks[0] if len(stacks) == 1 else FRAMES[0]
        if name not in arrays:
            raise ValueError(f"{path} has no array {name!r}; there are: {', '.join(arrays)}")
        if angles is not None and angles not in arrays:
            raise ValueError(f"{path} has no angles {angles!r}; there are: {', '.join(arrays)}")
        there = [known for known in ((angles,) if angles else ANGLES) if known in arrays]
        frames = arrays[name]
        mask = arrays["mask"] if "mask" in arrays and name != "mask" else None
        note = "the file's own mask is taken (non-zero = missing)"
        own = mask is not None and mask.shape in (frames.shape, frames.shape[-2:])
        meta = _metadata(path, str(arrays["meta"])) if "meta" in arrays else {}
        columns: dict[str, tuple[NDArray[np.number], str]] = {}
        if MONITOR in arrays and arrays[MONITOR].shape == frames.shape[:1]:
            meta[MONITOR] = text(meta.get(MONITOR)) or MONITOR
            columns[meta[MONITOR]] = (arrays[MONITOR], "")
        if there:
            columns[MOTOR] = (arrays[there[0]], "deg")
        return FileContents(
            frames,
            columns,
            motor=MOTOR if there else "",
            counts_per_unit=_factor(meta.pop(COUNTS_PER_UNIT, None)),
            start=meta,
            pixels=PixelFacts(np.not_equal(mask, 0), notes=(note,))
            if mask is not None and own
            else PixelFacts(),
        )


def _metadata(path: Path, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its 'meta' is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: its 'meta' is no JSON object")  # noqa: TRY004
    return found


def _factor(said: object) -> float | None:
    factor = number(said)
    return factor if factor is not None and factor > 0 else None


@contextmanager
def _whole_archive(path: Path, largest: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as arrays:
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as file:
                        _check_declared(file, largest)
            yield arrays
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, *BROKEN) as error:
        raise OSError(f"{path} is broken or truncated, copy it again: {error}") from error


def _read_hdf5(path: Path, dataset: str | None, angles: str | None, largest: int) -> FileContents:
    with open_hdf5(path) as file:
        names = [dataset] if dataset else frame_datasets(file)
        frames = read_frames_of(file, names, largest)
        start, named_values = read_values(file, names[0])
        pixels = readable_facts(file, names[0], roots=("/",))
        if angles is None:
            motor, columns = columns_of(file, names[0], len(frames))
        else:
            motor = angles.rpartition("/")[2]
            unit = text_attribute(file[angles], "units")
            columns = {motor: (read_frames_of(file, [angles], largest), unit)}
        monitor = monitor_column(file, names[0], len(frames))
    return FileContents(
        frames,
        {**monitor, **columns},
        motor,
        {**start, **({MONITOR: next(iter(monitor))} if monitor else {})},
        named_values,
        pixels,
        counts_per_unit=_factor(named_values.get(COUNTS_PER_UNIT, (None, ""))[0]),
    )
