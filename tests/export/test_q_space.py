"""Where voxels lie in reciprocal space: Bragg's law, the turn of the sample, and xrayutilities' answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bcdi_inpaint.export.q_space import GeometryUnknownError, QSpace
from bcdi_inpaint.scans import ScanMetadata

WAVELENGTH = 12398.41984 / 9000
KNOWN = ScanMetadata(
    motor="eta",
    energy=9000.0,
    distance=0.8,
    pixel_size=(55e-6, 75e-6),
    direct_beam=(250.0, 260.0),
    sample_angles={"phi": 12.0},
    detector_angles={"diff_delta": 33.0, "diff_nu": 7.0},
)
ANGLES = np.linspace(16.0, 17.0, 5)
SHAPE = (501, 521)


def test_braggs_law() -> None:
    scan = replace(KNOWN, detector_angles={"delta": 33.0})
    q = QSpace.of(scan, ANGLES, SHAPE).vectors()
    length = np.linalg.norm(q[:, :, 250, 260], axis=0)
    np.testing.assert_allclose(length, 4 * np.pi / WAVELENGTH * np.sin(np.radians(16.5)), rtol=1e-6)


def test_a_symmetric_reflection_lies_along_the_normal_of_the_sample() -> None:
    scan = replace(KNOWN, detector_angles={"delta": 33.0}, sample_angles={})
    q = QSpace.of(scan, np.array([16.5]), SHAPE).vectors()[:, 0, 250, 260]
    np.testing.assert_allclose(q / np.linalg.norm(q), [0, 1, 0], atol=1e-6)


def test_rocking_turns_q_about_the_motors_axis() -> None:
    q = QSpace.of(replace(KNOWN, sample_angles={}), ANGLES, SHAPE).vectors()[:, :, 100, 100]
    np.testing.assert_allclose(q[0], q[0, 0], rtol=1e-5)  # the component along x stays
    step = np.radians(ANGLES[1] - ANGLES[0]) * np.hypot(q[1], q[2])[0]
    np.testing.assert_allclose(np.linalg.norm(np.diff(q, axis=1), axis=0), step, rtol=1e-3)


def test_a_region_and_binning_are_a_part_of_the_whole() -> None:
    whole = QSpace.of(KNOWN, ANGLES, SHAPE).vectors()
    part = QSpace.of(replace(KNOWN, roi=((100, 160), (200, 290)), binning=(3, 3)), ANGLES, (20, 30))
    np.testing.assert_allclose(part.vectors(), whole[:, :, 101:160:3, 201:290:3], rtol=1e-5)
    np.testing.assert_allclose(
        part.vectors(slice(2, 3), slice(4, 6), slice(7, 8)),
        whole[:, 2:3, 113:117:3, 222:223],
        rtol=1e-5,
    )


def test_xrayutilities_agrees() -> None:
    xrayutilities = pytest.importorskip("xrayutilities")
    ours = QSpace.of(KNOWN, ANGLES, SHAPE).vectors()
    theirs = xrayutilities.QConversion(["x-", "y-"], ["y-", "x-"], [0, 0, 1], en=KNOWN.energy)
    theirs.init_area(
        "y-",
        "x+",
        cch1=250,
        cch2=260,
        Nch1=501,
        Nch2=521,
        pwidth1=55e-6,
        pwidth2=75e-6,
        distance=0.8,
    )
    same = np.ones(5)
    expected = theirs.area(ANGLES, 12.0 * same, 7.0 * same, 33.0 * same, deg=True)
    for mine, its in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, its, atol=2e-6)


def test_what_is_missing_is_listed() -> None:
    bare = ScanMetadata(
        motor="gon_sam_ry", detector_angles={"delta": 1.0, "tth": 2.0}, distance=1.0
    )
    with pytest.raises(GeometryUnknownError) as caught:
        QSpace.of(bare, None, SHAPE)
    assert str(caught.value) == (
        "q is not known: the scan doesn't tell the photon energy, the pixel size, the direct beam, the rocking "
        "angles, what gon_sam_ry turns about (axis_ry), what tth turns about (axis_tth)"
    )


def test_the_start_document_may_say_what_circles_turn_about() -> None:
    told = replace(KNOWN, motor="gon_ry", extra={"axis_ry": "x-", "axis_cols": "x-"})
    mirrored = QSpace.of(told, ANGLES, SHAPE)
    usual = QSpace.of(KNOWN, ANGLES, SHAPE, axes={"cols": "x-"})
    np.testing.assert_allclose(mirrored.laboratory, usual.laboratory)
    with pytest.raises(ValueError, match="'up' is no direction"):
        QSpace.of(KNOWN, ANGLES, SHAPE, axes={"eta": "up"})
