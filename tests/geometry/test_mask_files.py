"""Masks in real files, as the programs that write them do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin
import numpy as np
import pytest
import tifffile

from bcdi_inpaint.geometry import read_mask

if TYPE_CHECKING:
    from pathlib import Path

BAD = np.zeros((12, 16), dtype=bool)
BAD[5:7] = True
BAD[:, 3] = True
BAD[9, 11] = True


def write_edf(path: Path, *frames: np.ndarray) -> Path:
    edfimage = pytest.importorskip("fabio.edfimage", reason="fabio isn't installed")
    image = edfimage.EdfImage(data=frames[0])
    for frame in frames[1:]:
        image.append_frame(data=frame)
    image.write(str(path))
    return path


def write_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def hdf5(tmp_path):
    def write(name: str = "mask.h5", /, **datasets: np.ndarray) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for dataset, values in datasets.items():
                file[dataset.replace("__", "/")] = values
        return path

    return write


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.int32, np.float64])
def test_npy_of_any_dtype(tmp_path, dtype):
    np.save(tmp_path / "mask.npy", BAD.astype(dtype))
    mask = read_mask(tmp_path / "mask.npy")
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, BAD)


def test_polarity_is_what_the_caller_says(tmp_path):
    np.save(tmp_path / "alien.npy", np.where(BAD, 0, 1))  # cohere: 1 = keep
    np.testing.assert_array_equal(read_mask(tmp_path / "alien.npy", missing="zero"), BAD)
    with pytest.warns(UserWarning, match="missing='zero'"):
        np.testing.assert_array_equal(read_mask(tmp_path / "alien.npy"), ~BAD)


def test_nan_is_missing_with_either_polarity(tmp_path):
    keep = np.ones((4, 4))
    keep[1, 1] = np.nan
    np.save(tmp_path / "keep.npy", keep)
    np.save(tmp_path / "bad.npy", 1 - keep)
    for name, missing in (("keep.npy", "zero"), ("bad.npy", "nonzero")):
        found = read_mask(tmp_path / name, missing=missing)  # type: ignore[arg-type]
        assert np.argwhere(found).tolist() == [[1, 1]]


def test_npz_of_pynx_bcdi_and_cdiutils(tmp_path):
    files: dict[str, dict[str, Any]] = {
        "bcdi": {"mask": BAD.astype(int)},
        "cdiutils": {"data": BAD.astype(float)},
        "both": {"data": np.ones((3, 12, 16)), "mask": BAD},
    }
    for name, arrays in files.items():
        np.testing.assert_array_equal(read_mask(write_npz(tmp_path / f"{name}.npz", **arrays)), BAD)
    several = write_npz(tmp_path / "several.npz", mask_a=~BAD, mask_b=BAD)
    with pytest.raises(ValueError, match=r"several masks; choose with dataset=: mask_a, mask_b"):
        read_mask(several)
    np.testing.assert_array_equal(read_mask(several, dataset="mask_b"), BAD)
    with pytest.raises(ValueError, match="has no 'mask_c'; it has mask_a, mask_b"):
        read_mask(several, dataset="mask_c")
    with pytest.raises(ValueError, match="no mask by name; choose with dataset= among: a, b"):
        read_mask(write_npz(tmp_path / "none.npz", a=BAD, b=BAD))


def test_tif_and_edf_with_one_frame_and_with_several(tmp_path):
    other = np.roll(BAD, 2, axis=0)
    tifffile.imwrite(tmp_path / "one.tif", BAD.astype(np.uint8) * 255)
    tifffile.imwrite(
        tmp_path / "two.tiff", np.stack([BAD, other]).astype(np.uint8), photometric="minisblack"
    )
    write_edf(tmp_path / "one.edf", BAD.astype(np.uint8))
    write_edf(tmp_path / "one.edf.gz", BAD.astype(np.int32))
    write_edf(tmp_path / "two.edf", BAD.astype(np.uint8), other.astype(np.uint8))
    for name in ("one.tif", "one.edf", "one.edf.gz"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), BAD)
    for name in ("two.tiff", "two.edf"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), np.stack([BAD, other]))


def test_a_colour_image_is_no_mask(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((12, 16, 3), np.uint8), photometric="rgb")
    with pytest.raises(ValueError, match="colour image"):
        read_mask(tmp_path / "rgb.tif")


def test_edf_without_fabio_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "mask.edf"
    path.write_bytes(b"{}")
    monkeypatch.setitem(sys.modules, "fabio", None)
    with pytest.raises(ImportError, match=r"bcdi-inpaint\[edf\]"):
        read_mask(path)


def test_the_pixel_mask_of_a_dectris_master_file_is_found_by_itself(tmp_path):
    path = tmp_path / "series_1_master.h5"
    with h5py.File(path, "w") as file:
        specific = file.create_group("entry/instrument/detector/detectorSpecific")
        specific.create_dataset(
            "pixel_mask",
            data=BAD.astype(np.uint32),
            chunks=BAD.shape,
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )
        specific["flatfield"] = np.ones(BAD.shape, np.float32)
        file["entry/instrument/detector/pixel_mask"] = h5py.SoftLink(f"{specific.name}/pixel_mask")
        file["entry/data/data_000001"] = h5py.ExternalLink("absent.h5", "/entry/data/data")
    np.testing.assert_array_equal(read_mask(path), BAD)


def test_a_mask_behind_an_external_link_is_found(tmp_path, hdf5):
    hdf5("meta.h5", pixel_mask=BAD.astype(np.uint32))
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry/instrument/detector/pixel_mask"] = h5py.ExternalLink("meta.h5", "/pixel_mask")
    np.testing.assert_array_equal(read_mask(path), BAD)


@pytest.mark.parametrize(
    ("bit", "rejects"), [(0, True), (1, True), (8, True), (15, True), (16, False), (31, False)]
)
@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
def test_the_upper_bits_of_a_nexus_pixel_mask_only_tag(hdf5, bit, rejects, dtype):
    values = np.where(BAD, np.uint32(1) << bit, np.uint32(0)).astype(np.uint32).view(dtype)
    path = hdf5(entry__instrument__detector__pixel_mask=values)
    np.testing.assert_array_equal(read_mask(path), BAD & rejects)


def test_all_nexus_masks_of_one_detector_are_put_together(hdf5):
    other = np.roll(BAD, 1, axis=1)
    path = hdf5(
        entry__detector__pixel_mask=BAD.astype(np.uint32),
        entry__detector__pixel_mask_1=other.astype(np.uint32),
        entry__detector__mask_note=np.ones((2, 2)),
    )
    np.testing.assert_array_equal(read_mask(path), BAD | other)


@pytest.mark.parametrize(("value", "rejects"), [(1, True), (512, True), (2048, False), (32, False)])
def test_the_bits_of_a_cxi_mask(hdf5, value, rejects):
    values = np.where(BAD, value, 0).astype(np.uint16)
    path = hdf5("scan.cxi", entry_1__instrument_1__detector_1__mask=values)
    np.testing.assert_array_equal(read_mask(path), BAD & rejects)
    np.testing.assert_array_equal(read_mask(path, bits=0xFFFF), BAD)


def test_bits_say_which_bits_of_any_mask_reject(tmp_path):
    for dtype in (np.int8, np.uint64, np.float32):
        np.save(tmp_path / "bits.npy", np.where(BAD, 4, 2).astype(dtype))
        np.testing.assert_array_equal(read_mask(tmp_path / "bits.npy", bits=0x0104), BAD)


def test_per_frame_masks_and_leading_axes_of_one(hdf5):
    frames = np.stack([BAD, ~BAD, BAD])
    np.testing.assert_array_equal(read_mask(hdf5(pixel_mask=frames.astype(np.uint8))), frames)
    np.testing.assert_array_equal(read_mask(hdf5("b.h5", mask=BAD[None, None])), BAD)
    np.testing.assert_array_equal(read_mask(hdf5("c.h5", mask=np.stack([BAD, BAD]))), BAD)


def test_several_masks_in_a_file_are_refused_until_one_is_chosen(hdf5):
    path = hdf5("cdiutils.cxi", entry_1__image_1__mask=BAD, entry_1__detector_1__mask=~BAD)
    with pytest.raises(
        ValueError, match=r"several masks.*: entry_1/detector_1/mask, entry_1/image_1/mask"
    ):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, dataset="/entry_1/image_1/mask"), BAD)


def test_a_file_without_a_mask_lists_what_it_has(hdf5):
    path = hdf5(entry__bad_pixels=BAD, entry__energy=np.float64(9000))
    with pytest.raises(ValueError, match=r"no mask by name; .* among: entry/bad_pixels$"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, dataset="entry/bad_pixels"), BAD)
    with pytest.raises(ValueError, match="'entry' is a group"):
        read_mask(path, dataset="entry")
    with pytest.raises(ValueError, match="'entry/mask' isn't there"):
        read_mask(path, dataset="entry/mask")


@pytest.mark.parametrize("suffix", ["npy", "npz", "tif", "edf", "h5"])
def test_a_damaged_file_is_refused_by_name(tmp_path, suffix):
    if suffix == "edf":
        pytest.importorskip("fabio", reason="fabio isn't installed")
    path = tmp_path / f"mask.{suffix}"
    path.write_bytes(b"not a mask at all")
    with pytest.raises(ValueError, match=rf"mask\.{suffix} can't be read as"):
        read_mask(path)


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
def test_a_truncated_file_is_refused_by_name(tmp_path, hdf5, suffix):
    path = tmp_path / f"mask.{suffix}"
    if suffix == "npy":
        np.save(path, BAD)
    elif suffix == "npz":
        write_npz(path, mask=BAD)
    else:
        hdf5(pixel_mask=BAD)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=rf"mask\.{suffix} can't be read as"):
        read_mask(path)


def test_what_is_no_mask_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no mask file .*absent\.npy"):
        read_mask(tmp_path / "absent.npy")
    (tmp_path / "mask.png").touch()
    with pytest.raises(ValueError, match=r"a mask file ends in \.npy, \.npz, \.tif"):
        read_mask(tmp_path / "mask.png")
    for name, values, message in (
        ("line", BAD[0], r"this has shape \(16,\)"),
        ("deep", np.zeros((2, 3, 4, 4)), r"this has shape \(2, 3, 4, 4\)"),
        ("empty", np.zeros((0, 4)), r"this has shape \(0, 4\)"),
        ("text", np.array([["a", "b"]]), "numbers or booleans"),
    ):
        np.save(tmp_path / f"{name}.npy", values)
        with pytest.raises(ValueError, match=message):
            read_mask(tmp_path / f"{name}.npy")


def test_options_that_make_no_sense_are_refused(tmp_path):
    np.save(tmp_path / "mask.npy", BAD)
    with pytest.raises(ValueError, match="'nonzero' or 'zero'"):
        read_mask(tmp_path / "mask.npy", missing="one")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="don't go with missing='zero'"):
        read_mask(tmp_path / "mask.npy", missing="zero", bits=1)
    with pytest.raises(ValueError, match="has no datasets"):
        read_mask(tmp_path / "mask.npy", dataset="mask")
