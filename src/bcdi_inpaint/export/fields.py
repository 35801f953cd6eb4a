"""How a scan and a report map to the fields of a filled scan's metadata, and back."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from .metadata import DETECTOR_ANGLE, MASKED, SAMPLE_ANGLE, START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bcdi_inpaint.export.layout import NodeMetadata
    from bcdi_inpaint.filling.result import Report, SelfCheck
    from bcdi_inpaint.scans.rocking_scan import ScanMetadata


def from_scan(scan: ScanMetadata) -> dict[str, Any]:
    """Fields that say where a scan comes from and what phase retrieval needs."""
    from bcdi_inpaint.filling.result import one_a_line

    row_size, col_size = scan.pixel_size or (None, None)
    beam_row, beam_col = scan.direct_beam or (None, None)
    return {
        "raw_uid": scan.raw_uid,
        "raw_path": scan.raw_path,
        "scan_id": scan.scan_id,
        "sample": scan.sample,
        "plan_name": scan.plan_name,
        "time": scan.time,
        "exit_status": scan.exit_status,
        "data_key": scan.data_key,
        "detector": scan.detector,
        "motor": scan.motor,
        "incident_energy": scan.energy,
        "distance": scan.distance,
        "x_pixel_size": col_size,
        "y_pixel_size": row_size,
        "beam_center_x": beam_col,
        "beam_center_y": beam_row,
        "roi": scan.roi,
        "binning": scan.binning,
        "frames_expected": scan.frames_expected,
        "monitor": scan.monitor,
        "counts_per_unit": scan.counts_per_unit,
        "scan_notes": one_a_line(scan.notes),
        **{f"{MASKED}{source}": pixels for source, pixels in scan.masked.items()},
        **{f"{SAMPLE_ANGLE}{name}": value for name, value in scan.sample_angles.items()},
        **{f"{DETECTOR_ANGLE}{name}": value for name, value in scan.detector_angles.items()},
        **{
            f"{START}{name}": value
            for name, value in scan.extra.items()
            if isinstance(value, str | bool | int | float)
        },
    }


def to_scan(flat: NodeMetadata, *, access_tags: tuple[str, ...] = ()) -> ScanMetadata:
    """The inverse of `from_scan`."""
    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

    get = flat.get
    roi = get("roi")
    return ScanMetadata(
        raw_uid=flat["raw_uid"],
        raw_path=get("raw_path", ""),
        scan_id=get("scan_id"),
        sample=get("sample", ""),
        plan_name=get("plan_name", ""),
        time=get("time"),
        data_key=get("data_key", ""),
        detector=get("detector", ""),
        motor=get("motor", ""),
        energy=get("incident_energy"),
        distance=get("distance"),
        pixel_size=_pair(get("y_pixel_size"), get("x_pixel_size")),
        direct_beam=_pair(get("beam_center_y"), get("beam_center_x")),
        sample_angles=dict(_below(flat, SAMPLE_ANGLE)),
        detector_angles=dict(_below(flat, DETECTOR_ANGLE)),
        roi=None if roi is None else ((roi[0][0], roi[0][1]), (roi[1][0], roi[1][1])),
        binning=(flat["binning"][0], flat["binning"][1]),
        access_tags=access_tags,
        frames_expected=get("frames_expected"),
        exit_status=get("exit_status", ""),
        monitor=get("monitor", ""),
        counts_per_unit=get("counts_per_unit"),
        masked=dict(_below(flat, MASKED)),
        notes=tuple(get("scan_notes", "").splitlines()),
        extra=dict(_below(flat, START)),
    )


def from_report(report: Report) -> dict[str, Any]:
    """Fields that say how a fill was made."""
    flat = report.to_dict()
    return {"method_used": flat.pop("method"), **flat}


def to_report(flat: NodeMetadata) -> Report:
    """The inverse of `from_report`."""
    from bcdi_inpaint.filling.result import Report

    known = {f.name: flat[f.name] for f in fields(Report) if f.name in flat}
    return Report(
        **known
        | {
            "method": flat["method_used"],
            "notes": tuple(flat["notes"].splitlines()),
            "self_check": to_self_check(flat),
            "centre": tuple(flat["centre"]) if "centre" in flat else None,
        }
    )


def to_self_check(flat: NodeMetadata) -> SelfCheck | None:
    """The self-check's figures, NaN where one could not be had; None where there was no check."""
    from bcdi_inpaint.filling.result import SelfCheck

    if "self_check_verdict" not in flat:
        return None
    return SelfCheck(
        **{
            f.name: flat.get(
                f"self_check_{f.name}", math.nan if f.default is MISSING else f.default
            )
            for f in fields(SelfCheck)
        }
    )


def _below(flat: NodeMetadata, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in flat.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value


def _pair(first: float | None, second: float | None) -> tuple[float, float] | None:
    return None if first is None or second is None else (first, second)
