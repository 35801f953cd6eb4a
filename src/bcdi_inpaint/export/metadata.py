"""The metadata of a filled scan's node, field by field."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

SAMPLE_ANGLE = "sample_angle_"
DETECTOR_ANGLE = "detector_angle_"
START = "start_"
MASKED = "masked_"

PREFIXES = {
    SAMPLE_ANGLE: "Sample circle that did not move, by motor name, deg.",
    DETECTOR_ANGLE: "Detector circle that did not move, by motor name, deg.",
    MASKED: "Pixels of the recorded frames that are missing, by where that is known from: gaps (of the detector), "
    "user, file (the detector's own mask; file_dead, file_hot and so on by its reasons), flags (no counts), saturated.",
    START: "Other scalar entry of the run's start document, by its key.",
}
"""Names of fields that depend on the run: a prefix and what follows it."""


def _field(meaning: str, default: Any = ..., *, unit: str = "", nexus: str = "") -> Any:
    return Field(default, description=meaning, json_schema_extra={"unit": unit, "nexus": nexus})


class FillMetadata(BaseModel):
    """Metadata of a node of spec ``BCDIInpainted`` 1.0.

    Flat, so that every field can be queried and the node exported as HDF5; what is not known is
    absent. Fields whose names depend on the run begin with one of `PREFIXES`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    raw_uid: str = _field("Uid of the raw run.", nexus="NXentry/entry_identifier_uuid")
    raw_path: str = _field("Path of the raw run in the same Tiled server.", "")
    scan_id: int | None = _field("Scan number.", None, nexus="NXentry/entry_identifier")
    sample: str = _field("Name of the sample.", "", nexus="NXsample/name")
    plan_name: str = _field("Name of the plan.", "", nexus="NXentry/definition_local")
    time: float | None = _field(
        "Start of the raw run, since 1970.", None, unit="s", nexus="NXentry/start_time"
    )
    exit_status: str = _field("success, abort or fail; empty while the run goes on.", "")
    data_key: str = _field("The detector's key in the run's documents.", "")
    detector: str = _field(
        "The detector's key in bcdi_inpaint.geometry; empty with a mask of the user's own.",
        "",
        nexus="NXdetector/local_name",
    )
    motor: str = _field("Name of the rocking motor; empty if none was recorded.", "")

    incident_energy: float | None = _field(
        "Photon energy.", None, unit="eV", nexus="NXbeam/incident_energy"
    )
    distance: float | None = _field(
        "Sample to detector.", None, unit="m", nexus="NXdetector/distance"
    )
    x_pixel_size: float | None = _field(
        "Pixel size along columns.", None, unit="m", nexus="NXdetector/x_pixel_size"
    )
    y_pixel_size: float | None = _field(
        "Pixel size along rows.", None, unit="m", nexus="NXdetector/y_pixel_size"
    )
    beam_center_x: float | None = _field(
        "Column of the direct beam on the full, unbinned frame.",
        None,
        unit="px",
        nexus="NXdetector/beam_center_x",
    )
    beam_center_y: float | None = _field(
        "Row of the direct beam on the full, unbinned frame.",
        None,
        unit="px",
        nexus="NXdetector/beam_center_y",
    )
    roi: tuple[tuple[int, int], tuple[int, int]] | None = _field(
        "Half-open rows and columns of the full, unbinned frame that the stack covers.",
        None,
        unit="px",
    )
    shape: tuple[int, int, int] | None = _field(
        "Frames, rows and columns of the volumes.", None, unit="px"
    )
    peak: tuple[int, int, int] | None = _field(
        "Frame, row and column of the maximum of the intensity.", None, unit="px"
    )
    binning: tuple[int, int] = _field("Pixels binned together along rows and columns.", (1, 1))
    monitor: str = _field(
        "Name of the beam's monitor, whose readings are the child monitor; empty if none was recorded.",
        "",
    )
    counts_per_unit: float | None = _field(
        "What the raw run's values were multiplied by to have counts; absent if they are counts.",
        None,
    )
    scan_notes: str = _field("What was unusual in the raw run.", "")

    method: str = _field("The method that was asked for; with run and detector, the identity.")
    method_used: str = _field("The method that filled (after a fallback, the one in the end).", "")
    model_name: str = _field("Name of the network; empty for methods without one.", "")
    model_hash: str = _field("sha256 of its weights.", "")
    device: str = _field("Where the fill was computed.", "")
    seconds: float | None = _field("Wall time of the fill.", None, unit="s")
    voxels_missing: int | None = _field("Number of voxels that were missing and filled.", None)
    gap_share: float | None = _field("voxels_missing over all voxels.", None)
    notes: str = _field("What was unusual in the fill.", "")
    centre: tuple[float, float, float] | None = _field(
        "Frame, row and column about which the pattern is most symmetric.", None, unit="px"
    )
    symmetry: float = _field(
        "Correlation of the pattern with its mirror image, photon noise taken out; 0 where it is not "
        "believed.",
        0.0,
    )
    twin_share: float = _field("Share of the missing voxels whose mirror image was measured.", 0.0)

    self_check_voxels: int | None = _field("Measured voxels hidden and predicted.", None)
    self_check_pcc: float | None = _field(
        "Pearson correlation of log(1 + counts) between prediction and measurement.", None
    )
    self_check_pcc_kriging: float | None = _field("The same for kriging.", None)
    self_check_pcc_linear: float | None = _field("The same for linear interpolation.", None)
    self_check_pcc_ceiling: float | None = _field(
        "The same for a perfect predictor of the rate: counts are Poisson, so below 1.", None
    )
    self_check_counts_ratio: float | None = _field(
        "Sum of predicted over sum of measured counts.", None
    )
    self_check_counts_ratio_kriging: float | None = _field("The same for kriging.", None)
    self_check_counts_ratio_linear: float | None = _field(
        "The same for linear interpolation.", None
    )
    self_check_verdict: str | None = _field("trusted, doubtful or kriging used instead.", None)
    self_check_reason: str | None = _field("Why, in one phrase.", None)
    self_check_doubt_of_fill: float | None = _field(
        "Sum of sigma over the sum of what was filled.", None
    )
    self_check_doubt_of_all: float | None = _field(
        "Sum of sigma over all counts of the scan.", None
    )

    self_check_brightness: float | None = _field(
        "Counts a voxel in the artificial gaps over those filled in the real ones that they are copies of.",
        None,
    )

    complete: bool = _field("Whether everything is there. Written last.", False)
    superseded_by: str = _field("Key of the newer node; empty while this is the current one.", "")
    attempt: int = _field("Counts the nodes of one run, detector and method.", 1)
    frames: int = _field("Frames written so far; all of them once complete.", 0)
    frames_final: int | None = _field(
        "While the run goes on: frames whose fill will stay; the others are filled again when what "
        "lies opposite, through the Bragg peak, has been measured.",
        None,
    )
    frames_expected: int | None = _field("Frames that the plan announced.", None)
    seconds_behind: float | None = _field(
        "While the run goes on: age of the oldest frame that is not yet filled.", None, unit="s"
    )
    claimed_by: str = _field(
        "Host, process and token of the service that writes; empty when none does.", ""
    )
    claim_expires: float = _field(
        "After this moment an incomplete node may be replaced, since 1970.",
        0.0,
        unit="s",
    )
    failures: int = _field(
        "How often filling has failed because of the run itself; with 0, catching up tries again.",
        0,
    )
    failed: str = _field("Why filling has failed; empty otherwise.", "")
    left: str = _field("Why live filling was dropped, if it was; empty otherwise.", "")
    created: float | None = _field("When the node was created, since 1970.", None, unit="s")
    finished: float | None = _field("When it became complete, since 1970.", None, unit="s")
    version: str = _field("Version of bcdi-inpaint that wrote it.", "")
    version_numpy: str = _field("Version of numpy.", "")
    version_tiled: str = _field("Version of the Tiled client.", "")
    version_torch: str = _field("Version of torch; empty where it took no part.", "")

    @model_validator(mode="before")
    @classmethod
    def _absent_when_unknown(cls, given: dict[str, Any]) -> dict[str, Any]:
        # Tiled stores NaN as null, and null can't be exported as HDF5.
        return {
            name: value
            for name, value in given.items()
            if value is not None and not (isinstance(value, float) and math.isnan(value))
        }

    @model_validator(mode="after")
    def _names_known(self) -> FillMetadata:
        for name, value in (self.model_extra or {}).items():
            prefix = next((p for p in PREFIXES if name.startswith(p) and name != p), None)
            if prefix is None:
                raise ValueError(f"{name!r} is no field of a filled scan's metadata")
            right = isinstance(value, str | int | float if prefix == START else int | float)
            if not right:
                what = "a plain scalar" if prefix == START else "a number"
                raise ValueError(f"{name!r} must be {what}; got {value!r}")
        return self

    @model_validator(mode="after")
    def _complete_means_all(self) -> FillMetadata:
        if self.complete:
            needed = ("method_used", "voxels_missing", "gap_share", "seconds", "frames", "finished")
            absent = [name for name in needed if getattr(self, name) in (None, "")]
            if absent:
                raise ValueError(f"a complete node needs {', '.join(absent)}")
            if self.failed:
                raise ValueError("a node can't be both complete and failed")
        return self

    def flat(self) -> dict[str, Any]:
        """The dictionary that Tiled stores: plain values, nothing unknown."""
        return self.model_dump(mode="json", exclude_none=True)


def table() -> str:
    """The fields as a Markdown table, for the documentation."""
    rows = ["| field | type | unit | NeXus | meaning |", "|---|---|---|---|---|"]
    for name, field in FillMetadata.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        kind = str(FillMetadata.__annotations__[name]).removesuffix(" | None")
        rows.append(
            f"| `{name}` | {kind} | {extra['unit']} | {extra['nexus']} | {field.description} |"
        )
    rows += [f"| `{prefix}<name>` | | | | {meaning} |" for prefix, meaning in PREFIXES.items()]
    return "\n".join(rows)
