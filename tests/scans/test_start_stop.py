"""Whatever stands in start and stop documents, plain values come of it, and a scan is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bcdi_inpaint.scans import ReadingOptions, RockingScanRule, RunStart, RunStop, is_rocking_scan
from bcdi_inpaint.scans.assembly import assemble
from bcdi_inpaint.scans.start_stop import LARGEST_INTEGER, plain_scalar
from bcdi_inpaint.scans.streams import PointFrames, RunRecord, Stream


class Resisting:
    """Raises whatever it is asked."""

    def _resist(self, *_: Any) -> Any:
        raise RuntimeError

    __bool__ = __eq__ = __len__ = __iter__ = __str__ = __repr__ = __float__ = __int__ = _resist
    __hash__ = None

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError


class ResistingMapping(Mapping[str, Any]):
    """A mapping that can't be asked for anything."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError

    def __len__(self) -> int:
        return 3


class OddText(str):
    """A text that won't be one."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError

    def encode(self, *_: Any) -> bytes:
        raise RuntimeError


def object_array(given: list[Any]) -> np.ndarray:
    array = np.empty(len(given), object)
    for i, value in enumerate(given):
        array[i] = value
    return array


any_text = st.text(st.characters(exclude_categories=()))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | any_text
    | st.binary()
    | st.uuids()
    | st.datetimes()
    | st.decimals()
    | any_text.map(OddText)
    | st.builds(Resisting)
    | st.builds(ResistingMapping)
    | hnp.from_dtype(np.dtype("i8"))
    | hnp.from_dtype(np.dtype("f4"))
    | hnp.from_dtype(np.dtype("?"))
    | hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, max_side=3))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(any_text | st.integers(), inner, max_size=3)
        | st.lists(inner, min_size=1, max_size=3).map(object_array)
    ),
    max_leaves=8,
)
FIELDS = (
    *("uid", "scan_id", "time", "sample", "sample_name", "plan_name", "num_points", "exit_status"),
    *("detectors", "motors", "hints", "reason", "bcdi_inpaint", "roi", "binning"),
    *("sample_angles", "detector_angles", "energy", "detector"),
)
documents = values | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, values),
        "hints": st.fixed_dictionaries({"dimensions": values}),
    },
)


def is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return type(value) is tuple and all(map(is_plain, value))
    if type(value) is str:
        return value.encode() is not None
    if type(value) is int:
        return abs(value) <= LARGEST_INTEGER
    return value is None or (type(value) is float and bool(np.isfinite(value)))


@given(documents)
def test_any_document_gives_plain_values(doc: Any) -> None:
    for known in (RunStart.of(doc), RunStop.of(doc)):
        assert all(is_plain(getattr(known, name)) for name in type(known).__slots__), known
        hash(known)
        repr(known)


@given(documents)
def test_any_start_document_is_a_rocking_scan_or_is_none(doc: Any) -> None:
    rule = RockingScanRule(detectors=frozenset({"det"}), motors=frozenset({"eta"}))
    assert is_rocking_scan(doc) in (True, False)
    assert is_rocking_scan(doc, rule) in (True, False)


@given(values)
def test_scalars_are_pythons_own(value: Any) -> None:
    assert is_plain(found := plain_scalar(value)) or isinstance(found, bool)


def test_what_is_said_is_kept() -> None:
    start = RunStart.of(
        {
            "uid": "abc",
            "scan_id": np.int64(7),
            "time": np.float32(0.5),
            "sample": {"name": "Pt"},
            "plan_name": np.str_("scan"),
            "num_points": np.array(9),
            "detectors": ["det"],
            "motors": ("eta",),
            "hints": {"dimensions": [[["eta"], "primary"]]},
        }
    )
    assert start == RunStart("abc", 7, 0.5, "Pt", "scan", 9, ("det",), ("eta",), (("eta",),))
    assert RunStop.of({"time": 2, "exit_status": "fail", "reason": "no"}) == RunStop(
        2, "fail", "no"
    )


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (7, 7),
        (7.0, 7),
        ("7", 7),
        (np.uint8(7), 7),
        (np.array([7, 8]), None),
        ([7], None),
        (7.5, None),
        (float("inf"), None),
        (10**400, None),
        (2**64, None),
        ("9" * 10_000, None),
        ("A7", None),
        (True, None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_scan_ids(said: Any, known: int | None) -> None:
    assert RunStart.of({"scan_id": said}).scan_id == known


def test_uids() -> None:
    uid = UUID(int=5)
    assert RunStart.of({"uid": uid}).uid == str(uid)
    assert RunStart.of({"uid": 5}).uid == "5"
    for none in (None, [], np.arange(3), {"a": 1}, b"abc", ""):
        assert RunStart.of({"uid": none}).uid == ""


ODD = {
    "scan_id": np.arange(2),
    "time": "noon",
    "sample": 5,
    "plan_name": ["scan"],
    "num_points": np.arange(3),
    "motors": None,
    "hints": None,
    "binning": "two",
    "roi": [[0, "x"], None],
    "sample_angles": [1],
    "detector_angles": {"delta": "high", "gamma": 3},
    "huge": 10**30,
    "nothing": float("nan"),
}


@pytest.mark.parametrize("name", [*ODD, "all"])
def test_a_scan_with_an_odd_start_document_is_read(name: str) -> None:
    start = {"uid": "abc", **(ODD if name == "all" else {name: ODD[name]})}
    columns = {"seq_num": np.arange(1, 4), "eta": np.linspace(0, 1, 3)}
    run = RunRecord(start, {"exit_status": 3}, {"primary": Stream({}, {}, columns)})
    points = PointFrames("primary", "det", np.ones((3, 1, 8, 10), np.uint16))
    scan = assemble(run, points, ReadingOptions(mask=False))
    known = scan.metadata
    assert known.raw_uid == "abc"
    assert (known.scan_id, known.frames_expected, known.roi, known.time) == (None,) * 4
    assert known.binning == (1, 1)
    assert known.sample == known.plan_name == known.exit_status == ""
    assert known.detector_angles == ({"gamma": 3.0} if name in ("detector_angles", "all") else {})
    assert known.extra.keys() <= {"binning"}  # as it was said
    assert len(known.notes) == (2 if name == "all" else int(name in ("binning", "roi")))


def test_no_control_character_of_a_name_reaches_a_terminal() -> None:
    run = RunStart.of({"uid": "a", "sample_name": "Pt\x1b[2J\x07\x9b\u202eµ", "plan_name": "a\rb"})
    assert run.sample == "Pt\ufffd[2J\ufffd\ufffd\ufffdµ"
    assert run.plan_name == "a\ufffdb"
