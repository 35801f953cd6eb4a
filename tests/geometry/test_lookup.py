from __future__ import annotations

import pytest

from bcdi_inpaint.geometry import detector, detectors, recognise


@pytest.mark.parametrize("key", detectors())
def test_a_key_finds_its_detector(key):
    assert detector(key).key == key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mpxgaas", "maxipix_2x2"),
        ("mpx4inr", "maxipix_2x2"),
        ("ei2minr", "psi_eiger_2m"),
        ("eiger2M", "psi_eiger_2m"),
        ("e4m", "eiger_x_4m"),
        ("e2500", "eiger2_500k"),
        ("MerlinSixS", "medipix_quad_raw"),
        ("34idcTIM1", "timepix_1"),
        ("Maxipix 2x2", "maxipix_2x2"),
        ("EIGER2 CdTe 9M", "eiger2_cdte_9m"),
        ("Eiger2-4M", "eiger2_4m"),
    ],
)
def test_names_of_beamlines_and_other_spellings(name, key):
    assert detector(name).key == key


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("merlin", {"medipix_quad_g3", "medipix_quad_raw"}),
        ("Eiger9M", {"eiger_x_9m", "eiger2_9m", "eiger2_cdte_9m"}),
        ("eiger4m", {"eiger_x_4m", "eiger2_4m", "eiger2_cdte_4m"}),
        ("eiger", {"eiger2_cdte_9m", "eiger_x_1m"}),
        ("maxipix", {"maxipix_2x2", "maxipix_5x1"}),
    ],
)
def test_a_name_with_several_meanings_is_refused_with_its_meanings(name, candidates):
    with pytest.raises(ValueError, match="several detectors") as caught:
        detector(name)
    assert {key for key in detectors() if f"{key} (" in str(caught.value)} == candidates


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown detector 'maxipx_2x2'; nearest: .*maxipix_2x2"):
        detector("maxipx_2x2")
    with pytest.raises(ValueError, match="detectors' lists all"):
        detector("?")


@pytest.mark.parametrize("key", detectors())
def test_frame_vendor_and_sensor_tell_every_detector(key):
    known = detector(key)
    found = recognise(
        known.shape, vendor=known.vendor, pixel_size=known.pixel_size, sensor=known.sensor
    )
    assert found is known


@pytest.mark.parametrize(
    ("vendor", "key"),
    [("DECTRIS Ltd.", "eiger_x_500k"), ("dectris", "eiger_x_500k"), ("PSI", "psi_eiger_500k")],
)
def test_a_vendor_as_control_systems_write_it(vendor, key):
    assert recognise((514, 1030), vendor=vendor).key == key


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((516, 516), r"maxipix_2x2 .*lambda_250k .*give vendor="),
        ((514, 1030), r"eiger_x_500k .*give vendor="),
        ((512, 1028), r"eiger2_500k .*eiger2_cdte_500k .*give sensor="),
        ((512, 512), r"timepix_quad_raw .*medipix_quad_raw .*give vendor="),
    ],
)
def test_an_ambiguous_frame_is_refused_with_what_tells_its_candidates_apart(shape, hint):
    with pytest.raises(ValueError, match=hint):
        recognise(shape)


def test_a_shape_alone_is_enough_where_only_one_detector_has_it():
    assert recognise((2164, 1030)).key == "psi_eiger_2m"
    assert recognise((2162, 2068), sensor="Si").key == "eiger2_4m"


def test_an_unknown_frame_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"516 x 517 .*nearest: maxipix_2x2"):
        recognise((516, 517))
    with pytest.raises(ValueError, match=r"transposed, it is that of psi_eiger_2m"):
        recognise((1030, 2164))


def test_a_hint_that_fits_no_candidate_is_refused():
    with pytest.raises(ValueError, match=r"none of the 516 x 516 detectors has vendor='Dectris'"):
        recognise((516, 516), vendor="Dectris")
    with pytest.raises(ValueError, match="pixel_size is in metres"):
        recognise((516, 516), pixel_size=55)
    with pytest.raises(ValueError, match="shape must be"):
        recognise((201, 516, 516))  # type: ignore[arg-type]
