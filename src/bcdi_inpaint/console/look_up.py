"""Scans by their number, and why one of them is not filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiled.queries import Key

from bcdi_inpaint import catalog
from bcdi_inpaint.catalog.listing import listing
from bcdi_inpaint.live import wording
from bcdi_inpaint.scans import RunStart, why_skipped

if TYPE_CHECKING:
    from tiled.client.container import Container

    from bcdi_inpaint.live import Status
    from bcdi_inpaint.scans import RockingScanRule


def raw_run(raw: Container, scan: int | str | None) -> Container:
    """The raw run of a scan number or a uid; the newest one if None.

    Raises
    ------
    ValueError
        If there is none.
    """
    newest_first = raw.sort(("start.time", -1))
    if scan is None:
        found = next(iter(newest_first.values()), None)
    elif str(scan).isdecimal():
        numbered = newest_first.search(Key("start.scan_id") == int(scan))
        found = next(iter(numbered.values()), None)
    else:
        found = newest_first.get(str(scan))
    if found is None:
        raise ValueError(f"no scan {'' if scan is None else scan} in {raw.uri}")
    return found


def last_filled(processed: Container) -> Container:
    """The newest filled scan.

    Raises
    ------
    ValueError
        If there is none yet.
    """
    found: Container | None = next(iter(catalog.current(processed).values()), None)
    if found is None:
        raise ValueError("no scan has been filled yet")
    return found


def filled_scan(raw: Container, processed: Container, scan: int | str) -> Container:
    """What a scan has been filled to, last.

    Raises
    ------
    ValueError
        If it is not filled, or not there.
    """
    run = raw_run(raw, scan)
    found = catalog.find(processed, run.metadata["start"]["uid"])
    if not found:
        raise ValueError(
            f"scan {scan} is not filled; %inpaint why {scan} says why, %inpaint redo {scan} does it"
        )
    return found[0]


def numbers(status: Status) -> list[str]:
    """Numbers of the scans that a session knows, newest first."""
    known = (run.result.get("scan_id", run.scan_id) for run in (*status.last, *status.skipped))
    return list(dict.fromkeys(str(number) for number in known if number is not None))


def why(
    raw: Container,
    processed: Container,
    status: Status,
    rule: RockingScanRule,
    scan: int | str | None,
) -> str:
    """In a sentence, why a scan is not filled, or that it is; the newest one if None.

    Raises
    ------
    ValueError
        If there is no such scan.
    """
    start = raw_run(raw, scan).metadata["start"]
    run = RunStart.of(start)
    name = f"scan {run.uid if run.scan_id is None else run.scan_id} {run.sample}".rstrip()
    for going_on in status.runs:
        if going_on.uid == run.uid:
            return f"{name} is {wording.progress(going_on)}"
    if found := catalog.find(processed, run.uid):
        return f"{name} is filled: {'/'.join(found[0].path_parts)}"
    for skipped in status.skipped:
        if skipped.uid == run.uid:
            return f"{name} is not filled: {skipped.reason}"
    for node in listing(processed.search(Key("raw_uid") == run.uid)):
        if failed := node.metadata.get("failed"):
            return f"{name} has failed: {failed}"
    if skip := why_skipped(start, rule):
        return f"{name} is not filled: {skip}"
    return f"{name} is not filled, and this session has not seen it; %inpaint redo fills it"
