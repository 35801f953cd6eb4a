"""Scans are written by real processes, and an interrupted run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bcdi_inpaint.lab.simulate import simulate_scan
from bcdi_inpaint.lab.simulate.sets import generate
from bcdi_inpaint.lab.simulate.storage import read_scan, write_scan

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (24, 24, 24)


@pytest.mark.slow
def test_writes_each_seed_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = generate(tmp_path, 2, shape=SHAPE, processes=2)
    written = [path.stat().st_mtime_ns for path in first]
    paths = generate(tmp_path, 3, shape=SHAPE)
    assert [path.name for path in paths] == [f"training-{seed:08d}.h5" for seed in range(3)]
    assert [path.stat().st_mtime_ns for path in first] == written
    assert set(tmp_path.iterdir()) == set(paths)
    for seed, path in enumerate(paths):
        expected, got = simulate_scan(seed, SHAPE), read_scan(path)
        assert got.recipe == expected.recipe
        np.testing.assert_allclose(got.rate, expected.rate, rtol=1e-4, atol=1e-4)


def test_refuses_a_folder_of_other_parameters(tmp_path: Path) -> None:
    write_scan(tmp_path / "training-00000000.h5", simulate_scan(0, SHAPE, peak_counts=99.0))
    with pytest.raises(ValueError, match="other parameters; choose another folder"):
        generate(tmp_path, 1, shape=SHAPE)


def test_a_scan_survives_its_file(tmp_path: Path) -> None:
    scan = simulate_scan(4, SHAPE, split="evaluation", amplitude=True)
    path = tmp_path / "scan.h5"
    write_scan(path, scan)
    got = read_scan(path)
    assert got.recipe == scan.recipe
    for name in ("rate", "counts", "angles", "steps", "bad_pixels", "amplitude"):
        np.testing.assert_array_equal(getattr(got, name), getattr(scan, name))
