"""Finding filled scans in a real server, and the documented ten questions."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiled.queries import Key

from bcdi_inpaint.catalog import (
    claim,
    current,
    filled,
    filled_scan,
    filled_table,
    find,
    open_processed,
    unfilled,
    write,
)
from tests.helpers.filled_scans import insert_run

if TYPE_CHECKING:
    from tiled.client.container import Container

    from tests.helpers.filled_scans import MakeScan

DOCS = Path(__file__).parents[2] / "docs" / "ten-questions.md"
NOW = time.time()

# scan id -> start of the run and what is known of its fill
FILLS: dict[int, dict[str, Any]] = {
    52: {"time": NOW - 9e5, "sample": "Au_b", "verdict": "doubtful", "pcc": 0.7},
    53: {"time": NOW - 8e5, "sample": "Pt_a", "verdict": "doubtful", "pcc": 0.85},
    54: {"time": NOW - 60, "sample": "Pt_a", "verdict": "trusted", "pcc": 0.96},
}


@pytest.fixture
def beamline_at_work(beamline: Container, make_scan: MakeScan) -> Container:
    """Three runs filled (one of them twice, one by two methods), one failed, one under way, one not."""
    from dataclasses import replace

    raw = beamline["raw"]
    processed = open_processed(raw)

    def provenance(run: Container) -> dict[str, Any]:
        start = run.metadata["start"]
        return {
            "raw_uid": start["uid"],
            "raw_path": "/".join(run.path_parts),
            **{name: start[name] for name in ("scan_id", "sample", "time")},
        }

    for scan_id, known in FILLS.items():
        run = insert_run(raw, time=known["time"], scan_id=scan_id, sample=known["sample"])
        scan, fill = make_scan(**provenance(run))
        check = replace(fill.report.self_check, verdict=known["verdict"], pcc=known["pcc"])
        model = "5ca1ab1e" if scan_id == 53 else ""
        report = replace(fill.report, self_check=check, model_name="patching", model_hash=model)
        fill = replace(fill, report=report)
        write(processed, scan, fill)
        if scan_id == 52:
            write(processed, scan, fill)  # supersedes
        if scan_id == 54:
            write(processed, scan, fill, method="patching")
    for scan_id in (55, 56, 57):
        run = insert_run(raw, scan_id=scan_id, sample="Pt_a")
        scan, _ = make_scan(**provenance(run))
        if scan_id == 55:
            for _ in range(3):
                claim(processed, scan.metadata, method="kriging").fail("CUDA error")
        if scan_id == 56:
            claim(processed, scan.metadata, method="kriging")
    return beamline


def scan_ids(found: Any) -> list[int]:
    return [node.metadata["scan_id"] for node in found]


@pytest.mark.slow
def test_queries(beamline_at_work: Container) -> None:
    """In one test, since the beamline takes seconds to set up."""
    raw = beamline_at_work["raw"]
    processed = open_processed(raw)

    assert scan_ids(current(processed).values()) == [54, 54, 53, 52]  # newest first
    assert scan_ids(current(processed).search(Key("method") == "patching").values()) == [54]

    of_54 = raw[54].metadata["start"]["uid"]
    assert [node.metadata["method"] for node in find(processed, of_54)] == ["patching", "kriging"]
    assert scan_ids(filled(raw[54])) == [54, 54]
    assert scan_ids(filled(raw[53], processed)) == [53]
    assert filled(raw[57]) == []

    # 55 has failed, 56 is under way, so it is not filled yet
    without = [raw[key].metadata["start"]["scan_id"] for key in unfilled(raw, processed)]
    assert without == [57, 56]
    patient = unfilled(raw, processed, max_failures=4)
    assert [raw[key].metadata["start"]["scan_id"] for key in patient] == [57, 56, 55]

    assert filled_scan(processed, 52).metadata["attempt"] == 2
    with pytest.raises(KeyError, match=r"no filled scan 57 in .*; there are 52, 53, 54"):
        filled_scan(processed, 57)
    with pytest.raises(KeyError, match=r"no filled scan 52 of Pt_a .*; there are 53, 54"):
        filled_scan(processed, 52, sample="Pt_a")
    with pytest.raises(KeyError, match=r"no filled scan 1 of Xy .*; there is none yet"):
        filled_scan(processed, 1, sample="Xy")

    table = filled_table(processed)
    assert table.scan.tolist() == [54, 54, 53, 52]
    assert table[table.verdict != "trusted"].sort_values("pcc").scan.tolist() == [52, 53]
    assert table["sample"].tolist() == ["Pt_a", "Pt_a", "Pt_a", "Au_b"]
    assert (table.finished.dt.tz_convert(None).astype("int64") / 1e9 > NOW - 3600).all()
    assert processed[table.index[-1]].metadata["scan_id"] == 52
    assert table.index[-1].startswith("52-Au_b-")
    assert filled_table(processed.search(Key("sample") == "Xy")).empty

    answers = ask_the_documented_questions(raw, processed)
    assert len(answers) == 10
    assert answers[1]["_"] == []
    assert answers[2]["_"].metadata["scan_id"] == 54
    assert [scan_id for scan_id, _ in answers[3]["_"]] == [54, 54, 53]
    assert answers[4]["_"].metadata["scan_id"] == 54
    uids = {raw[scan_id].metadata["start"]["uid"] for scan_id in FILLS}
    assert set(answers[5]["have"]) == uids
    assert len(answers[5]["have_not"]) == 2
    assert answers[6]["_"]["eta"].read().tolist() == [17.0, 18.0, 19.0]
    assert scan_ids(answers[7]["doubtful"].values()) == [53, 52]
    assert scan_ids(answers[7]["worst"].values()) == [52, 53]
    assert scan_ids(answers[8]["_"].values()) == [53]
    assert scan_ids(answers[9]["_"].values()) == [54, 54]
    assert scan_ids(answers[10]["under_way"].values()) == [56]
    assert answers[10]["_"] == [(55, "CUDA error")]


def ask_the_documented_questions(raw: Container, processed: Container) -> dict[int, dict[str, Any]]:
    """Run every documented answer; `_` is the value of its last line."""
    setup, *sections = re.split(r"^## (\d+)\..*$", DOCS.read_text(), flags=re.MULTILINE)
    (preamble,) = re.findall(r"```python\n(.*?)```", setup, re.DOTALL)
    names: dict[str, Any] = {}
    exec("\n".join(line for line in preamble.splitlines() if "import" in line), names)
    names |= {"raw": raw, "processed": processed}
    answers = {}
    for number, section in zip(sections[::2], sections[1::2], strict=True):
        (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        assert len(code.splitlines()) <= 3, f"question {number} takes more than three lines"
        *body, last = ast.parse(code).body
        answer = dict(names)
        exec(compile(ast.Module(body, []), f"question {number}", "exec"), answer)
        if isinstance(last, ast.Expr):
            answer["_"] = eval(compile(ast.Expression(last.value), "last line", "eval"), answer)
        else:
            exec(compile(ast.Module([last], []), f"question {number}", "exec"), answer)
        answers[int(number)] = answer
    return answers


def test_open_processed_creates_the_folders_once(beamline: Container) -> None:
    with pytest.raises(KeyError):
        open_processed(beamline["raw"], create=False)
    first = open_processed(beamline["raw"])
    assert first.path_parts[-2:] == ["processed", "bcdi_inpaint"]
    assert open_processed(beamline["raw"]).uri == first.uri
