"""Files as detectors write them: linked data, default paths, and the detector's own mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bcdi_inpaint.geometry import detector
from bcdi_inpaint.scans import from_file

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = np.random.default_rng(0).poisson(3, (6, 512, 1028)).astype(np.uint32)
GAP, DEAD, HOT, VIRTUAL = 1, 2, 8, 1 << 31


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """A Dectris master file: three data files of two frames, and the detector's ``pixel_mask``."""
    path = tmp_path / "scan_master.h5"
    with h5py.File(path, "w") as file:
        for part in range(3):
            name = f"scan_data_{part + 1:06d}.h5"
            with h5py.File(tmp_path / name, "w") as data:
                data["entry/data/data"] = FRAMES[2 * part : 2 * part + 2]
            file[f"entry/data/data_{part + 1:06d}"] = h5py.ExternalLink(name, "entry/data/data")
        mask = np.zeros(FRAMES.shape[1:], np.uint32)
        mask[:, 500:512], mask[3, 4], mask[5, 6], mask[7, 8] = GAP, DEAD, HOT, VIRTUAL
        file["entry/instrument/detector/detectorSpecific/pixel_mask"] = mask
    return path


def test_all_data_files_of_a_master_file_are_read(master: Path) -> None:
    scan = from_file(master, detector="eiger2_500k")
    np.testing.assert_array_equal(scan.frames, FRAMES)


def test_its_mask_is_taken_without_being_asked_for(master: Path) -> None:
    scan = from_file(master, detector="eiger2_500k")
    own = np.zeros(FRAMES.shape[1:], bool)
    own[:, 500:512] = own[3, 4] = own[5, 6] = True
    np.testing.assert_array_equal(scan.mask, own | detector("eiger2_500k").mask())
    (note,) = [note for note in scan.metadata.notes if "own mask" in note]
    assert "marks 6146 pixels (6144 gap, 1 dead, 1 over-responding)" in note
    assert not from_file(master, mask=False).mask.any()


def test_a_data_file_that_is_not_there_is_named(master: Path, tmp_path: Path) -> None:
    (tmp_path / "scan_data_000002.h5").unlink()
    with pytest.raises(OSError, match=r"links to scan_data_000002\.h5, which isn't there"):
        from_file(master, detector="eiger2_500k")


def test_a_detector_that_is_not_known_has_its_own_mask(tmp_path: Path) -> None:
    path = tmp_path / "odd.nxs"
    with h5py.File(path, "w") as file:
        file["entry/instrument/detector/data"] = FRAMES[:, :40, :50]
        file["entry/instrument/detector/pixel_mask"] = np.eye(40, 50, dtype=np.int32)
    scan = from_file(path)
    np.testing.assert_array_equal(scan.mask, np.eye(40, 50, dtype=bool))
    assert any("isn't known" in note for note in scan.metadata.notes)


def test_the_default_of_a_nexus_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry/other/stack"] = np.zeros((3, 4, 5))
        file["entry/plot/counts"] = FRAMES[:, :20, :20]
        file.attrs["default"] = "entry"
        file["entry"].attrs["default"] = "plot"
        file["entry/plot"].attrs["signal"] = "counts"
    np.testing.assert_array_equal(from_file(path, mask=False).frames, FRAMES[:, :20, :20])


def test_the_mask_of_a_cxi_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "scan.cxi"
    invalid, peak = 1, 32
    with h5py.File(path, "w") as file:
        file["entry_1/instrument_1/detector_1/data"] = FRAMES[:, :20, :30]
        mask = np.zeros((20, 30), np.uint32)
        mask[4], mask[6] = invalid, peak
        file["entry_1/instrument_1/detector_1/mask"] = mask
    scan = from_file(path)
    assert scan.mask[4].all()
    assert scan.mask.sum() == 30


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "uint32", "int64", "bool"])
def test_a_mask_may_be_of_any_integers(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry/instrument/detector/data"] = FRAMES[:, :40, :50]
        file["entry/instrument/detector/pixel_mask"] = np.eye(40, 50, dtype=dtype)
    np.testing.assert_array_equal(from_file(path).mask, np.eye(40, 50, dtype=bool))
