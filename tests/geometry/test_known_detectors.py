"""The table of detectors against published figures, against pyFAI and against the docs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import bcdi_inpaint as bi
from bcdi_inpaint.geometry import Detector, Lines, Module, detector, detectors
from bcdi_inpaint.geometry.known_detectors import ALIASES

ROOT = Path(__file__).parents[2]

# Frame, pixel size in um, missing pixels: dead, by default (as bcdi, cdiutils or PyNX mask).
FIGURES = {
    "maxipix_2x2": ((516, 516), 55, 4112, 6156),
    "maxipix_5x1": ((256, 1296), 55, 4096, 6144),
    "timepix_1": ((256, 256), 55, 0, 0),
    "timepix_quad_raw": ((512, 512), 55, 0, 0),
    "timepix_quad_seams": ((517, 516), 55, 4628, 4628),
    "medipix_quad_g3": ((515, 515), 55, 3081, 5125),
    "medipix_quad_raw": ((512, 512), 55, 0, 3063),
    "lambda_250k": ((516, 516), 55, 4112, 6156),
    "lambda_750k": ((516, 1556), 55, 16464, 24636),
    "lambda_2m": ((1556, 1556), 55, 61840, 92460),
    "excalibur_3m": ((1795, 2069), 55, 568127, 568127),
    "psi_eiger_500k": ((514, 1030), 75, 0, 10240),
    "psi_eiger_2m": ((2164, 1030), 75, 111240, 168488),
    "jungfrau_1m": ((1064, 1030), 75, 37080, 37080),
    "jungfrau_4m": ((2164, 2068), 75, 239792, 239792),
    "jungfrau_4m_esrf": ((2164, 2069), 75, 241956, 241956),
    "eiger_x_500k": ((514, 1030), 75, 0, 0),
    "eiger_x_1m": ((1065, 1030), 75, 38110, 40170),
    "eiger_x_4m": ((2167, 2070), 75, 250330, 275002),
    "eiger_x_9m": ((3269, 3110), 75, 637030, 680226),
    "eiger_x_16m": ((4371, 4150), 75, 1198210, 1280478),
    "eiger2_500k": ((512, 1028), 75, 0, 0),
    "eiger2_1m": ((1062, 1028), 75, 39064, 39064),
    "eiger2_1m_w": ((512, 2068), 75, 6144, 6144),
    "eiger2_2m_w": ((512, 4148), 75, 18432, 18432),
    "eiger2_4m": ((2162, 2068), 75, 260328, 260328),
    "eiger2_9m": ((3262, 3108), 75, 664248, 664248),
    "eiger2_16m": ((4362, 4148), 75, 1250824, 1250824),
    "eiger2_cdte_500k": ((512, 1028), 75, 1024, 1024),
    "eiger2_cdte_1m": ((1062, 1028), 75, 41112, 41112),
    "eiger2_cdte_1m_w": ((512, 2068), 75, 8192, 8192),
    "eiger2_cdte_2m_w": ((512, 4148), 75, 22528, 22528),
    "eiger2_cdte_4m": ((2162, 2068), 75, 268520, 268520),
    "eiger2_cdte_9m": ((3262, 3108), 75, 682680, 694976),
    "eiger2_cdte_16m": ((4362, 4148), 75, 1283592, 1283592),
    "pilatus_300k": ((619, 487), 172, 16558, 16558),
    "pilatus_1m": ((1043, 981), 172, 73533, 73533),
    "pilatus_2m": ((1679, 1475), 172, 197365, 197365),
    "pilatus_6m": ((2527, 2463), 172, 526101, 526101),
    "pilatus_cdte_1m": ((1043, 981), 172, 79383, 79383),
    "pilatus4_1m": ((1080, 1033), 150, 69120, 69120),
    "pilatus4_2m": ((1630, 1553), 150, 176720, 176720),
    "pilatus4_4m": ((2180, 2073), 150, 333060, 333060),
}

# Where pyFAI's name isn't the key without its underscores.
PYFAI_NAMES = {
    "timepix_1": "Maxipix",
    "eiger2_1m_w": "Eiger2_1MW",
    "eiger2_2m_w": "Eiger2_2MW",
    "eiger2_cdte_1m_w": "Eiger2CdTe_1MW",
    "eiger2_cdte_2m_w": "Eiger2CdTe_2MW",
    "eiger_x_500k": "eiger500k",
    "eiger_x_1m": "eiger1m",
    "eiger_x_4m": "eiger4m",
    "eiger_x_9m": "eiger9m",
    "eiger_x_16m": "eiger16m",
}
UNKNOWN_TO_PYFAI = {
    "timepix_quad_raw",
    "timepix_quad_seams",
    "medipix_quad_g3",
    "medipix_quad_raw",
    "excalibur_3m",
    "psi_eiger_500k",
    "psi_eiger_2m",
    "jungfrau_4m_esrf",
}


def test_every_detector_has_published_figures():
    assert set(detectors()) == set(FIGURES)


@pytest.mark.parametrize("key", FIGURES)
def test_frame_and_number_of_missing_pixels(key):
    shape, micrometres, dead, by_default = FIGURES[key]
    found = detector(key)
    assert found.shape == shape
    assert found.pixel_size == pytest.approx(micrometres * 1e-6)
    mask = found.mask()
    assert mask.shape == shape
    assert mask.dtype == np.bool_
    assert mask.sum() == by_default
    dead_mask = found.mask(policy="dead")
    assert dead_mask.sum() == dead
    assert not (dead_mask & ~mask).any()


@pytest.mark.parametrize("key", [key for key in FIGURES if key not in UNKNOWN_TO_PYFAI])
def test_dead_pixels_are_pyfais_mask(key):
    factory = pytest.importorskip("pyFAI.detectors", reason="pyFAI isn't installed")
    theirs = factory.detector_factory(PYFAI_NAMES.get(key, key))
    ours = detector(key)
    assert theirs.max_shape == ours.shape
    assert theirs.pixel1 == pytest.approx(ours.pixel_size)
    mask = np.zeros(ours.shape) if theirs.mask is None else theirs.mask
    np.testing.assert_array_equal(ours.mask(policy="dead"), mask != 0)


def test_the_cross_of_a_maxipix():
    mask = bi.detector("maxipix_2x2").mask()
    assert mask.dtype == np.bool_
    assert (mask.shape, mask.sum()) == ((516, 516), 6156)
    assert bi.detector("maxipix_2x2").lines() == Lines(rows=((255, 261),), cols=((255, 261),))


def test_gaps_lie_where_the_sources_say():
    eiger = detector("eiger_x_4m").lines("dead")
    assert eiger == Lines(((514, 551), (1065, 1102), (1616, 1653)), ((1030, 1040),))
    eiger = detector("eiger_x_4m").lines("dead+large")
    assert eiger.rows == ((0, 1), (513, 552), (1064, 1103), (1615, 1654), (2166, 2167))
    assert eiger.cols == ((0, 1), (1029, 1041), (2069, 2070))
    excalibur = detector("excalibur_3m").lines("dead")
    assert excalibur.rows == ((256, 259), (515, 640), (896, 899), (1155, 1280), (1536, 1539))
    cdte = detector("eiger2_cdte_9m").lines("dead")
    assert cdte.cols == ((513, 515), (1028, 1040), (1553, 1555), (2068, 2080), (2593, 2595))


def test_the_classes_of_id01s_eiger2m():
    eiger = detector("eiger2M")
    assert eiger.lines("dead") == Lines(((514, 550), (1064, 1100), (1614, 1650)), ())
    assert eiger.lines("large").rows == tuple(
        (row, row + 1) for row in (513, 550, 1063, 1100, 1613, 1650)
    )
    assert eiger.lines("virtual") == Lines(
        ((255, 259), (805, 809), (1355, 1359), (1905, 1909)), ((255, 259), (513, 517), (771, 775))
    )
    assert eiger.mask(policy="dead+large+virtual").sum() == 158308


def test_the_hand_drawn_mask_of_the_eiger2m_differs_from_the_derived_one_in_these_rows_only():
    eiger = detector("psi_eiger_2m")
    drawn, derived = eiger.mask(), eiger.mask(policy="dead+large+virtual")
    assert not (derived & ~drawn).any()
    rows = np.flatnonzero((drawn & ~derived).any(axis=1))
    assert rows.tolist() == [511, 512, 551, 804, 1061, 1062, 1101, 1611, 1612, 1651]


def test_classes_are_joined_with_plus_in_any_order():
    eiger = detector("psi_eiger_2m")
    one_by_one = [eiger.mask(policy=name) for name in ("dead", "large", "virtual")]
    np.testing.assert_array_equal(
        eiger.mask(policy="virtual+dead+large"), np.logical_or.reduce(one_by_one)
    )


@pytest.mark.parametrize("policy", ["none", "", "dead+", "dead,large", "dead+bcdi"])
def test_an_unknown_policy_is_refused_with_what_there_is(policy):
    with pytest.raises(ValueError, match="dead, large, virtual"):
        detector("maxipix_2x2").mask(policy=policy)


def test_a_detector_of_ones_own_needs_no_registration():
    module = Module("Home", 50e-6, (10, 20), ((2, 5), (3,)), edge=1)
    mask = Detector("home", "Home 3x2", module, (3, 2), "dead+large").mask()
    assert mask.shape == (3 * 10 + 2 + 5, 2 * 20 + 3)
    assert np.flatnonzero(mask[:, 0]).tolist() == [*range(9, 13), *range(21, 28)]
    assert np.flatnonzero(mask[0]).tolist() == [*range(19, 24)]


def test_every_alias_leads_to_known_detectors_and_hides_no_key():
    assert {key for keys in ALIASES.values() for key in keys} <= set(detectors())
    assert not set(ALIASES) & {key.replace("_", "") for key in detectors()}


def test_pages_say_how_many_there_are():
    for page, words in (("README.md", "[{} detectors]"), ("docs/i-have-a-file.md", "lists {};")):
        assert words.format(len(detectors())) in (ROOT / page).read_text(encoding="utf-8")


def test_the_docs_list_the_detectors_as_they_are():
    text = (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")
    table = text.partition("## The table")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `.*\|$", table, flags=re.MULTILINE)
    assert documented == [_row(detector(key)) for key in detectors()]


def _row(found: Detector) -> str:
    module = found.module
    gap = " / ".join(
        ", ".join(map(str, gaps)) if count > 1 else "-"
        for gaps, count in zip(module.gap, found.grid, strict=True)
    )
    factor = "?" if module.edge_factor is None else f"{module.edge_factor:g}"
    wide = f"{module.edge} ({factor}x)" if module.edge and max(found.grid) > 1 else "-"
    cells = (
        f"`{found.key}`",
        f"{found.name}, {found.vendor}",
        "{} x {}".format(*found.shape),
        f"{found.pixel_size * 1e6:g}",
        "{} x {} of {} x {}".format(*found.grid, *module.size),
        gap,
        wide,
        f"{found.mask(policy='dead').sum()}",
        found.bcdi if isinstance(found.bcdi, str) else "as drawn",
        f"{found.mask().sum()}",
    )
    return f"| {' | '.join(cells)} |"
