"""The page on phase retrieval that starts by itself: its two programs, a real Tiled server, real cohere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bcdi_inpaint.catalog import write
from tests.helpers.filled_scans import scan_with_fill
from tests.helpers.tiled_servers import KEY
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = (Path(__file__).parents[2] / "docs" / "watching.md").read_text()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the page's programs."""
    for name, text in re.findall(r'```python title="(.*?)"\n(.*?)```', PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def watching(programs: Path, server: Any) -> Iterator[tuple[Any, Path]]:
    """An empty container that is watched, and where its scans are reconstructed."""
    _, processed = server.beamline()
    folder = programs / "results"
    write(processed, *scan_with_fill(shape=(16, 16, 16)))
    command = ["watch.py", server.uri, "/".join(processed.path_parts), folder]
    with subprocess.Popen(
        [sys.executable, *command, sys.executable, "reconstruct.py"],
        cwd=programs,
        env={**os.environ, "TILED_API_KEY": KEY, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield processed, folder
        process.kill()


def test_a_scan_is_reconstructed_when_it_is_complete(watching: tuple[Any, Path]) -> None:
    processed, folder = watching
    (before,) = processed
    until((folder / before / "results" / "image.npy").exists)
    scan, filled = scan_with_fill(shape=(16, 16, 16))
    node = write(processed, scan, filled)
    place = folder / node.item["id"]
    until((place / "results" / "image.npy").exists)
    assert np.load(place / "results" / "image.npy").shape == (16, 16, 16)
    with h5py.File(place / "scan.cxi") as file:
        measured = ~filled.mask
        np.testing.assert_array_equal(
            file["entry_1/data_1/data"][()][measured], filled.intensity[measured]
        )
    assert {path.name for path in folder.iterdir()} == set(processed)
