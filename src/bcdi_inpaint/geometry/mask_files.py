"""Masks in files: npy, npz, tif, edf, HDF5, NeXus, CXI."""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Literal

import numpy as np

from .merging import merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import h5py
    from numpy.typing import NDArray

NEXUS_BITS = 0x0000_FFFF
"""Bits of NXdetector's ``pixel_mask`` that reject a pixel; the upper ones only tag it
(31: virtual pixel). NeXus definitions, NXdetector."""

PIXEL_MASK = re.compile(r"pixel_mask(_\d+)?")
"""Names of NXdetector's masks, all of which count."""

CXI_BITS = 0x16DF
"""Bits of a CXI mask that reject a pixel: invalid 1, saturated 2, hot 4, dead 8, shadowed 16, to be
ignored 64, bad 128, missing 512, noisy 1024, failed correction 4096. Not rejected: in a peak 32,
out of resolution limits 256, corrected 2048, hit-finder peak 8192, background-corrected 16384."""


def read_mask(
    path: str | Path,
    *,
    dataset: str | None = None,
    missing: Literal["nonzero", "zero"] = "nonzero",
    bits: int | None = None,
) -> NDArray[np.bool_]:
    """Read a mask from a file.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, ``.tif``, ``.edf`` (also ``.edf.gz``; needs ``bcdi-inpaint[edf]``), or
        HDF5 by any of its names (``.h5``, ``.hdf5``, ``.nxs``, ``.nx``, ``.cxi``).
    dataset
        Which array of an npz or HDF5 file. By itself are found: a file's only array (npz); the
        datasets ``pixel_mask``, as in a Dectris master file, together with ``pixel_mask_1``, ... of
        the same group; else the one dataset with "mask" in its name.
    missing
        Polarity: which values mean missing. Most packages write 1 for missing, cohere writes 1 for
        pixels to keep (``missing="zero"``).
    bits
        For bit fields: a pixel is missing if any of these bits is set. By default `NEXUS_BITS` for
        datasets named ``pixel_mask``, `CXI_BITS` for those named ``mask`` in CXI files, and any
        bit otherwise.

    Returns
    -------
    bool array
        ``(row, col)``, or ``(frame, row, col)`` if the file holds frames that differ; True = missing.
        NaN is missing with either polarity.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file can't be read, or holds no mask, several, or an array that isn't 2-D or 3-D.
    ImportError
        If fabio is needed and not installed.

    Warns
    -----
    UserWarning
        If more than half of the pixels are missing, as with the wrong polarity.
    """
    path = Path(path)
    _check_meaning(missing, bits)
    mask = merge(
        **{
            name: _is_missing(values, missing, convention if bits is None else bits, path)
            for name, (values, convention) in _stored(path, dataset).items()
        }
    ).mask
    _doubt(mask, missing, path)
    return mask


Stored = dict[str, tuple["NDArray[np.number]", int | None]]
"""Name -> an array, and which bits reject a pixel where the file's convention says so."""


@contextmanager
def _reading(path: Path, kind: str, *more: type[Exception]) -> Iterator[None]:
    damaged: tuple[type[Exception], ...] = (OSError, ValueError, EOFError, zipfile.BadZipFile)
    damaged += (SyntaxError, TokenError, zlib.error)  # of numpy's headers, and of archives
    try:
        yield
    except (*damaged, *more) as error:
        raise ValueError(f"{path} can't be read as {kind}: {error}") from error


def _npy(path: Path, dataset: str | None) -> Stored:
    _refuse(dataset, path)
    with _reading(path, "npy"), path.open("rb") as file:
        return {path.name: (np.lib.format.read_array(file, allow_pickle=False), None)}


def _npz(path: Path, dataset: str | None) -> Stored:
    with path.open("rb") as file:
        with _reading(path, "npz"):
            arrays = np.lib.npyio.NpzFile(file)
        names = arrays.files
        if dataset is None:
            masks = names if len(names) == 1 else [n for n in names if "mask" in n.lower()]
            if len(masks) != 1:
                raise _undecided(path, masks, names)
            dataset = masks[0]
        if dataset not in names:
            raise ValueError(f"{path} has no {dataset!r}; it has {', '.join(names)}")
        with _reading(path, "npz"):
            return {dataset: (arrays[dataset], None)}


def _tif(path: Path, dataset: str | None) -> Stored:
    import tifffile

    _refuse(dataset, path)
    # tifffile has no common class for what a damaged file raises.
    with _reading(path, "TIFF", Exception), tifffile.TiffFile(path) as file:
        series = file.series[0]
        colour, values = "S" in series.axes, series.asarray()
    if colour:
        raise ValueError(f"{path} is a colour image; a mask has one value a pixel")
    return {path.name: (values, None)}


def _edf(path: Path, dataset: str | None) -> Stored:
    try:
        import fabio
    except ImportError:
        raise ImportError(f"reading {path} needs fabio: pip install 'bcdi-inpaint[edf]'") from None

    _refuse(dataset, path)
    # fabio has no common class for what a damaged file raises.
    with _reading(path, "EDF", Exception), fabio.open(str(path)) as image:
        frames = [image.get_frame(index).data for index in range(image.nframes)]
        return {path.name: (np.stack(frames), None)}


def _hdf5(path: Path, dataset: str | None) -> Stored:
    import h5py
    import hdf5plugin  # noqa: F401  # Dectris compresses pixel_mask with its filters

    with _reading(path, "HDF5"):
        file = h5py.File(path, "r")
    with file:
        names = [dataset] if dataset else _mask_names(path, file)
        cxi = path.suffix.lower() == ".cxi" or "cxi_version" in file
        return {name: _hdf5_mask(path, file, name, cxi=cxi) for name in names}


def _doubt(mask: NDArray[np.bool_], missing: str, path: Path) -> None:
    """Warn of a mask that marks more than half of the pixels."""
    if mask.mean() > 0.5:
        other = "zero" if missing == "nonzero" else "nonzero"
        warnings.warn(
            f"{path}: {mask.mean():.0%} of the pixels are missing; if this mask marks the pixels "
            f"to keep, read it with missing={other!r}",
            stacklevel=3,
        )


def _check_meaning(missing: str, bits: int | None) -> None:
    if missing not in ("nonzero", "zero"):
        raise ValueError(f"missing must be 'nonzero' or 'zero'; got {missing!r}")
    if bits is not None and missing == "zero":
        raise ValueError("bits say what is missing; they don't go with missing='zero'")


def _stored(path: Path, dataset: str | None) -> Stored:
    """The arrays in a file of any kind that are masks."""
    if not path.is_file():
        raise FileNotFoundError(f"no mask file {path}")
    suffix = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if suffix not in _READERS:
        raise ValueError(
            f"{path}: a mask file ends in {', '.join(f'.{name}' for name in _READERS)}"
        )
    return _READERS[suffix](path, dataset)


def _hdf5_mask(
    path: Path, file: h5py.File, name: str, *, cxi: bool
) -> tuple[NDArray[np.number], int | None]:
    import h5py

    if file.get(name, getclass=True) is not h5py.Dataset:
        what = "is a group" if name in file else "isn't there"
        raise ValueError(f"{path}: {name!r} {what}; dataset= takes a dataset's full path")
    last = name.rpartition("/")[2]
    bits = None
    if PIXEL_MASK.fullmatch(last):
        bits = NEXUS_BITS
    elif cxi and last == "mask":
        bits = CXI_BITS
    with _reading(path, "HDF5"):
        return file[name][()], bits


def _mask_names(path: Path, file: h5py.File) -> list[str]:
    """Paths of the dataset or datasets that are the one mask in a file."""
    import h5py

    found: dict[object, str] = {}  # a dataset with several names (links) counts once
    images: list[str] = []

    def look(name: str) -> None:
        item = file.get(name)  # follows links; None where one leads nowhere
        if isinstance(item, h5py.Dataset) and item.ndim >= 2:
            images.append(name)
            if "mask" in name.rpartition("/")[2].lower():
                found.setdefault(item, name)

    file.visit_links(look)
    names = list(found.values())
    nexus = [name for name in names if PIXEL_MASK.fullmatch(name.rpartition("/")[2])]
    if nexus and len({name.rpartition("/")[0] for name in nexus}) == 1:
        return nexus
    if len(names) != 1:
        raise _undecided(path, names, images)
    return names


_READERS: dict[str, Callable[[Path, str | None], Stored]] = {
    "npy": _npy,
    "npz": _npz,
    "tif": _tif,
    "tiff": _tif,
    "edf": _edf,
    **dict.fromkeys(("h5", "hdf5", "hdf", "nxs", "nx", "cxi"), _hdf5),
}


def _is_missing(
    values: NDArray[np.number], missing: str, bits: int | None, path: Path
) -> NDArray[np.bool_]:
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{path}: a mask holds numbers or booleans; this is {values.dtype}")
    if values.ndim > 2 and all(length == 1 for length in values.shape[:-2]):
        values = values.reshape(values.shape[-2:])
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(
            f"{path}: a mask is (row, col) or (frame, row, col); this has shape {values.shape}"
        )
    nan = np.isnan(values)
    if missing == "zero":
        marked = values == 0
    elif bits is None:
        marked = values != 0
    else:
        marked = rejected(np.where(nan, 0, values), bits)
    return np.asarray(marked | nan)


def rejected(values: NDArray[np.number], bits: int) -> NDArray[np.bool_]:
    """Pixels of a bit field in which any of `bits` is set."""
    # int64: the values may be int8 or float, the bits are up to 32
    return np.asarray((values.astype(np.int64) & bits) != 0)


def _refuse(dataset: str | None, path: Path) -> None:
    if dataset is not None:
        raise ValueError(f"{path} has no datasets; dataset= is for npz and HDF5 files")


def _undecided(path: Path, masks: list[str], everything: list[str]) -> ValueError:
    if masks:
        return ValueError(f"{path} has several masks; choose with dataset=: {', '.join(masks)}")
    listed = ", ".join(everything[:10]) or "none"
    return ValueError(f"{path} has no mask by name; choose with dataset= among: {listed}")
