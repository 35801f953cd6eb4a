"""Scans in image files: one file with all frames, numbered files, folders, and what their headers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fabio
import numpy as np
import pytest
import tifffile

from bcdi_inpaint.geometry import detector
from bcdi_inpaint.scans import from_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAMES = np.random.default_rng(0).poisson(4, (12, 20, 30)).astype(np.int32)
ANGLES = 10 + 0.01 * np.arange(len(FRAMES))
CBF = """# Detector: PILATUS 1M, S/N 10-0001
# Pixel_size 172e-6 m x 172e-6 m
# Wavelength 1.3776 A
# Detector_distance 0.85 m
# Start_angle {angle:.4f} deg.
"""


def write_tif(path: Path, frame: np.ndarray, _angle: float) -> None:
    tifffile.imwrite(path, frame)


def write_edf(path: Path, frame: np.ndarray, angle: float) -> None:
    header = {
        "motor_mne": "eta del nu phi", "motor_pos": f"{angle:.4f} 32.1 0.4 5", "WaveLength": "1.3776e-10",
        "SampleDistance": "0.85", "PSize_1": "172e-6", "PSize_2": "172e-6",
    }  # fmt: skip
    fabio.edfimage.EdfImage(data=frame, header=header).write(str(path))


def write_cbf(path: Path, frame: np.ndarray, angle: float) -> None:
    contents = CBF.format(angle=angle).replace("\n", "\r\n")
    header = {"_array_data.header_contents": contents}
    fabio.cbfimage.CbfImage(data=frame, header=header).write(str(path))


WRITERS: dict[str, Callable[[Path, np.ndarray, float], None]] = {
    "tif": write_tif,
    "edf": write_edf,
    "edf.gz": write_edf,
    "cbf": write_cbf,
}


def series(folder: Path, ending: str, *, first: int = 1) -> Path:
    folder.mkdir()
    for number, (frame, angle) in enumerate(zip(FRAMES, ANGLES, strict=True), start=first):
        WRITERS[ending](folder / f"scan7_{number}.{ending}", frame, angle)
    return folder


@pytest.mark.parametrize("ending", WRITERS)
def test_a_folder_a_pattern_and_any_file_of_a_series_are_the_same_scan(
    ending: str, tmp_path: Path
) -> None:
    # The numbers have no leading zeros: 10 comes after 9, not after 1.
    folder = series(tmp_path / "scan", ending)
    for path in (folder, folder / f"scan7_*.{ending}", folder / f"scan7_3.{ending}"):
        scan = from_file(path, mask=False)
        np.testing.assert_array_equal(scan.frames, FRAMES)


@pytest.mark.parametrize(("ending", "motor"), [("edf", "eta"), ("cbf", "start_angle")])
def test_headers_say_angles_energy_distance_and_pixels(
    ending: str, motor: str, tmp_path: Path
) -> None:
    scan = from_file(series(tmp_path / "scan", ending), mask=False)
    np.testing.assert_allclose(scan.angles, ANGLES)
    known = scan.metadata
    assert known.motor == motor
    assert known.energy == pytest.approx(9000, rel=1e-4)
    assert known.distance == 0.85
    assert known.pixel_size == (172e-6, 172e-6)


def test_a_header_names_the_detector(tmp_path: Path) -> None:
    known = detector("pilatus_1m")
    frame = np.ones(known.shape, np.int32)
    for number in range(2):
        write_cbf(tmp_path / f"scan_{number}.cbf", frame, 0.1 * number)
    scan = from_file(tmp_path)
    assert scan.metadata.detector == known.key
    np.testing.assert_array_equal(scan.mask, known.mask())


def test_another_motor_may_be_named(tmp_path: Path) -> None:
    folder = series(tmp_path / "scan", "edf")
    assert from_file(folder, angles="phi", mask=False).metadata.motor == "phi"
    with pytest.raises(ValueError, match="no angles 'chi'; there are: eta, del, nu, phi"):
        from_file(folder, angles="chi", mask=False)


def test_an_edf_file_may_hold_all_frames(tmp_path: Path) -> None:
    image = fabio.edfimage.EdfImage(data=FRAMES[0])
    for frame in FRAMES[1:]:
        image.append_frame(data=frame)
    image.write(str(tmp_path / "scan.edf"))
    np.testing.assert_array_equal(from_file(tmp_path / "scan.edf", mask=False).frames, FRAMES)


def test_a_tif_may_have_a_page_for_each_frame(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        for frame in FRAMES:
            file.write(frame, contiguous=False)
    np.testing.assert_array_equal(from_file(tmp_path / "scan.tif", mask=False).frames, FRAMES)


def test_a_number_that_is_left_out_is_said(tmp_path: Path) -> None:
    folder = series(tmp_path / "scan", "tif")
    (folder / "scan7_5.tif").unlink()
    scan = from_file(folder, mask=False)
    assert len(scan.frames) == len(FRAMES) - 1
    assert "there is no file between scan7_4.tif and scan7_6.tif" in scan.metadata.notes


def test_two_series_in_a_folder_are_not_mixed(tmp_path: Path) -> None:
    folder = series(tmp_path / "scan", "tif")
    for number in range(1, 4):
        write_tif(folder / f"scan8_{number}.tif", FRAMES[0], 0)
    with pytest.raises(ValueError, match=r"name one: scan7_\*\.tif, scan8_\*\.tif"):
        from_file(folder, mask=False)
    assert len(from_file(folder / "scan8_*.tif", mask=False).frames) == 3
    assert len(from_file(folder / "scan8_1.tif", mask=False).frames) == 3


def test_a_frame_of_another_shape_is_named(tmp_path: Path) -> None:
    folder = series(tmp_path / "scan", "tif")
    write_tif(folder / "scan7_4.tif", FRAMES[0, :5], 0)
    with pytest.raises(ValueError, match=r"scan7_4\.tif holds frames of 5 x 30 int32"):
        from_file(folder, mask=False)


def test_what_is_no_series_is_said_to_be_none(tmp_path: Path) -> None:
    write_tif(tmp_path / "lonely_1.tif", FRAMES[0], 0)
    with pytest.raises(ValueError, match="single frame"):
        from_file(tmp_path / "lonely_1.tif", mask=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images"):
        from_file(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="name like"):
        from_file(tmp_path / "scan_*.tif")
    (tmp_path / "torn.edf").write_bytes(b"{ half a header")
    with pytest.raises(OSError, match=r"torn\.edf can't be read"):
        from_file(tmp_path / "torn.edf")
