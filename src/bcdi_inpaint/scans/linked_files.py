"""Other files that HDF5 would open for a dataset, checked before it does.

A file may lead to others by external links, by virtual datasets and by raw data kept elsewhere, and
those to more. HDF5 looks for them in several places, the working directory among them, without asking.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from .local_files import OutsideRootsError, below, check_regular, open_hdf5

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LINKS = 16
"""That are followed to one dataset; HDF5's own bound."""
MOST_LEVELS = 8
"""Virtual datasets made of virtual datasets."""
PATTERNS = ("%b", "%%")
"""In names of sources; HDF5 puts numbers and a percent sign in their place."""
LINKS, VIRTUAL, RAW = "HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX"
"""Environment variables with folders in which HDF5 looks first."""


def find_dataset(
    file: h5py.File, name: str, roots: Sequence[str | Path], opened: ExitStack, axes: int = 2
) -> h5py.Dataset:
    """A dataset of frames (two axes or more) or numbers, for which HDF5 opens no file that is not below the roots.

    `opened` takes the files that links lead to; the dataset is open as long as they are.

    Raises
    ------
    OutsideRootsError
        If reading it would open a file elsewhere, or an unknown one.
    OSError
        If it is not there, or a file on the way can't be read.
    ValueError
        If it doesn't hold frames, or is made of itself.
    """
    dataset = follow(file, name, roots, opened)
    if isinstance(dataset, h5py.Dataset) and dataset.ndim >= axes and not dataset.dtype.hasobject:
        return dataset
    what = "frames" if axes > 1 else "numbers"
    raise ValueError(f"{name!r} in {file.filename} is not a dataset of {what}")


def follow(
    file: h5py.File, name: str, roots: Sequence[str | Path], opened: ExitStack
) -> h5py.Group | h5py.Dataset:
    """What a path leads to, if HDF5 needs no file for it that is not below the roots.

    Parameters and errors are those of `find_dataset`. Links are followed here, so that HDF5 has none to follow.
    """
    node = _follow(file, name, roots, opened)
    if isinstance(node, h5py.Dataset):
        check_sources(node, roots)  # before its shape is asked for, which may take them
    return node


def _follow(
    file: h5py.File, name: str, roots: Sequence[str | Path], opened: ExitStack
) -> h5py.Group | h5py.Dataset:
    node: h5py.Group | h5py.Dataset = file["/"]
    ahead = _steps(name)
    links = 0
    while ahead:
        step = ahead.pop()
        if not isinstance(node, h5py.Group) or (link := node.get(step, getlink=True)) is None:
            raise OSError(f"{file.filename} has no dataset {name!r}: there is no {step!r}")
        if isinstance(link, h5py.HardLink):
            node = node[step]
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(f"{name!r} in {file.filename} leads over more than {MOST_LINKS} links")
        ahead += _steps(link.path)
        if isinstance(link, h5py.ExternalLink):
            path = _found(Path(node.file.filename), link.filename, LINKS, roots)
            if path is None:
                raise OSError(
                    f"{file.filename} has no dataset {name!r}: there is no {link.filename}"
                )
            node = opened.enter_context(open_hdf5(path, roots))["/"]
        elif link.path.startswith("/"):
            node = node.file["/"]
    return node


def _steps(path: str) -> list[str]:
    """The names in a path, the last one first."""
    return [step for step in reversed(path.split("/")) if step not in ("", ".")]


def check_sources(
    dataset: h5py.Dataset,
    roots: Sequence[str | Path],
    checked: dict[tuple[Path, str], bool] | None = None,
) -> None:
    """Refuse a dataset whose values HDF5 would take from a file that is not below the roots.

    It may be virtual, and so may be what it is made of: `checked` are the file and name of sources that were
    checked -> whether the check is finished. HDF5 opens these files when it reads: asked again afterwards, this
    refuses what came from a file that was put in the place of another one meanwhile.

    Raises
    ------
    OutsideRootsError, OSError, ValueError
        As `find_dataset`.
    """
    checked = {} if checked is None else checked
    home = Path(dataset.file.filename)
    for name, _, _ in dataset.external or ():
        _check_raw(home, name, roots)
    if not dataset.is_virtual:
        return
    for name, inside in {(each.file_name, each.dset_name) for each in dataset.virtual_sources()}:
        if any(sign in text for sign in PATTERNS for text in (name, inside)):
            raise OutsideRootsError(f"{home} names the sources of its data by a pattern: {name}")
        path = home if name == "." else _found(home, name, VIRTUAL, roots)
        if path is None:  # HDF5 fills in for it
            continue
        source = path.resolve(), inside
        if not checked.get(source, True) or len(checked) - sum(checked.values()) > MOST_LEVELS:
            raise ValueError(f"{dataset.name!r} in {home} is made of itself, or in too many levels")
        if source not in checked:
            checked[source] = False
            with ExitStack() as opened:
                file = dataset.file if name == "." else opened.enter_context(open_hdf5(path, roots))
                found = _follow(file, inside, roots, opened)
                if isinstance(found, h5py.Dataset):
                    check_sources(found, roots, checked)
            checked[source] = True


def _check_raw(home: Path, name: str, roots: Sequence[str | Path]) -> None:
    """Refuse raw data that lie elsewhere; HDF5 takes their names from the working directory on."""
    path = Path(os.environ.get(RAW, "").replace("${ORIGIN}", str(home.parent)), name).absolute()
    below(path, roots)
    if path.exists():
        check_regular(path)


def _found(home: Path, name: str, variable: str, roots: Sequence[str | Path]) -> Path | None:
    """The file that HDF5 opens for a name in the file `home`; None if there is none."""
    given = Path(name)
    places = [given] if given.is_absolute() else []
    if places:
        given = Path(given.name)  # as HDF5 goes on where there is no such file
    prefix = os.environ.get(variable, "").replace("${ORIGIN}", str(home.parent))
    folders = [Path(folder) for folder in prefix.split(":") if folder]
    folders += [home.parent, Path.cwd(), home.resolve().parent]
    places += [folder / given for folder in folders]
    path = next((place for place in places if place.exists()), None)
    if path is not None:
        below(path, roots)
    return path
