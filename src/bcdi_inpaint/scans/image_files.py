"""Frames in image files (tif, EDF, CBF): one file with many, a numbered series, a folder of them."""

from __future__ import annotations

import bz2
import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.constants import METRE_EV

from .file_contents import FileContents
from .local_files import check_regular
from .sizes import check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .file_contents import NamedValues

    Header = dict[str, str]

NUMBER = re.compile(r"\d+")
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
CBF_SECTION, CBF_IMAGE = b"--CIF-BINARY-FORMAT-SECTION--", b"\x0c\x1a\x04\xd5"
"""What stands before an image in a CBF file (CBF/imgCIF)."""
CBF_HEADER = 2**20
"""Bytes in which it must begin."""
LISTED = 5
"""Names that a message holds."""


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image."""
    return _suffix(path) in READERS


def read_images(path: Path, angles: str | None, largest: int) -> FileContents:
    """Read a folder of images, a pattern of names (``scan_*.tif``), or an image file.

    A file that holds a single frame stands for the series that its number belongs to.

    Parameters and errors are those of `bcdi_inpaint.scans.from_file`; `angles` is a motor in the headers of EDF and
    CBF files, `largest` the bytes that the frames may take.
    """
    files = _files(path)
    notes = []
    first, headers = _read(files[0])
    if len(files) == 1 and len(first) == 1:
        files = _series_of(files[0])
        if len(files) == 1:
            raise ValueError(f"{path} holds a single frame, and no numbered file belongs to it")
        notes = [f"read the {len(files)} files of the series, {files[0].name} to {files[-1].name}"]
        first, headers = _read(files[0])
    check_size((len(files), *first.shape), first.dtype, largest)
    stacks = [first]
    for file in files[1:]:
        frames, more = _read(file)
        if frames.shape[1:] != first.shape[1:] or frames.dtype != first.dtype:
            raise ValueError(
                f"{file} holds frames of {_by(frames)}, {files[0].name} of {_by(first)}: "
                "they are not of one scan"
            )
        stacks.append(frames)
        headers += more
    columns = _columns(headers)
    if angles is not None and angles not in columns:
        raise ValueError(
            f"{path} has no angles {angles!r}; there are: {', '.join(columns) or 'none'}"
        )
    return FileContents(
        np.concatenate(stacks),
        {name: (column, "deg") for name, column in columns.items()},
        motor=angles or "",
        named_values=_named_values(headers[0]),
        notes=(*notes, *_absent(files)),
    )


def _files(path: Path) -> list[Path]:
    """The image files that a path stands for, in the order of their numbers."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if is_image(file)]
        if not files:
            raise ValueError(f"the folder {path} holds no images (tif, edf, cbf): name the file")
    elif path.exists():
        files = [path]
    else:
        files = [file for file in sorted(path.parent.glob(path.name)) if is_image(file)]
        if not files:
            raise FileNotFoundError(f"no image file has a name like {path}")
    return _in_order(files) if len(files) > 1 else files


def _in_order(files: list[Path]) -> list[Path]:
    """Files by the number in their names that is another one in each; a `ValueError` if they are not one series."""
    if len({NUMBER.sub("#", file.name) for file in files}) == 1:
        for column in _numbers(files):
            if len(set(column)) == len(files):
                return [file for _, file in sorted(zip(column, files, strict=True))]
    # Of several scans' files, say, or darks among them.
    patterns = dict.fromkeys(_pattern(file) for file in files)
    raise ValueError(
        f"{files[0].parent} holds more than one series; name one: {', '.join([*patterns][:LISTED])}"
    )


def _numbers(files: Sequence[Path]) -> list[tuple[int, ...]]:
    return list(zip(*([int(n) for n in NUMBER.findall(file.name)] for file in files), strict=True))


def _pattern(file: Path) -> str:
    """A file's name with a star for its last number: the series that it belongs to."""
    return re.sub(r"\d+(?=\D*$)", "*", file.name.removesuffix(file.suffix)) + file.suffix


def _series_of(file: Path) -> list[Path]:
    """Files whose names differ from this one's by the last number alone, in order."""
    kind = re.escape(_pattern(file)).replace(r"\*", r"\d+")
    return _in_order([other for other in file.parent.iterdir() if re.fullmatch(kind, other.name)])


def _absent(files: list[Path]) -> list[str]:
    """What is to be said of a number that is left out."""
    numbers = next((n for n in _numbers(files) if len(set(n)) == len(files) > 1), ())
    steps = np.diff(numbers)
    if not len(steps) or (steps == steps[0]).all():
        return []
    jump = int(np.argmax(steps > steps.min()))
    return [f"there is no file between {files[jump].name} and {files[jump + 1].name}"]


def _read(file: Path) -> tuple[NDArray[np.number], list[Header]]:
    """Frames ``(frame, row, col)`` of one file, and a header for each."""
    check_regular(file)
    frames, headers = READERS[_suffix(file)](file)
    if frames.ndim not in (2, 3) or frames.dtype.kind not in "iuf":
        raise ValueError(
            f"{file} holds {frames.dtype} {frames.shape}; takes grey images, (row, col) or (frame, row, col)"
        )
    return (frames[None] if frames.ndim == 2 else frames), headers


def _read_tif(file: Path) -> tuple[NDArray[np.number], list[Header]]:
    import tifffile

    try:
        with tifffile.TiffFile(file) as image:
            pages = image.pages if len(image.series) > 1 else []  # each written by itself
            alike = len({(page.shape, page.dtype) for page in pages}) == 1
            frames = np.stack([p.asarray() for p in pages]) if alike else image.asarray()
    except Exception as error:  # tifffile has no common class for what a damaged file raises
        raise OSError(f"{file} can't be read as tif: {error}") from error
    return frames, [{}]


def _read_with_fabio(file: Path) -> tuple[NDArray[np.number], list[Header]]:
    try:
        import fabio
    except ImportError:
        raise ImportError(f"reading {file} needs fabio: pip install 'bcdi-inpaint[edf]'") from None

    _refuse_without_image(file)
    try:
        with fabio.open(str(file)) as image:
            frames = [image.get_frame(index) for index in range(image.nframes)]
            return np.stack([frame.data for frame in frames]), [dict(f.header) for f in frames]
    except Exception as error:  # fabio has no common class for what a damaged file raises
        raise OSError(f"{file} can't be read: {error}") from error


def _refuse_without_image(file: Path) -> None:
    """Refuse a CBF file in which no image begins: fabio would look for it without end."""
    if _suffix(file) == ".cbf":
        with OPENERS.get(file.suffix.lower(), open)(file, "rb") as stream:
            head = stream.read(CBF_HEADER)
        if head.find(CBF_IMAGE, max(head.find(CBF_SECTION), 0)) < 0:
            raise OSError(f"{file} can't be read: no image begins in it")


READERS: dict[str, Callable[[Path], tuple[NDArray[np.number], list[Header]]]] = {
    ".tif": _read_tif,
    ".tiff": _read_tif,
    ".edf": _read_with_fabio,
    ".cbf": _read_with_fabio,
}


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz").removesuffix(".bz2")).suffix


def _columns(headers: list[Header]) -> dict[str, NDArray[np.float64]]:
    """Motors' angles, one for each frame, as far as all headers have them."""
    rows = [_motors(header) for header in headers]
    return {
        name: np.array([row[name] for row in rows])
        for name in rows[0]
        if all(name in row for row in rows)
    }


def _motors(header: Header) -> dict[str, float]:
    """Angles in one frame's header: SPEC's ``motor_mne`` and ``motor_pos`` (EDF), ``Start_angle`` (CBF)."""
    names, values = header.get("motor_mne", "").split(), header.get("motor_pos", "").split()
    found = dict(zip(names, values, strict=False))
    if said := _cbf_lines(header).get("Start_angle"):
        found["start_angle"] = said[0]
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _named_values(header: Header) -> NamedValues:
    """Energy, distance, pixel size and detector, as far as a header has them.

    EDF after the ESRF's SAXS conventions (lengths in metres), CBF after Dectris' mini-header.
    """
    said = _cbf_lines(header)
    numbers = {
        "wavelength": _first(header.get("WaveLength")) or _first(said.get("Wavelength"), 1e-10),
        "distance": _first(header.get("SampleDistance")) or _first(said.get("Detector_distance")),
        "y_pixel_size": _first(header.get("PSize_2")) or _first(said.get("Pixel_size")),
        "x_pixel_size": _first(header.get("PSize_1")) or _first(said.get("Pixel_size")),
    }
    named_values: dict[str, tuple[object, str]] = {
        name: (value, "m") for name, value in numbers.items() if value
    }
    if wavelength := numbers["wavelength"]:
        named_values["incident_energy"] = (METRE_EV / wavelength, "eV")
    if detector := said.get("Detector"):
        named_values["detector_model"] = (" ".join(detector).split(",")[0], "")
    return named_values


def _cbf_lines(header: Header) -> dict[str, list[str]]:
    """The words behind each key of a Dectris mini-header."""
    lines = header.get("_array_data.header_contents", "").splitlines()
    words = [line.lstrip("# ").split() for line in lines]
    return {first.rstrip(":"): rest for first, *rest in filter(None, words) if rest}


def _first(said: str | list[str] | None, factor: float = 1.0) -> float | None:
    """The first word as a number; None if it is none."""
    words = said.split() if isinstance(said, str) else said or []
    return float(words[0]) * factor if words and _is_number(words[0]) else None


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _by(frames: NDArray[np.number]) -> str:
    return f"{frames.shape[1]} x {frames.shape[2]} {frames.dtype}"
