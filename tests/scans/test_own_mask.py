"""The mask that a run's own files hold: of runs in Tiled, of documents, and through links."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import h5py
import hdf5plugin
import numpy as np
import pytest

from bcdi_inpaint.scans import ReadingOptions, from_documents, from_file, from_run
from bcdi_inpaint.scans.facts import Facts, Reading
from bcdi_inpaint.scans.pixel_documents import documented_pixels
from bcdi_inpaint.scans.pixel_facts import read_pixel_facts
from bcdi_inpaint.testing.devices import at_motor
from bcdi_inpaint.testing.stream_detector import StreamDetector
from tests.helpers.dectris_files import DectrisWriter

if TYPE_CHECKING:
    from pathlib import Path

GAP, DEAD, WEAK, HOT, NOISY, USER, VIRTUAL = 1, 2, 4, 8, 16, 256, 1 << 31
SHAPE = (20, 24)
BITS = np.zeros(SHAPE, np.uint32)
BITS[:, 10:12], BITS[3, 4], BITS[5, 6], BITS[5, 7] = GAP, DEAD, HOT, VIRTUAL
OWN = BITS & 0xFFFF != 0
MASK = "entry/instrument/detector/pixel_mask"


class TestRunOfADectrisDetector:
    """Announced is the master file alone, with links to the frames."""

    @pytest.fixture
    def recording(self, record, rock, stack, angles, motor, detector_files):
        writer = DectrisWriter(BITS, count_cutoff=int(stack.max()))
        expose = at_motor(stack, angles, motor)
        detector = StreamDetector(expose, detector_files, name="eiger", writer=writer)
        with closing(detector):
            return record(rock(detector))

    def test_its_mask_counts(self, recording, detector_files, stack):
        scan = from_run(recording.run, file_roots=[detector_files])
        np.testing.assert_array_equal(scan.mask, OWN)
        masked = {"file": 42, "file_gap": 40, "file_dead": 1, "file_hot": 1, "flags": 0}
        assert scan.metadata.masked == masked
        said = "\n".join(scan.metadata.notes)
        assert f"own mask {MASK} marks 42 pixels (40 gap, 1 dead, 1 hot)" in said
        assert "1 pixels are virtual ones" in said
        assert "interpolated the virtual pixels" in said
        assert f"saturated, at {stack.max()} counts or more" in said
        replayed = from_documents(recording.replayed(), file_roots=[detector_files])
        np.testing.assert_array_equal(replayed.mask, OWN)
        assert replayed.metadata.masked == masked
        assert replayed.metadata.notes == scan.metadata.notes

    def test_saturated_voxels_are_missing_by_choice(self, recording, detector_files, stack):
        brightest = stack == stack.max()
        scan = from_run(recording.run, mask=False, fill_saturated=True, file_roots=[detector_files])
        np.testing.assert_array_equal(np.broadcast_to(scan.mask, stack.shape), brightest)
        assert scan.metadata.masked["saturated"] == brightest.any(axis=0).sum()
        assert not any("saturated" in note for note in scan.metadata.notes)

    def test_it_can_be_left_out(self, recording, detector_files):
        user = np.eye(*SHAPE, dtype=bool)
        scan = from_run(recording.run, mask=user, own_mask=False, file_roots=[detector_files])
        np.testing.assert_array_equal(scan.mask, user)
        choices = ReadingOptions(mask=user, own_mask=False)
        replayed = from_documents(recording.replayed(), choices, file_roots=[detector_files])
        np.testing.assert_array_equal(replayed.mask, user)

    def test_nothing_is_read_where_no_folder_is_allowed(self, recording, tmp_path):
        assert not from_run(recording.run, mask=np.zeros(SHAPE, bool)).mask.any()
        elsewhere = from_run(recording.run, mask=np.zeros(SHAPE, bool), file_roots=[tmp_path])
        assert not elsewhere.mask.any()
        assert any("may not be read" in note for note in elsewhere.metadata.notes)


class TestLinks:
    """A file that may be read leads to one that may not."""

    @pytest.fixture
    def roots(self, tmp_path: Path) -> list[Path]:
        (tmp_path / "allowed").mkdir()
        (tmp_path / "secret").mkdir()
        with h5py.File(tmp_path / "secret/mask.h5", "w") as file:
            file["mask"] = BITS
        return [tmp_path / "allowed"]

    def written(self, roots: list[Path], add) -> Path:
        path = roots[0] / "scan_master.h5"
        with h5py.File(path, "w") as file:
            file["entry/data/data"] = np.zeros((3, *SHAPE), np.uint16)
            file.create_group("entry/instrument/detector")
            add(file)
        return path

    def facts(self, path: Path, roots: list[Path]):
        return read_pixel_facts(path.as_uri(), "/entry/data/data", roots)

    def test_the_mask_may_lie_in_another_allowed_file(self, roots):
        with h5py.File(roots[0] / "mask.h5", "w") as other:
            other["mask"] = BITS
        path = self.written(
            roots, lambda file: file.__setitem__(MASK, h5py.ExternalLink("mask.h5", "mask"))
        )
        np.testing.assert_array_equal(self.facts(path, roots).mask, OWN)

    @pytest.mark.parametrize(
        "place", [MASK, "entry/instrument/detector/detectorSpecific", "entry/instrument"]
    )
    def test_no_link_leads_elsewhere(self, roots, place):
        def add(file: h5py.File) -> None:
            if place in file:
                del file[place]
            file[place] = h5py.ExternalLink("../secret/mask.h5", "mask")

        facts = self.facts(self.written(roots, add), roots)
        assert facts.mask is None
        (note,) = facts.notes
        assert "not below an allowed folder" in note

    def test_no_virtual_dataset_leads_elsewhere(self, roots):
        def add(file: h5py.File) -> None:
            layout = h5py.VirtualLayout(SHAPE, np.uint32)
            layout[...] = h5py.VirtualSource(str(roots[0] / "../secret/mask.h5"), "mask", SHAPE)
            file.create_virtual_dataset(MASK, layout)

        facts = self.facts(self.written(roots, add), roots)
        assert facts.mask is None
        assert "not below an allowed folder" in facts.notes[0]

    def test_a_link_to_nothing_is_told(self, roots):
        path = self.written(
            roots, lambda file: file.__setitem__(MASK, h5py.ExternalLink("gone.h5", "mask"))
        )
        assert "there is no gone.h5" in self.facts(path, roots).notes[0]


class TestFiles:
    def written(self, tmp_path: Path, name: str, **stored) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for key, values in stored.items():
                file[key] = values
        return path

    def test_several_masks_of_nexus_are_one(self, tmp_path):
        second = np.zeros(SHAPE, np.int32)
        second[0] = USER
        path = self.written(
            tmp_path,
            "scan.nxs",
            **{
                "entry/instrument/detector/data": np.zeros((3, *SHAPE)),
                MASK: BITS.astype(np.int64),
                f"{MASK}_1": second,
                "entry/instrument/detector/pixel_mask_notes": np.ones(SHAPE),
            },
        )
        scan = from_file(path)
        np.testing.assert_array_equal(scan.mask, OWN | (second > 0))
        assert scan.metadata.masked["file_user"] == SHAPE[1]

    def test_the_detector_of_an_esrf_file_is_that_of_the_frames_name(self, tmp_path):
        path = tmp_path / "sample_0001.h5"
        with h5py.File(path, "w") as file:
            for number in (1, 2):  # as BLISS writes them: an entry a scan, an NXdetector a counter
                entry = file.create_group(f"{number}.1")
                entry.create_group("instrument").attrs["NX_class"] = "NXinstrument"
                for name in ("eiger", "maxipix", "diode"):
                    entry.create_group(f"instrument/{name}").attrs["NX_class"] = "NXdetector"
                camera = entry["instrument/eiger"]
                camera.create_dataset(
                    "data", data=np.full((3, *SHAPE), number), **hdf5plugin.Bitshuffle()
                )
                camera.create_dataset(
                    "pixel_mask", data=BITS * (number == 1), chunks=SHAPE, **hdf5plugin.Bitshuffle()
                )
                entry["instrument/maxipix/pixel_mask"] = np.ones((7, 9), np.uint8)
                entry["instrument/diode/data"] = np.arange(3)
                entry["measurement/eiger"] = h5py.SoftLink(f"/{number}.1/instrument/eiger/data")
        first = from_file(path, dataset="1.1/measurement/eiger")
        np.testing.assert_array_equal(first.mask, OWN)
        second = from_file(path, dataset="2.1/instrument/eiger/data")
        assert not second.mask.any()

    def test_masks_of_several_detectors_are_not_guessed_at(self, tmp_path):
        path = self.written(
            tmp_path,
            "scan.nxs",
            **{
                "entry/data/data": np.zeros((3, *SHAPE)),
                "entry/instrument/detector_1/pixel_mask": BITS,
                "entry/instrument/detector_2/pixel_mask": BITS,
            },
        )
        scan = from_file(path, mask=np.zeros(SHAPE, bool))
        assert not scan.mask.any()
        assert any("several detectors" in note for note in scan.metadata.notes)

    def test_the_mask_of_the_whole_detector_is_cut_as_the_frames_are(self, tmp_path):
        path = self.written(
            tmp_path, "scan.nxs", **{"entry/data/data": np.zeros((3, 8, 10)), MASK: BITS}
        )
        roi = ((2, 10), (6, 16))
        scan = from_file(path, roi=roi)
        np.testing.assert_array_equal(scan.mask, OWN[2:10, 6:16])
        unknown = from_file(path, mask=np.zeros((8, 10), bool))
        assert any(
            "(20, 24), frames are (8, 10): it isn't used" in n for n in unknown.metadata.notes
        )

    @pytest.mark.parametrize(
        "stored", [b"no mask", np.ones(SHAPE), np.ones(7, np.uint8), np.ones((3, *SHAPE), np.uint8)]
    )
    def test_what_is_no_mask_is_passed_over(self, tmp_path, stored):
        path = self.written(
            tmp_path, "scan.nxs", **{"entry/data/data": np.zeros((3, *SHAPE)), MASK: stored}
        )
        facts = read_pixel_facts(str(path), "entry/data/data", [tmp_path])
        assert facts.mask is None


class TestDocuments:
    """The IOC may have replaced pixels before the file was written."""

    def said(self, **configuration):
        group = {
            name: Reading(value, "", name)
            for key, value in configuration.items()
            if (name := key.replace("__", "-"))
        }
        return documented_pixels(Facts({}, (group,)))

    @pytest.mark.parametrize(
        "configuration",
        [
            {"det_badpix1_enable": "Enable"},
            {"det__bad_pixel__enable_callbacks": True},
            {"det_fix_plugin_type": "NDPluginBadPixel", "det_fix_enable": 1},
            {"det_fix_plugin_type": "NDPluginBadPixel"},
        ],
    )
    def test_a_plugin_that_replaces_pixels_is_told(self, configuration):
        (note,) = self.said(**configuration).notes
        assert "NDPluginBadPixel" in note

    @pytest.mark.parametrize(
        "configuration",
        [
            {"det_badpix1_enable": "Disable"},
            {"det_fix_plugin_type": "NDPluginBadPixel", "det_fix_enable": 0},
            {"det_stats_plugin_type": "NDPluginStats", "det_stats_enable": 1},
            {"det_virtual_pixel_correction_applied": False},
        ],
    )
    def test_nothing_is_said_of_what_was_off(self, configuration):
        assert self.said(**configuration).notes == ()

    def test_virtual_pixels_and_saturation(self):
        facts = self.said(
            det_detector_virtual_pixel_correction_applied=True,
            det_detector_countrate_correction_count_cutoff=126634,
        )
        assert facts.saturation == 126634
        assert "interpolated the virtual pixels" in facts.notes[0]
