"""Exported files, read back as their consumers read them."""

from __future__ import annotations

import runpy
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import chexus
import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bcdi_inpaint.catalog import FilledScan
from bcdi_inpaint.export import formats as exporters
from bcdi_inpaint.scans import ScanMetadata
from tests.helpers.filled_scans import METADATA

if TYPE_CHECKING:
    from bcdi_inpaint.catalog import BCDIInpainted
    from tests.helpers.filled_scans import MakeScan

DATA = "entry_1/instrument_1/detector_1/data"
MASK = "entry_1/instrument_1/detector_1/mask"


@pytest.fixture
def scan(make_scan: MakeScan) -> FilledScan:
    raw, filled = make_scan()
    return FilledScan(filled, raw.metadata, raw.angles)


def with_values(scan: FilledScan, **volumes: Any) -> FilledScan:
    return replace(scan, filled=replace(scan.filled, **volumes))


def pynx_load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Data and mask as `pynx.cdi.runner` loads them from a file given as data and as mask."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            keys = list(file)
            data = file[next((k for k in ("data", "iobs") if k in keys), keys[0])]
            mask = file["mask" if "mask" in keys else keys[0]]
    else:
        with h5py.File(path) as file:
            candidates = (DATA, "entry_1/image_1/data", "entry_1/data_1/data")
            data = next(file[c][()] for c in candidates if c in file)
            found: list[str] = []
            file.visit(lambda name: found.append(name) if "mask" in name else None)
            mask = file[found[0]][()]
    data = data.astype(np.float32)
    mask = (mask.astype(np.int8) > 0) | np.isnan(data)
    data[mask] = 0
    data[data < 0] = 0
    return data, mask


def pynx_ranges(iobs: np.ndarray) -> dict[str, np.ndarray]:
    """What the values of `CDI.iobs` mean, in float64 to be strict at the limits."""
    iobs = iobs.astype(np.float64)
    return {
        "observed": iobs >= 0,
        "free": (iobs < 0) & (iobs > -1e19),
        "estimated": (iobs <= -1e19) & (iobs > -1e38),
        "masked": iobs <= -1e38,
    }


@pytest.mark.parametrize("export", [exporters.pynx_cxi, exporters.pynx_npz])
@pytest.mark.parametrize(("gaps", "masked"), [("hard", False), ("soft", True), ("free", True)])
def test_pynx_loads_data_and_mask(
    scan: FilledScan, tmp_path: Path, export: Any, gaps: str, masked: bool
) -> None:
    path = tmp_path / f"scan.{export.__name__.removeprefix('pynx_')}"
    export(path, scan, gaps=gaps)
    data, mask = pynx_load(path)
    filled = scan.filled
    np.testing.assert_array_equal(mask, filled.mask if masked else np.zeros_like(filled.mask))
    np.testing.assert_array_equal(data[~mask], filled.intensity[~mask])
    assert (data[mask] == 0).all()


def test_the_mask_survives_the_cast_to_int8(scan: FilledScan, tmp_path: Path) -> None:
    exporters.pynx_cxi(tmp_path / "scan.cxi", scan, gaps="free")
    with h5py.File(tmp_path / "scan.cxi") as file:
        assert file[MASK].dtype == np.int8
        assert set(np.unique(file[MASK])) == {0, 1}


def test_one_dataset_only_has_mask_in_its_path(scan: FilledScan, tmp_path: Path) -> None:
    exporters.pynx_cxi(tmp_path / "scan.cxi", scan)
    names: list[str] = []
    with h5py.File(tmp_path / "scan.cxi") as file:
        file.visit(names.append)
    assert [name for name in names if "mask" in name] == [MASK]


@settings(deadline=None)
@given(
    npst.arrays(
        np.float32,
        (2, 3, 2),
        elements=st.floats(-5, 2**31, width=32),  # predictions may come out below zero
    ),
    npst.arrays(bool, (2, 3, 2)),
)
def test_soft_gaps_are_estimates_to_pynx_whatever_their_value(
    intensity: np.ndarray, mask: np.ndarray
) -> None:
    iobs, unusable = exporters.pynx_arrays(intensity, mask, "soft")
    ranges = pynx_ranges(iobs)
    np.testing.assert_array_equal(ranges["estimated"], mask)
    np.testing.assert_array_equal(ranges["observed"], ~mask)
    np.testing.assert_array_equal(unusable, mask)
    estimate = -iobs[mask].astype(np.float64) / 1e19 - 1
    np.testing.assert_allclose(estimate, np.maximum(intensity[mask], 0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gaps", ["hard", "free"])
def test_negative_values_never_become_free_pixels(scan: FilledScan, gaps: Any) -> None:
    intensity = scan.filled.intensity - 3
    iobs, _ = exporters.pynx_arrays(intensity, scan.filled.mask, gaps)
    assert pynx_ranges(iobs)["observed"].all()
    assert iobs.min() == 0


def test_cxi_carries_si_units(scan: FilledScan, tmp_path: Path) -> None:
    exporters.pynx_cxi(tmp_path / "scan.cxi", scan)
    with h5py.File(tmp_path / "scan.cxi") as file:
        assert file["cxi_version"][()] == 140
        instrument = file["entry_1/instrument_1"]
        joules = 8994.0 * 1.602176634e-19
        assert instrument["source_1/energy"][()] == pytest.approx(joules)
        assert instrument["beam_1/incident_energy"][()] == pytest.approx(joules)
        wavelength = instrument["beam_1/incident_wavelength"][()]
        assert wavelength == pytest.approx(1.37852e-10, rel=1e-5)
        detector = instrument["detector_1"]
        assert detector["distance"][()] == 1.2
        assert detector["y_pixel_size"][()] == 55e-6
        assert detector["x_pixel_size"][()] == 56e-6
        assert file.get("entry_1/data_1/data", getlink=True).path == f"/{DATA}"
        assert detector["data"].compression == "gzip"
        assert detector["data"].shuffle
        assert detector["data"].chunks == (1, 24, 20)
        assert file["entry_1/bcdi_inpaint"].attrs["detector_angle_delta"] == 33.4
        np.testing.assert_array_equal(file["entry_1/bcdi_inpaint/sigma"], scan.filled.sigma)


def test_pixel_size_and_beam_are_those_of_the_stack(scan: FilledScan, tmp_path: Path) -> None:
    metadata = replace(METADATA, binning=(2, 4), roi=((240, 288), (250, 330)))
    exporters.nexus(tmp_path / "scan.nxs", replace(scan, metadata=metadata))
    with h5py.File(tmp_path / "scan.nxs") as file:
        detector = file["entry/instrument/detector"]
        assert detector["y_pixel_size"][()] == pytest.approx(110e-6)
        assert detector["x_pixel_size"][()] == pytest.approx(224e-6)
        assert detector["beam_center_y"][()] == pytest.approx((250.5 - 240) / 2)
        assert detector["beam_center_x"][()] == pytest.approx((261.25 - 250) / 4)


def test_what_is_not_known_is_left_out(scan: FilledScan, tmp_path: Path) -> None:
    unknown = replace(
        METADATA,
        energy=None,
        distance=None,
        pixel_size=None,
        direct_beam=None,
        time=None,
        sample="",
    )
    bare = replace(scan, metadata=unknown, angles=None)
    exporters.pynx_cxi(tmp_path / "scan.cxi", bare)
    exporters.nexus(tmp_path / "scan.nxs", bare)
    with h5py.File(tmp_path / "scan.cxi") as file:
        assert set(file["entry_1/instrument_1"]) == {"detector_1"}
        assert set(file["entry_1/instrument_1/detector_1"]) == {"data", "mask"}
    with h5py.File(tmp_path / "scan.nxs") as file:
        assert list(file["entry/data"].attrs["axes"]) == [".", ".", "."]


def test_counts_beyond_float32_are_kept_where_the_reader_keeps_them(
    scan: FilledScan, tmp_path: Path
) -> None:
    intensity = scan.filled.intensity.astype(np.float64)
    intensity[0, 0, 0] = 2**24 + 1
    large = with_values(scan, intensity=intensity)
    exporters.nexus(tmp_path / "scan.nxs", large)
    exporters.tif(tmp_path / "scan.tif", large)
    exporters.pynx_cxi(tmp_path / "scan.cxi", large)
    with h5py.File(tmp_path / "scan.nxs") as file:
        assert file["entry/data/intensity"][0, 0, 0] == 2**24 + 1
    assert tifffile.imread(tmp_path / "scan.tif")[0, 0, 0] == 2**24 + 1
    with h5py.File(tmp_path / "scan.cxi") as file:
        assert file[DATA].dtype == np.float32


def test_cdiutils_finds_both_arrays_under_data(scan: FilledScan, tmp_path: Path) -> None:
    data, mask = exporters.cdiutils(tmp_path / "results", scan, gaps="free")
    assert data.name == "S54_pynx_input_data.npz"
    assert mask.name == "S54_pynx_input_mask.npz"
    np.testing.assert_array_equal(np.load(data)["data"], scan.filled.intensity)
    np.testing.assert_array_equal(np.load(mask)["data"], scan.filled.mask)


class PyNX(ModuleType):
    """The names of ``pynx.cdi`` that the script uses, which PyNX's operators have: they note what they are given."""

    SupportTooLarge = SupportTooSmall = ArithmeticError

    class CDI:
        def __init__(self, iobs: np.ndarray, mask: None = None) -> None:
            assert mask is None
            self.iobs = iobs
            self.cycles: list[tuple[str, Any]] = []

        def get_support(self) -> np.ndarray:
            return np.ones(self.iobs.shape, np.int8)

        def set_obj(self, obj: np.ndarray) -> None:
            assert obj.shape == self.iobs.shape

        def init_free_pixels(self) -> None:
            pass

        def save_obj_cxi(self, filename: str) -> None:
            PyNX.saved[Path(filename).name] = self

    saved: ClassVar[dict[str, CDI]] = {}

    class Operator:
        def __init__(self, **given: Any) -> None:
            self.chain = [(type(self).__name__, given)]

        def __mul__(self, other: Any) -> Any:
            if isinstance(other, PyNX.CDI):
                other.cycles += reversed(self.chain)
                return other
            product = PyNX.Operator()
            product.chain = self.chain + other.chain
            return product

        def __pow__(self, times: int) -> Any:
            power = PyNX.Operator()
            power.chain = self.chain * times
            return power

    def __getattr__(self, name: str) -> Any:
        return type(name, (PyNX.Operator,), {})


def test_the_script_hands_pynx_the_gap_as_an_estimate_within_its_sigma(
    scan: FilledScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cxi, script, inputs = exporters.pynx_run(tmp_path, scan, gaps="hard")
    filled = scan.filled
    doubt = 2 * filled.sigma[filled.mask].sum() / filled.intensity[filled.mask].sum()
    factors = {
        "confidence_interval_factor_mask_min": pytest.approx(max(1 - doubt, 0)),
        "confidence_interval_factor_mask_max": pytest.approx(1 + doubt),
    }
    monkeypatch.setitem(sys.modules, "pynx", ModuleType("pynx"))
    monkeypatch.setitem(sys.modules, "pynx.cdi", PyNX("pynx.cdi"))
    monkeypatch.setattr(sys, "argv", [str(script), str(cxi), "--runs", "2"])
    functions = runpy.run_path(str(script), run_name="__main__")
    assert set(PyNX.saved) == {"S54_run01.cxi", "S54_run02.cxi"}
    first = PyNX.saved["S54_run01.cxi"]
    given = [options for name, options in first.cycles if name in ("RAAR", "ER")]
    assert given == [factors] * 800
    iobs = np.fft.ifftshift(first.iobs)
    brightest = np.unravel_index(np.where(iobs < 0, 0, iobs).argmax(), iobs.shape)
    assert brightest == tuple(n // 2 for n in iobs.shape)
    box = functions["centred"](
        np.where(filled.mask, -1e19 * (filled.intensity + 1), filled.intensity)
    )
    np.testing.assert_allclose(iobs, box, rtol=1e-5)
    assert pynx_ranges(iobs)["estimated"].any()
    data, _ = pynx_load(cxi)
    np.testing.assert_array_equal(
        data, filled.intensity
    )  # for the command line as it was asked for
    mask = "S54.cxi:/entry_1/instrument_1/detector_1/mask"
    assert inputs.read_text() == f"data = S54.cxi\nmask = {mask}\nzero_mask = False\n"


def test_without_sigma_pynx_keeps_its_own_factors(scan: FilledScan, tmp_path: Path) -> None:
    bare = with_values(scan, sigma=np.zeros_like(scan.filled.sigma))
    cxi, *_ = exporters.pynx_run(tmp_path, bare)
    with h5py.File(cxi) as file:
        ours = file["entry_1/bcdi_inpaint"].attrs
        assert ours["confidence_interval_factor_mask_min"] == 0.5
        assert ours["confidence_interval_factor_mask_max"] == 1.2


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("3da53236-111a-4af3-9e75-ce5d14abced7", "S3da53236"),
        ("aps34idc_S0054.npz", "Saps34idc_S0054"),
    ],
)
def test_an_unnumbered_scan_is_named_after_its_run_or_file(
    run: str, name: str, scan: FilledScan, tmp_path: Path
) -> None:
    metadata = replace(METADATA, scan_id=None, raw_uid=run)
    data, _ = exporters.cdiutils(tmp_path, replace(scan, metadata=metadata))
    assert data.name == f"{name}_pynx_input_data.npz"


@pytest.mark.parametrize("shape", [(12, 24, 20), (13, 23, 17)])
def test_cohere_reads_what_its_own_preprocessing_would_write(
    make_scan: MakeScan, tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        utilities = pytest.importorskip("cohere_core.utilities.utils")
        preprocessing = pytest.importorskip("cohere_core.data.standard_preprocess")
    raw, filled = make_scan(shape=shape)
    ours = tmp_path / "ours" / "phasing_data" / "data.tif"
    exporters.cohere(ours, FilledScan(filled, raw.metadata, raw.angles))
    tifffile.imwrite(tmp_path / "prep_data.tif", filled.intensity)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    preprocessing.prep(
        str(tmp_path / "prep_data.tif"), intensity_threshold=0, data_dir=str(theirs), pkg="np"
    )
    expected = utilities.read_tif(str(theirs / "data.tif"))
    read = utilities.read_tif(str(ours))
    np.testing.assert_array_equal(read, expected)
    assert read.dtype == np.float32
    centre = tuple(n // 2 for n in read.shape)
    assert read[centre] == read.max()


def test_tif_has_one_page_a_frame(scan: FilledScan, tmp_path: Path) -> None:
    exporters.tif(tmp_path / "scan.tif", scan)
    with tifffile.TiffFile(tmp_path / "scan.tif") as file:
        assert len(file.pages) == 12
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "scan.tif"), scan.filled.intensity)


def test_nexus_has_a_default_plot(scan: FilledScan, tmp_path: Path) -> None:
    """The chain that silx view and NeXpy follow to find what to show."""
    exporters.nexus(tmp_path / "scan.nxs", scan)
    with h5py.File(tmp_path / "scan.nxs") as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert [g.attrs["NX_class"] for g in (entry, data)] == ["NXentry", "NXdata"]
        signal = data[data.attrs["signal"]]
        np.testing.assert_array_equal(signal, scan.filled.intensity)
        assert list(data.attrs["axes"]) == ["eta", ".", "."]
        np.testing.assert_array_equal(data["eta"], scan.angles)
        np.testing.assert_array_equal(data["intensity_errors"], scan.filled.sigma)
        detector = entry["instrument/detector"]
        assert detector["data"] == signal
        np.testing.assert_array_equal(detector["pixel_mask"][()] & 0xFFFF, scan.filled.mask)
        assert entry["instrument/beam/incident_energy"].attrs["units"] == "eV"
        assert entry["process/note"].attrs["self_check_verdict"] == "trusted"


@pytest.mark.parametrize("known", [True, False])
def test_chexus_finds_nothing_to_object_to(scan: FilledScan, tmp_path: Path, known: bool) -> None:
    """The validator of NeXus files that ESS uses."""
    bare = ScanMetadata(raw_uid="uid", motor="ry", detector_angles={"tth": 3.0}, distance=1.0)
    path = tmp_path / "scan.nxs"
    scaled = replace(scan.metadata, monitor="i0", counts_per_unit=250.0)
    with_monitor = replace(scan, metadata=scaled, monitor=np.ones(12))
    exporters.nexus(path, with_monitor if known else replace(scan, metadata=bare))
    reader = chexus.read_hdf5(str(path))  # holds the file open
    results = chexus.validate(
        next(reader), validators=chexus.validators.base_validators(has_scipp=False)
    )
    assert not chexus.has_violations(results), chexus.report(results=results)


def test_the_detector_and_the_sample_stand_where_their_circles_turn_them(
    scan: FilledScan, tmp_path: Path
) -> None:
    """Chains of transformations, followed from the inner ones out."""
    exporters.nexus(tmp_path / "scan.nxs", scan)
    with h5py.File(tmp_path / "scan.nxs") as file:

        def chain(group: str) -> list[str]:
            found = []
            place = file[f"{group}/depends_on"].asstr()[()]
            while place != ".":
                found.append(place.rpartition("/")[2])
                place = file[place].attrs["depends_on"]
            return found

        assert chain("entry/instrument/detector") == ["distance", "delta", "nu"]
        assert chain("entry/sample") == ["phi", "eta"]
        np.testing.assert_array_equal(file["entry/sample/transformations/eta"], scan.angles)
        assert list(file["entry/sample/transformations/eta"].attrs["vector"]) == [-1, 0, 0]


def test_silx_finds_the_default_plot(scan: FilledScan, tmp_path: Path) -> None:
    nxdata = pytest.importorskip("silx.io.nxdata")
    exporters.nexus(tmp_path / "scan.nxs", scan)
    with h5py.File(tmp_path / "scan.nxs") as file:
        found = nxdata.get_default(file)
        assert found.is_valid
        assert found.is_stack
        assert found.signal_name == "intensity (counts)"
        assert found.axes_names == ["eta (deg)", None, None]
        assert found.errors.shape == scan.filled.sigma.shape


@pytest.mark.slow
def test_the_client_exports_what_the_server_holds(
    written: BCDIInpainted, scan_and_fill: Any, tmp_path: Path
) -> None:
    _, filled = scan_and_fill
    written.export_cxi(tmp_path / "scan.cxi", gaps="free")
    written.export_pynx_npz(tmp_path / "scan.npz", gaps="hard")
    written.export_nexus(tmp_path / "scan.nxs")
    written.export_tif(tmp_path / "scan.tif")
    data, mask = pynx_load(tmp_path / "scan.cxi")
    np.testing.assert_array_equal(data[~mask], filled.intensity[~filled.mask])
    np.testing.assert_array_equal(pynx_load(tmp_path / "scan.npz")[0], filled.intensity)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "scan.tif"), filled.intensity)
    with h5py.File(tmp_path / "scan.nxs") as file:
        assert file["entry/data/eta"].shape == (12,)
    assert [p.name for p in written.export_cdiutils(tmp_path)] == [
        "S54_pynx_input_data.npz",
        "S54_pynx_input_mask.npz",
    ]
    assert written.export_cohere(tmp_path) == tmp_path / "phasing_data" / "data.tif"


def test_an_unknown_way_of_handing_over_gaps_is_refused(scan: FilledScan, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gaps must be one of hard, soft, free; got 'firm'"):
        exporters.pynx_cxi(tmp_path / "scan.cxi", scan, gaps="firm")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("brightest", "doubt", "gaps"),
    [(1e6, 0.01, "hard"), (1e6, 0.1, "free"), (1e4, 0.1, "hard"), (1e4, 0.5, "free")],
)
def test_unless_told_a_gap_counts_as_measured_where_little_light_is_in_doubt_or_light_is_scarce(
    scan: FilledScan, tmp_path: Path, brightest: float, doubt: float, gaps: str
) -> None:
    intensity = scan.filled.intensity * np.float32(brightest / scan.filled.intensity.max())
    sigma = scan.filled.mask * np.float32(doubt * intensity.sum() / scan.filled.mask.sum())
    scan = with_values(scan, intensity=intensity, sigma=sigma)
    exporters.pynx_cxi(tmp_path / "scan.cxi", scan)
    exporters.pynx_npz(tmp_path / "scan.npz", scan)
    with h5py.File(tmp_path / "scan.cxi") as file:
        assert file["entry_1/bcdi_inpaint"].attrs["gaps"] == gaps
        np.testing.assert_array_equal(file[DATA][()], scan.filled.intensity)
    for name in ("scan.cxi", "scan.npz"):
        _, masked = pynx_load(tmp_path / name)
        assert masked.any() == (gaps == "free")
