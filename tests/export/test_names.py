"""Whatever a run calls itself: files of its filled scan lie where they were asked for, under names that all take."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bcdi_inpaint.catalog import FilledScan, write
from bcdi_inpaint.console import pictures
from bcdi_inpaint.console.tuning import FineTuning
from bcdi_inpaint.export import formats
from bcdi_inpaint.export.layout import LONGEST_NAME, path_segment
from bcdi_inpaint.live import Settings
from tests.helpers.filled_scans import METADATA, scan_with_fill
from tests.helpers.quick import mostly_slow

if TYPE_CHECKING:
    from tiled.client.container import Container

ODD = [
    "",
    ".",
    "..",
    "x/../../../planted",
    "/planted",
    "..\\planted",
    "C:\\planted",
    "con",
    "NUL.txt",
    "name.",
    " ",
    "\x1b[2J\n",
    "a\x00b",
    "\ud800",
    "晶" * 300,
    "\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}" * 200,
    "\u202e\u200b",
    "~root",
    "-rf",
    "$(id);`id`|*?",
]
"""Paths, devices, control characters, names that are too long or can't be encoded, what a shell obeys."""
names = st.sampled_from(ODD) | st.text() | st.text(st.characters(codec=None), max_size=300)
_, FILLED = scan_with_fill(shape=(4, 24, 20))

EXPORTERS: dict[str, Any] = {
    "cxi": lambda folder, scan: formats.pynx_cxi(folder / "scan.cxi", scan),
    "npz": lambda folder, scan: formats.pynx_npz(folder / "scan.npz", scan),
    "cdiutils": formats.cdiutils,
    "pynx run": formats.pynx_run,
    "cohere": lambda folder, scan: formats.cohere(folder / "data.tif", scan),
    "nexus": lambda folder, scan: formats.nexus(folder / "scan.nxs", scan),
    "tif": lambda folder, scan: formats.tif(folder / "scan.tif", scan),
}


def is_safe(name: str) -> bool:
    return (
        name not in ("", ".", "..")
        and name.isprintable()
        and len(name.encode()) <= 255
        and not re.search(r"[/\\:*?\"<>|\s]|\.$", name)
        and not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name)
    )


@given(names)
@example("晶" * 300)
@example("con.")
def test_any_name_becomes_one_part_of_a_path(name: str) -> None:
    part = path_segment(name)
    assert is_safe(part)
    assert len(part.encode()) <= LONGEST_NAME
    assert Path("folder", part).parent == Path("folder")
    assert path_segment(part) == part


@pytest.mark.parametrize("export", EXPORTERS.values(), ids=EXPORTERS.keys())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sample=names, motor=names, detector=names, uid=names, number=st.none() | names)
def test_exporters_write_where_they_are_told(
    export: Any, sample: str, motor: str, detector: str, uid: str, number: Any
) -> None:
    metadata = replace(
        METADATA, sample=sample, motor=motor, detector=detector, raw_uid=uid, scan_id=number
    )
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name)
        folder = outer / "a" / "b"
        folder.mkdir(parents=True)
        export(folder, FilledScan(FILLED, metadata, None))
        files = [path for path in outer.rglob("*") if path.is_file()]
        assert files
        for path in files:
            assert path.resolve().is_relative_to(folder)
            assert is_safe(path.name)


@pytest.mark.parametrize("name", mostly_slow(name for name in ODD if name != "\ud800"))
def test_tiled_takes_the_node_of_a_scan_of_any_name(processed: Container, name: str) -> None:
    scan, filled = scan_with_fill(shape=(4, 24, 20), sample=name, data_key=name, motor=name)
    node = write(processed, scan, filled)
    assert is_safe(node.item["id"])
    assert node["intensity"].read().shape == (4, 24, 20)


@pytest.mark.parametrize("name", ODD)
def test_pictures_and_tuned_networks_stay_in_their_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "b"
    picture = pictures.picture_path(folder, name)
    assert picture.resolve().parent == folder / "pictures"
    assert is_safe(picture.name)

    jobs: list[Any] = []
    callback: Any = SimpleNamespace(settings=Settings(), raw=None, processed=None)
    tuning = FineTuning(callback, folder, 1.0, lambda *_, **__: None)  # type: ignore[arg-type]
    monkeypatch.setattr(tuning, "_jobs", SimpleNamespace(put=jobs.append))
    folder.mkdir(parents=True)
    tuning.begin(SimpleNamespace(metadata={"start": {"uid": name}}), "")
    (job,) = jobs
    assert job.model.resolve().parent == folder
    assert is_safe(job.model.name)
    tuning.close()
