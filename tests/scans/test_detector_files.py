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
    assert "marks 6146 pixels (6144 gap, 1 dead, 1 hot)" in note
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


def test_a_cxi_file_says_energy_distance_and_sample(tmp_path: Path) -> None:
    path = tmp_path / "scan.cxi"
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 140
        file["entry_1/instrument_1/detector_1/data"] = FRAMES[:, :20, :30]
        file["entry_1/instrument_1/detector_1/mask"] = np.zeros((6, 20, 30), np.int8)
        file["entry_1/instrument_1/detector_1/distance"] = 0.85
        file["entry_1/instrument_1/detector_1/x_pixel_size"] = 55e-6
        file["entry_1/instrument_1/detector_1/y_pixel_size"] = 55e-6
        file["entry_1/instrument_1/source_1/energy"] = 9000 * 1.602176634e-19  # CXI: joules
        file["entry_1/sample_1/name"] = "Pt_a"
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
    known = from_file(path).metadata
    assert known.energy == pytest.approx(9000)
    assert known.distance == 0.85
    assert known.pixel_size == (55e-6, 55e-6)
    assert known.sample == "Pt_a"


def test_a_master_file_says_energy_distance_and_angles(master: Path) -> None:
    with h5py.File(master, "r+") as file:
        detector_group = file["entry/instrument/detector"]
        detector_group["description"] = "Dectris EIGER2 Si 500K"
        detector_group["detector_distance"] = 0.85
        detector_group["beam_center_x"] = 514.0
        detector_group["beam_center_y"] = 256.0
        file["entry/instrument/beam/incident_wavelength"] = 1.3776
        file["entry/instrument/beam/incident_wavelength"].attrs["units"] = "angstrom"
        file["entry/sample/goniometer/omega"] = np.linspace(10, 10.5, 6)
        file["entry/sample/goniometer/omega_end"] = np.linspace(10.1, 10.6, 6)
        file["entry/sample/goniometer/chi"] = np.full(6, 90.0)
    scan = from_file(master)
    known = scan.metadata
    assert known.detector == "eiger2_500k"
    assert known.energy == pytest.approx(9000, rel=1e-4)
    assert (known.distance, known.direct_beam) == (0.85, (256.0, 514.0))
    assert known.motor == "omega"
    np.testing.assert_allclose(scan.angles, np.linspace(10, 10.5, 6))
    assert known.sample_angles == {"chi": 90.0}


def test_what_is_said_goes_before_what_the_file_says(master: Path) -> None:
    known = from_file(
        master, detector="eiger2_500k", energy=8000.0, distance=1.2, mask=False
    ).metadata
    assert (known.energy, known.distance) == (8000.0, 1.2)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"energy": 9.0}, "energy is in eV, 1000 to 200000; got 9"),
        ({"distance": 850.0}, "distance is in m"),
        ({"binning": (0, 2)}, "binning must be two whole numbers from 1"),
        ({"roi": ((10, 5), (0, 3))}, r"roi must be .* is empty"),
    ],
)
def test_options_that_cannot_be_are_refused(option: dict, said: str, master: Path) -> None:
    with pytest.raises(ValueError, match=said):
        from_file(master, **option)


def test_axes_of_a_nexus_file_are_the_angles(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/plot")
        data["counts"], data["eta"] = FRAMES[:, :20, :20], np.linspace(0, 1, 6)
        data["ring_current"] = np.linspace(200, 199, 6)
        data.attrs.update({"signal": "counts", "axes": ["eta", ".", "."]})
        file.attrs["default"], file["entry"].attrs["default"] = "entry", "plot"
    scan = from_file(path, mask=False)
    assert scan.metadata.motor == "eta"
    np.testing.assert_array_equal(scan.angles, np.linspace(0, 1, 6))


def test_a_part_of_a_detector_has_the_mask_of_its_file(master: Path) -> None:
    with h5py.File(master, "r+") as file:
        file["entry/instrument/detector/local_name"] = "eiger2_4m"
    scan = from_file(master)
    assert scan.metadata.detector == ""
    assert any("no whole ones of eiger2_4m" in note for note in scan.metadata.notes)
    assert scan.mask.sum() == 6146


def test_an_npz_file_may_hold_its_own_mask(tmp_path: Path) -> None:
    stack = FRAMES[:, :20, :30]
    mask = np.eye(20, 30, dtype=np.uint8)
    np.savez(tmp_path / "scan.npz", intensity=stack, mask=mask)
    scan = from_file(tmp_path / "scan.npz")
    np.testing.assert_array_equal(scan.frames, stack)
    np.testing.assert_array_equal(scan.mask, mask.astype(bool))
