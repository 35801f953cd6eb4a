"""The metadata model, its documentation, and what it makes of the other packages' types."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bcdi_inpaint.catalog import FillMetadata
from bcdi_inpaint.export import fields, metadata
from bcdi_inpaint.filling.result import Report, SelfCheck
from bcdi_inpaint.scans.rocking_scan import ScanMetadata
from tests.helpers.filled_scans import METADATA, SELF_CHECK

DOCS = Path(__file__).parents[2] / "docs" / "tiled.md"

text = st.text(max_size=8)
number = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(1e-9, 1e9)
sentences = st.lists(
    st.text(min_size=1, max_size=20).map(lambda s: " ".join(f"a; {s}".split())), max_size=3
).map(tuple)
angles = st.dictionaries(st.text(min_size=1, max_size=6), number, max_size=3)
span = st.tuples(st.integers(0, 999), st.integers(1000, 5000))

SCAN: dict[str, st.SearchStrategy[Any]] = {
    "raw_uid": st.text(min_size=1, max_size=8),
    "raw_path": text,
    "scan_id": st.none() | st.integers(0, 10**6),
    "sample": text,
    "plan_name": text,
    "time": st.none() | positive,
    "data_key": text,
    "detector": text,
    "motor": text,
    "energy": st.none() | positive,
    "distance": st.none() | positive,
    "pixel_size": st.none() | st.tuples(positive, positive),
    "direct_beam": st.none() | st.tuples(number, number),
    "sample_angles": angles,
    "detector_angles": angles,
    "roi": st.none() | st.tuples(span, span),
    "binning": st.tuples(st.integers(1, 8), st.integers(1, 8)),
    "frames_expected": st.none() | st.integers(1, 999),
    "exit_status": st.sampled_from(["", "success", "abort", "fail"]),
    "monitor": text,
    "counts_per_unit": st.none() | positive,
    "masked": st.dictionaries(st.text(min_size=1, max_size=6), st.integers(0, 10**6), max_size=3),
    "notes": sentences,
    "extra": st.dictionaries(
        st.text(min_size=1, max_size=6), text | st.integers() | number, max_size=3
    ),
}
scans = st.builds(ScanMetadata, **SCAN)

figure = st.floats(-1, 1) | st.just(math.nan)
CHECK: dict[str, st.SearchStrategy[Any]] = {
    "voxels": st.integers(1, 10**6),
    "pcc": figure,
    "pcc_kriging": figure,
    "pcc_linear": figure,
    "pcc_ceiling": figure,
    "counts_ratio": figure,
    "counts_ratio_kriging": figure,
    "counts_ratio_linear": figure,
    "verdict": st.sampled_from(["trusted", "doubtful"]),
    "reason": text,
    "doubt_of_fill": figure,
    "doubt_of_all": figure,
    "brightness": figure,
}
REPORT: dict[str, st.SearchStrategy[Any]] = {
    "method": st.text(min_size=1, max_size=8),
    "voxels_missing": st.integers(0, 10**9),
    "gap_share": st.floats(0, 1),
    "seconds": st.floats(0, 1e4),
    "device": text,
    "model_name": text,
    "model_hash": text,
    "notes": sentences,
    "self_check": st.none() | st.builds(SelfCheck, **CHECK),
    "centre": st.none() | st.tuples(number, number, number),
    "symmetry": st.floats(0, 1),
    "twin_share": st.floats(0, 1),
}
reports = st.builds(Report, **REPORT)


@pytest.mark.parametrize(
    ("kind", "drawn"), [(ScanMetadata, SCAN), (Report, REPORT), (SelfCheck, CHECK)]
)
def test_every_field_takes_part_here(kind: type, drawn: dict[str, Any]) -> None:
    """Access tags are no metadata of a node: Tiled has them beside."""
    names = {field.name for field in dataclasses.fields(kind)}
    assert set(drawn) == names - {"access_tags"}


@settings(deadline=None, max_examples=40)
@given(scans)
def test_what_is_known_of_a_scan_survives_the_flattening(scan: ScanMetadata) -> None:
    flat = FillMetadata(**fields.from_scan(scan), method="kriging").flat()
    assert fields.to_scan(flat) == scan


@settings(deadline=None, max_examples=40)
@given(reports)
def test_a_report_survives_the_flattening(report: Report) -> None:
    known = FillMetadata(raw_uid="uid", method="kriging", **fields.from_report(report))
    assert repr(fields.to_report(known.flat())) == repr(report)  # repr: NaN equals NaN


@settings(deadline=None, max_examples=40)
@given(scans, reports)
def test_stored_values_are_plain_flat_and_never_null(scan: ScanMetadata, report: Report) -> None:
    """Null and nested dictionaries would keep Tiled from exporting the node as HDF5."""
    known = fields.from_scan(scan) | fields.from_report(report)
    for value in FillMetadata(**known, method="kriging").flat().values():
        assert isinstance(value, str | int | float | bool | list)
        assert value == value  # noqa: PLR0124 (not NaN)


def complete(**changes: Any) -> dict[str, Any]:
    report = Report("kriging", 10, 0.1, 1.0, self_check=SELF_CHECK)
    known = fields.from_scan(replace(METADATA, raw_uid="uid")) | fields.from_report(report)
    return {**known, "method": "kriging", "frames": 3, "finished": 1.0, "complete": True, **changes}


def test_a_complete_node_is_valid() -> None:
    assert FillMetadata(**complete()).complete


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": None}, "a complete node needs seconds"),
        ({"method_used": ""}, "a complete node needs method_used"),
        ({"failed": "disk full"}, "both complete and failed"),
        ({"energy": 8.9}, "'energy' is no field of a filled scan's metadata"),
        ({"sample_angle_phi": "12"}, "'sample_angle_phi' must be a number"),
        ({"start_md": {"a": 1}}, "'start_md' must be a plain scalar"),
        ({"incident_energy": "8.9 keV"}, "incident_energy"),
        ({"incident_energy": math.inf}, "incident_energy"),
        ({"roi": ((0, 1),)}, "roi"),
        ({"raw_uid": None}, "raw_uid"),
    ],
)
def test_wrong_metadata_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FillMetadata(**complete(**changes))


def test_the_documentation_lists_the_fields_as_they_are() -> None:
    (documented,) = re.findall(
        r"<!-- fields -->\n(.*?)\n<!-- /fields -->", DOCS.read_text(), re.DOTALL
    )
    assert documented == metadata.table(), (
        "docs/tiled.md is behind: put bcdi_inpaint.export.metadata.table() between its marks"
    )
