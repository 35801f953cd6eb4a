"""Many simulated scans in a folder, by a few processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bcdi_inpaint.progress import no_progress

from .recipes import Recipe, Split, draw_recipe
from .rendering import render
from .storage import read_recipe, write_scan

if TYPE_CHECKING:
    from pathlib import Path

    from bcdi_inpaint.progress import Progress


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
    progress: Progress = no_progress,
    **pinned: Any,
) -> list[Path]:
    """Simulate scans of consecutive seeds into ``<split>-<seed>.h5`` files of a folder.

    Files that are there already are kept, so an interrupted run goes on where it stopped. Returned are all of them, in
    the order of their seeds.

    Parameters
    ----------
    folder, count, first_seed
        Where (it is made if need be), how many, and from which seed on.
    shape, split, pinned, amplitude, device
        See `draw_recipe` and `render`.
    processes
        How many work at once, one thread each; on a GPU a few keep it busy.

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

    # Spawned, not forked: a fork of a process with threads (torch, HDF5, Qt) may hang.
    make = partial(_make, amplitude=amplitude, device=device)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        kept = count - len(missing)
        progress("simulating", kept, count)
        try:
            made = [pool.submit(make, path, recipe) for path, recipe in missing.items()]
            for done, future in enumerate(as_completed(made), start=kept + 1):
                future.result()
                progress("simulating", done, count)
        except BaseException:  # an interrupt too: don't finish the queue first
            pool.shutdown(cancel_futures=True)
            raise
    return list(recipes)


def _make(path: Path, recipe: Recipe, *, amplitude: bool, device: str | None) -> None:
    with threadpool_limits(1):
        write_scan(path, render(recipe, amplitude=amplitude, device=device))
