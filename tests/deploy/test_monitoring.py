"""Dashboard and alerts ask for metrics that exist, and are what Grafana and Prometheus take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bcdi_inpaint.live import RunStatus, Status
from bcdi_inpaint.live.status import DropReason, FailReason, State
from bcdi_inpaint.scans import SkipReason
from bcdi_inpaint.service.metrics import ESTIMATES, StatusCollector
from bcdi_inpaint.service.sources import Source

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
BOARD: dict[str, Any] = json.loads((MONITORING / "grafana.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0][
    "rules"
]
EXPRESSIONS = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]] + [
    rule["expr"] for rule in RULES
]


class Opened(Source):
    name = "tiled"
    trouble = ""


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """Label names of each metric that the service gives."""
    checked = {
        f"self_check_{field}{ending}": 0.9
        for field in ("pcc", "counts_ratio")
        for ending in ESTIMATES.values()
    }
    done = RunStatus("a", state=State.COMPLETE, stopped=1.0, completed=2.0, result=checked)
    status = Status(
        enabled=True, paused=False, worker=1, restarts=0, queue_documents=0, queue_bytes=0,
        runs=(), last=(done,), skipped=(), complete=1, failed=1, dropped=0,
        failed_by={FailReason.DATA: 1}, dropped_by={}, skipped_by={SkipReason.OFF: 2},
        last_error="",
    )  # fmt: skip
    return {
        sample.name: set(sample.labels)
        for metric in StatusCollector(lambda: status, [Opened({})]).collect()
        for sample in metric.samples
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_expression_asks_for_what_there_is(
    expression: str, samples: dict[str, set[str]]
) -> None:
    asked = re.findall(r"\b(bcdi_inpaint_\w+|up)\b(?:\{([^}]*)\})?", expression)
    assert asked
    for name, selector in asked:
        labels = set(re.findall(r"(\w+)(?:=~|=)", selector)) - {"instance", "job"}
        if name != "up":
            assert name in samples
            assert labels <= samples[name]
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        labels = set(re.split(r", *", grouped)) - {"instance"}
        assert all(labels <= samples[name] for name, _ in asked)
    assert expression.count("(") == expression.count(")")
    if "increase(" in expression:
        assert re.search(r"increase\(bcdi_inpaint_\w+_total", expression)


def test_every_metric_is_shown_and_documented(samples: dict[str, set[str]]) -> None:
    shown = " ".join(EXPRESSIONS + [one["query"] for one in BOARD["templating"]["list"]])
    page = (ROOT / "docs" / "deploy.md").read_text()
    for name in samples:
        assert name in shown
        ending = name.removeprefix("bcdi_inpaint")
        last = re.sub(r"^_(scans|self_check|worker)(?=_)", "", ending)
        assert name in page or f"`{ending}`" in page or f"`{last}`" in page or name.endswith("info")


def test_reasons_are_counted_from_zero() -> None:
    """Prometheus sees no increase in a counter that begins at one."""
    status = Status(
        enabled=True, paused=False, worker=1, restarts=0, queue_documents=0, queue_bytes=0,
        runs=(), last=(), skipped=(), complete=0, failed=0, dropped=0,
        failed_by={}, dropped_by={}, skipped_by={}, last_error="",
    )  # fmt: skip
    zeros = {
        (sample.name.split("_")[-2], sample.labels["reason"]): sample.value
        for metric in StatusCollector(lambda: status, []).collect()
        for sample in metric.samples
        if "reason" in sample.labels
    }
    expected: dict[tuple[str, str], float] = {
        **{("failed", reason): 0 for reason in FailReason},
        **{("dropped", reason): 0 for reason in DropReason},
        **{("skipped", reason): 0 for reason in SkipReason},
    }
    assert zeros == expected


def test_alerts_say_what_to_do() -> None:
    for rule in RULES:
        assert re.fullmatch(r"Inpainting[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in ("info", "warning")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_panels_lie_beside_each_other() -> None:
    taken = [
        (column, row)
        for panel in BOARD["panels"]
        for place in [panel["gridPos"]]
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(column for column, _ in taken) < 24
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(numbers) == len(set(numbers))


def test_prometheus_accepts_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool")
    subprocess.run([promtool, "check", "rules", MONITORING / "alerts.yml"], check=True)
