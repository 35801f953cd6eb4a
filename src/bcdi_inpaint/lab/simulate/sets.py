"""Many simulated scans in a folder, by a few processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .recipes import Recipe, Split, draw_recipe
from .rendering import render
from .storage import read_recipe, write_scan

if TYPE_CHECKING:
    from pathlib import Path


def generate(
    folder: Path,
    count: int,
    *,
    first_seed: int = 0,
    shape: tuple[int, int, int] = (128, 128, 128),
    split: Split = "training",
    amplitude: bool = False,
    device: str | None = None,
    processes: int = 1,
    **pinned: Any,
) -> list[Path]:
    """Simulate scans of consecutive seeds into ``<split>-<seed>.h5`` files of a folder.

    Files that are there already are kept, so an interrupted run goes on where it stopped.

    Parameters
    ----------
    folder
        Made if need be.
    count
        How many scans.
    first_seed
        Seed of the first one.
    shape, split, pinned
        See `draw_recipe`.
    amplitude, device
        See `render`.
    processes
        How many work at once, one thread each; on a GPU a few keep it busy.

    Returns
    -------
    The files, in the order of their seeds.

    Raises
    ------
    ValueError
        If a file that is there already holds a scan of other parameters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipes = {
        folder / f"{split}-{seed:08d}.h5": draw_recipe(seed, shape, split=split, **pinned)
        for seed in range(first_seed, first_seed + count)
    }
    missing = {}
    for path, recipe in recipes.items():
        if not path.exists():
            missing[path] = recipe
        elif read_recipe(path) != recipe:
            raise ValueError(f"{path} holds a scan of other parameters; choose another folder")

    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    make = partial(_make, amplitude=amplitude, device=device)
    # Spawned, not forked: a fork of a process with threads (torch, HDF5, Qt) may hang.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    with Progress(*columns) as progress, pool:
        bar = progress.add_task("", total=count, completed=count - len(missing))
        try:
            for done in as_completed([pool.submit(make, *item) for item in missing.items()]):
                done.result()
                progress.advance(bar)
        except BaseException:  # an interrupt too: don't finish the queue first
            pool.shutdown(cancel_futures=True)
            raise
    return list(recipes)


def _make(path: Path, recipe: Recipe, *, amplitude: bool, device: str | None) -> None:
    with threadpool_limits(1):
        write_scan(path, render(recipe, amplitude=amplitude, device=device))
