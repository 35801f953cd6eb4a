"""Scans from files alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from bcdi_inpaint.scans import from_file

REAL_SCAN = Path(__file__).parents[3] / "shared" / "data" / "aps34idc_S0054.npz"


@pytest.fixture
def npz(tmp_path, stack, angles):
    def write(**arrays):
        path = tmp_path / "scan.npz"
        np.savez(path, **{"data": stack, "theta": angles, **arrays})
        return path

    return write


@pytest.fixture
def hdf5(tmp_path, stack, angles):
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data", data=stack, **hdf5plugin.Bitshuffle())
        file["entry/eta"] = angles
        file["entry/group/flat"] = np.ones((20, 24))
    return path


class TestNpz:
    def test_frames_and_angles(self, npz, stack, angles):
        scan = from_file(npz(), mask=False)
        np.testing.assert_array_equal(scan.frames, stack)
        np.testing.assert_array_equal(scan.angles, angles)
        assert scan.metadata.raw_uid == "scan.npz"
        assert scan.metadata.notes == ()

    def test_metadata(self, npz):
        meta = {"sample": "Pt", "incident_energy": 9000, "detector": "maxipix_2x2"}
        known = from_file(npz(meta=json.dumps(meta)), mask=False).metadata
        assert (known.sample, known.energy) == ("Pt", 9000)

    def test_other_names(self, npz, stack, angles):
        path = npz(frames=stack[:, :10], eta=angles + 1)
        scan = from_file(path, dataset="frames", angles="eta", mask=False)
        np.testing.assert_array_equal(scan.frames, stack[:, :10])
        np.testing.assert_array_equal(scan.angles, angles + 1)

    def test_several_frames_a_point(self, npz, stack, angles):
        path = npz(data=np.stack([stack, stack], axis=1))
        with pytest.raises(ValueError, match="2 frames at each of 6 points"):
            from_file(path, mask=False)
        scan = from_file(path, mask=False, frames_per_point="sum")
        np.testing.assert_array_equal(scan.frames, 2 * stack)
        np.testing.assert_array_equal(scan.angles, angles)

    def test_bad_ones(self, npz, stack):
        with pytest.raises(ValueError, match="no array 'frames'; there are: data, theta"):
            from_file(npz(), dataset="frames")
        with pytest.raises(ValueError, match="no angles 'phi'; there are: data, theta"):
            from_file(npz(), angles="phi")
        with pytest.raises(ValueError, match=r"has 6 points but \(3,\) angles"):
            from_file(npz(theta=np.arange(3)))
        with pytest.raises(ValueError, match="frames must be real numbers"):
            from_file(npz(data=stack * 1j))
        with pytest.raises(ValueError, match="frames must be real numbers"):
            from_file(npz(data=stack[0]))


class TestHdf5:
    def test_only_stack_and_only_column(self, hdf5, stack, angles):
        scan = from_file(hdf5, mask=False)
        np.testing.assert_array_equal(scan.frames, stack)
        np.testing.assert_array_equal(scan.angles, angles)
        assert scan.metadata.motor == "eta"

    def test_named(self, hdf5, stack, angles):
        scan = from_file(hdf5, dataset="entry/data", angles="/entry/eta", mask=False)
        np.testing.assert_array_equal(scan.frames, stack)
        np.testing.assert_array_equal(scan.angles, angles)
        assert scan.metadata.motor == "eta"

    def test_bad_ones(self, hdf5, stack):
        with pytest.raises(ValueError, match="no dataset 'entry'"):
            from_file(hdf5, dataset="entry")
        with h5py.File(hdf5, "a") as file:
            file["entry/flats"] = stack
        with pytest.raises(ValueError, match=r"name the dataset .*: entry/data, entry/flats"):
            from_file(hdf5)


def test_no_scan_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_file(tmp_path / "nothing.npz")
    text = tmp_path / "notes.txt"
    text.write_text("nothing")
    with pytest.raises(OSError, match=r"notes\.txt can't be read as HDF5"):
        from_file(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["scan.h5", "scan.npz", "scan.npy", "scan.tif"])
def test_a_pipe_is_not_waited_for(name, tmp_path):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=rf"^\S*/{name} is not a regular file$"):
        from_file(tmp_path / name)


def test_a_broken_npz_is_called_broken(tmp_path):
    path = tmp_path / "scan.npz"
    np.savez_compressed(path, data=np.random.default_rng(0).poisson(3, (8, 16, 16)))
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 9])
    for content in (b"", whole[:middle], flipped + whole[middle + 9 :]):
        path.write_bytes(content)
        with pytest.raises(OSError, match=r"scan\.npz is broken or truncated"):
            from_file(path, mask=False)


@pytest.mark.skipif(not REAL_SCAN.exists(), reason="the shared real scan is not here")
def test_real_scan():
    scan = from_file(REAL_SCAN, mask=False)
    assert scan.frames.shape == (201, 256, 256)
    assert scan.frames.dtype == np.int32
    np.testing.assert_allclose(np.diff(scan.angles), 0.005, atol=1e-3)
    assert not scan.mask.any()
