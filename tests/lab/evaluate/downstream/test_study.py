"""The study of filled scans in phase retrieval, in miniature."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from rich.console import Console

from bcdi_inpaint.lab.evaluate import Request, requested
from bcdi_inpaint.lab.evaluate.downstream import cohere_runs as cohere
from bcdi_inpaint.lab.evaluate.downstream import report
from bcdi_inpaint.lab.evaluate.downstream.fills import FILLS
from bcdi_inpaint.lab.evaluate.downstream.results import StudyStore
from bcdi_inpaint.lab.evaluate.downstream.retrieval import Schedule
from bcdi_inpaint.lab.evaluate.downstream.scenes import Plan, Scene
from bcdi_inpaint.lab.evaluate.downstream.study import Study

MINIATURE = Plan(
    scenes=(Scene("9 px", shape=(32, 32, 32), width=6),),
    measured=(),
    objects=1,
    starts=2,
    schedule=Schedule(raar=12, er=4, shrink=4),
    crosses=1,
    cross_edge=40,
    pictured=("9 px",),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """What the command leaves."""
    folder = tmp_path_factory.mktemp("downstream")
    brief = {**cohere.CONFIGURATION, "algorithm_sequence": "4*ER+6*HIO+4*ER"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cohere, "CONFIGURATION", brief)
        store = report(Request(out=folder), Console(quiet=True), MINIATURE)
    return folder, store


@pytest.mark.slow
def test_the_study_holds_every_fill_of_every_start(finished):
    _, store = finished
    lines = store.of("Reconstruction")
    lines = lines[lines["engine"] == "bench"]
    fills = set(FILLS) - {"reference"}
    there = set(zip(lines["fill"], lines["start"], strict=True))
    assert there >= {(f, s) for f in fills for s in (0, 1)}
    assert np.isfinite(lines["complex_l2"]).all()
    assert (lines["complex_l2"] > 0).all()
    weights = dict(zip(lines["fill"], lines["weights"], strict=True))
    assert weights["patching"] == weights["patching, band"] != ""
    assert weights["linear"] == ""


def test_weights_are_compared_one_by_one():
    several = requested(models=["a.safetensors", "b.safetensors"])
    with pytest.raises(ValueError, match="one --model"):
        report(several, Console(quiet=True), MINIATURE)


@pytest.mark.slow
def test_tables_and_pictures_are_written(finished):
    folder, _ = finished
    text = (folder / "tables.md").read_text()
    assert "complex L2 error" in text
    assert "true phases" in text
    assert "| 9 px |" in text
    assert json.loads((folder / "tables.json").read_text())["tables"]
    for picture in ("scatter.png", "true-phases.png", "slices-9-px.png"):
        assert (folder / picture).stat().st_size > 5_000


def test_a_second_run_makes_only_what_is_missing(finished, tmp_path):
    folder, store = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    fills = Request(methods=("linear", "kriging", "patching"))
    again = StudyStore(tmp_path / "ledger.jsonl", MINIATURE.starts, lambda _: True)
    study = Study(MINIATURE, fills, again, tmp_path)

    def told() -> list[str]:
        words: list[str] = []
        study.run(lambda what, *_: words.append(what))
        return words

    assert told() == ["done"]
    picture = tmp_path / "slices-9-px.png"
    drawn = picture.read_bytes()
    picture.unlink()
    assert told() == ["bench, 9 px, 40000: simulating", "bench, 9 px, 40000: picture", "done"]
    assert picture.read_bytes() == drawn
    assert again.entries == store.entries
