"""``serve --check`` names each thing that is wrong, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bcdi_inpaint import detector
from bcdi_inpaint.cli import app
from bcdi_inpaint.scans import RockingScanRule
from bcdi_inpaint.service import checks
from bcdi_inpaint.service.checks import Finding, check
from bcdi_inpaint.service.config import ServiceConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tiled.client.container import Container

NOWHERE = {"uri": "http://127.0.0.1:9"}


def found(**sections: Any) -> dict[str, Finding]:
    """What is found without a Tiled."""
    config = ServiceConfig(tiled=NOWHERE, http={"port": 0}, **sections)
    return {finding.subject: finding for finding in check(config)}


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with masks, which is the working directory."""
    np.save(tmp_path / "good.npy", np.eye(516, dtype=bool))
    np.save(tmp_path / "small.npy", np.eye(24, dtype=bool))
    np.save(tmp_path / "most.npy", np.ones((516, 516), bool))
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    (tmp_path / "mask.doc").touch()
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("masks")
@pytest.mark.parametrize(
    ("filling", "subject", "says"),
    [
        ({"detector": "maxipx_2x2"}, "detector", "unknown detector 'maxipx_2x2'; nearest: maxipix"),
        ({"detector": "merlin"}, "detector", "several detectors; say which"),
        ({"detector": "maxipix_2x2", "roi": [[0, 999], [0, 9]]}, "detector", "999"),
        ({"mask": "absent.npy"}, "mask", "no mask file absent.npy"),
        ({"mask": "mask.doc"}, "mask", "a mask file ends in .npy"),
        ({"mask": "text.npy"}, "mask", "a mask holds numbers or booleans"),
        (
            {"mask": "small.npy", "detector": "maxipix_2x2"},
            "mask",
            "small.npy is 24 x 24, but frames of maxipix_2x2 are 516 x 516: give the mask of these",
        ),
        ({"method": "krigging"}, "filling", "kriging"),
        ({"method": "kriging", "options": {"iteration": 3}}, "filling", "iterations"),
        ({"device": "gpu"}, "filling", "takes"),
        ({"options": {"model": "absent"}}, "filling", "absent"),
        ({"options": {"model": "weights.safetensors"}}, "filling", "holds no patching network"),
        ({"options": {"model": "patching"}, "model_sha256": "00"}, "filling", "model_sha256"),
        ({"file_roots": ["absent"]}, "files", "there is no folder absent"),
    ],
)
def test_what_is_wrong_with_filling(filling: dict[str, Any], subject: str, says: str) -> None:
    wrong = found(filling={"method": "linear", **filling} if "options" not in filling else filling)
    assert not wrong[subject].works
    assert says in wrong[subject].what
    assert "\n" not in wrong[subject].what
    others = set(wrong) - {subject, "Tiled"}
    assert all(wrong[other].works for other in others if other != "filling" or subject != "mask")


@pytest.mark.usefixtures("masks")
def test_what_is_right_is_told() -> None:
    filling = {"method": "linear", "detector": "maxipix_2x2", "mask": "good.npy"}
    right = found(filling=filling)
    share = detector("maxipix_2x2").mask().mean()
    assert right["detector"].what == f"maxipix_2x2: {share:.1%} of 516 x 516 pixels are in gaps"
    assert right["mask"].what == "good.npy: 0.2% of 516 x 516 pixels are missing"
    assert right["filling"].what == "linear on cpu"
    doubtful = found(filling={**filling, "mask": "most.npy"})["mask"]
    assert doubtful.works
    assert "if this mask marks the pixels to keep" in doubtful.what


def test_where_nobody_answers() -> None:
    wrong = found(filling={"method": "linear"}, zmq={"address": "localhost"})
    assert wrong["Tiled"].what.startswith("nobody answers at http://127.0.0.1:9 (ConnectError")
    assert wrong["Tiled"].what.endswith("is Tiled running, and tiled.uri its address?")
    assert wrong["0MQ"].what.endswith("it takes HOST:PORT")


def test_a_wrong_thing_ends_the_command_with_2(tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    config.write_text("[scans]\nmin_points = 0\n")
    result = CliRunner().invoke(app, ["serve", str(config), "--check"])
    assert result.exit_code == 2
    assert "min_points must be at least 1" in result.output
    config.write_text(f"tiled = {json.dumps(NOWHERE).replace(':', '=', 1)}\nhttp = {{port = 0}}\n")
    result = CliRunner().invoke(app, ["serve", str(config), "--check"])
    assert result.exit_code == 2, result.output
    assert "nobody answers" in result.output


def test_the_rule_is_tried_on_the_latest_runs(raw: Container) -> None:
    for number, plan in enumerate(["scan", "count", "count", "scan"]):
        start = {"uid": str(number), "plan_name": plan, "num_points": 20, "time": float(number)}
        raw.create_container(str(number), metadata={"start": start})
    raw.create_container("no run")
    said = checks._rule(RockingScanRule(), raw, look_back=100)
    assert said.startswith("2 of the latest 5 runs are rocking scans; ")
    assert "2 not: not a rocking scan (" in said


def test_a_service_does_not_start_with_what_can_not_be_used(tmp_path: Path) -> None:
    """Else it would fail with every run."""
    config = tmp_path / "service.toml"
    for text, says in (
        ('detector = "maxipx_2x2"', "nearest: maxipix"),
        ('method = "krigging"', "kriging"),
        ('options = {mode = "x"}', "model"),
    ):
        config.write_text(f"[filling]\n{text}\n")
        result = CliRunner().invoke(app, ["serve", str(config)])
        assert result.exit_code == 2
        assert says in result.output
        assert len(result.output.splitlines()) == 1
