"""What the page shows, read from Tiled and from the status of this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiled.queries import Key

from bcdi_inpaint.catalog import current, find
from bcdi_inpaint.catalog.links import in_browser
from bcdi_inpaint.filling import Verdict
from bcdi_inpaint.live.status import State
from bcdi_inpaint.live.wording import NOT_CHECKED, ago, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiled.client.container import Container

    from bcdi_inpaint.export.layout import NodeMetadata
    from bcdi_inpaint.live import RunStatus, Status

RESULTS = 20
"""Results that are shown."""
ICONS = {
    Verdict.TRUSTED: "✓",
    Verdict.DOUBTFUL: "!",
    Verdict.KRIGING_INSTEAD: "↩",
    NOT_CHECKED: "–",
}
"""Verdicts can be distinguished without colours, too."""
WAITS = {
    State.LEFT: "filled when it has stopped",
    State.WAITING: "waits",
    State.FILLING: "is being filled",
}


def going_on(processed: Container) -> list[dict[str, object]]:
    """Scans that are being measured or filled, newest first."""
    now = time.time()
    found = (
        processed.search(Key("complete") == False)
        .search(Key("failed") == "")
        .search(Key("claim_expires") > now)
        .sort(("created", -1))
    )
    return [_facts(node) for node in found.values()]


def waiting(status: Status, may_see: Callable[[RunStatus], bool]) -> list[dict[str, str]]:
    """Runs that are filled after they have finished, and why."""
    return [
        {"name": f"S{run.name[1:]}", "state": WAITS[run.state], "reason": run.reason}
        for run in status.runs
        if run.state in WAITS and may_see(run)
    ]


def failed(processed: Container) -> list[dict[str, object]]:
    """The latest scans that have failed, and why; not those that are filled by now."""
    found = processed.search(Key("failed") != "").search(Key("complete") == False)
    nodes = found.sort(("created", -1)).values()[:RESULTS]
    return [_facts(node) for node in nodes if not find(processed, node.metadata["raw_uid"])]


def results(processed: Container, sample: str = "") -> list[dict[str, object]]:
    """The latest current results, of one sample if it is given."""
    found = current(processed)
    if sample:
        found = found.search(Key("sample") == sample)
    return [_facts(node) for node in found.values()[:RESULTS]]


def samples(processed: Container) -> list[str]:
    """Names of the samples of which there are results."""
    values = current(processed).distinct("sample")["metadata"].get("sample") or []
    return sorted({str(entry["value"]) for entry in values} - {""})


def _facts(node: Container) -> dict[str, object]:
    """What the page says of one filled scan."""
    known: NodeMetadata = node.metadata
    word = verdict(known, None)
    return {
        **known,
        "key": node.item["id"],
        "name": f"Scan {known['scan_id']}"
        if "scan_id" in known
        else str(known.get("raw_uid", "?"))[:8],
        "verdict": word,
        "icon": ICONS.get(word, "!"),
        "ago": ago(known.get("finished") or known.get("created")),
        "tiled": in_browser(node),
        "pcc": [
            (name, known[f"self_check_pcc{suffix}"])
            for name, suffix in (
                ("this fill", ""),
                ("kriging", "_kriging"),
                ("linear", "_linear"),
                ("best possible", "_ceiling"),
            )
            if f"self_check_pcc{suffix}" in known
        ],
    }
