"""From runs to their filled scans and back, and which runs have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from tiled.client import from_context
from tiled.client.utils import ClientError
from tiled.queries import Key

from .listing import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from tiled.client.container import Container

NEWEST_FIRST = ("finished", -1)
FOLDER = ("processed", "bcdi_inpaint")
"""Where filled scans lie beside a beamline's ``raw``."""
SHOWN = 20
"""Scan numbers that a message names."""
COLUMNS = {
    "scan": ("scan_id", "Int64"),
    "sample": ("sample", "string"),
    "detector": ("detector", "string"),
    "method": ("method_used", "string"),
    "verdict": ("self_check_verdict", "string"),
    "gap": ("gap_share", "float64"),
    "pcc": ("self_check_pcc", "float64"),
    "counts": ("self_check_counts_ratio", "float64"),
    "frames": ("frames", "Int64"),
    "finished": ("finished", "float64"),
}
"""Of the table of filled scans: the field of the metadata, and the type."""


def current(processed: Container) -> Container:
    """Filled scans that are complete and not superseded, newest first; search it further.

    Examples
    --------
    >>> current(processed).search(Key("sample") == "Pt_a").values().first()  # doctest: +SKIP
    """
    return (
        processed.search(Key("complete") == True)
        .search(Key("superseded_by") == "")
        .sort(NEWEST_FIRST)
    )


def find(processed: Container, raw_uid: str) -> list[Container]:
    """The current filled scans of a raw run, newest first; one for each detector and method."""
    return list(current(processed).search(Key("raw_uid") == raw_uid).values())


def filled_scan(processed: Container, scan_id: int, *, sample: str = "") -> Container:
    """The newest current filled scan with this number, of one sample if it is given.

    Raises
    ------
    KeyError
        If there is none; it says which numbers there are.
    """
    searched = current(processed)
    if sample:
        searched = searched.search(Key("sample") == sample)
    for node in searched.search(Key("scan_id") == scan_id).values():
        found: Container = node
        return found
    values: Any = searched.distinct("scan_id")["metadata"].get("scan_id") or []
    numbers = sorted(int(entry["value"]) for entry in values)
    there = f"there are {', '.join(map(str, numbers[-SHOWN:]))}" if numbers else "there is none yet"
    of_sample = f" of {sample}" if sample else ""
    raise KeyError(f"no filled scan {scan_id}{of_sample} in {processed.uri}; {there}")


def filled_table(processed: Container) -> pd.DataFrame:
    """The current filled scans, newest first, as a table; the index is the key of the node.

    Columns are scan, sample, detector, method, verdict, gap (share of the voxels), pcc and counts
    (ratio) of the self-check, frames, finished (UTC). What is not known is NaN, NaT or empty.

    Parameters
    ----------
    processed
        The container of filled scans, or what a search in it has found.

    Examples
    --------
    >>> table = filled_table(processed)  # doctest: +SKIP
    >>> table[table.verdict != "trusted"].sort_values("pcc")  # doctest: +SKIP
    """
    import pandas as pd

    found = list(listing(current(processed)))
    table = pd.DataFrame(
        {
            column: pd.Series([node.metadata.get(field) for node in found], dtype=dtype)
            for column, (field, dtype) in COLUMNS.items()
        }
    ).set_axis([node.key for node in found])
    return table.assign(finished=pd.to_datetime(table.finished, unit="s", utc=True))


def filled(run: Container, processed: Container | None = None) -> list[Container]:
    """The current filled scans of a run, newest first.

    Parameters
    ----------
    run
        Client of the raw run.
    processed
        Where to look; by default beside the run's catalogue.
    """
    if processed is None:
        try:
            processed = open_processed(run.parent, create=False)
        except KeyError:
            return []
    return find(processed, run.metadata["start"]["uid"])


def unfilled(raw: Container, processed: Container, *, max_failures: int = 3) -> Iterator[str]:
    """Keys of the runs that have no current filled scan, newest first.

    Runs that have failed `max_failures` times are left out. Any run counts, whether or not it
    is a rocking scan.
    """
    settled = settled_uids(processed, max_failures=max_failures)
    for node in listing(raw.sort(("start.time", -1))):
        uid = node.run_uid
        if uid is not None and uid not in settled:
            yield node.key


def settled_uids(processed: Container, *, max_failures: int = 3) -> set[str]:
    """Uids of the runs that have a current filled scan, or have failed `max_failures` times."""
    failed = processed.search(Key("failures") >= max_failures)
    return {*raw_uids(current(processed)), *raw_uids(failed)}


def raw_uids(found: Container) -> list[str]:
    """Uids of the raw runs of the filled scans that were found, each once."""
    values: Any = found.distinct("raw_uid")["metadata"].get("raw_uid") or []
    return [str(entry["value"]) for entry in values]


def raw_run(node: Container) -> Container:
    """The raw run of a filled scan, wherever it lies in the same server.

    Raises
    ------
    KeyError
        If it can't be found, or this client may not see it.
    """
    known = node.metadata
    beamline = node.item["attributes"]["ancestors"][: -len(FOLDER)]
    beside = [*beamline, "raw", known["raw_uid"]]
    for path in ([p for p in known["raw_path"].split("/") if p], beside):
        run = _open(node, path) if path else None
        if run is not None and run.metadata.get("start", {}).get("uid") == known["raw_uid"]:
            return run
    raise KeyError(
        f"the raw run {known['raw_uid']} is neither at {known['raw_path']!r} "
        f"nor at {'/'.join(beside)!r}"
    )


def open_processed(raw: Container, *, create: bool = True) -> Container:
    """The container of filled scans beside a catalogue of raw runs.

    Parameters
    ----------
    raw
        ``<beamline>/raw``; the answer is ``<beamline>/processed/bcdi_inpaint``.
    create
        Create what is absent.

    Raises
    ------
    KeyError
        If it is absent and not to be created.
    """
    here = raw.parent
    for part in FOLDER:
        try:
            here = here[part]
        except KeyError:
            if not create:
                raise
            here = _create(here, part)
    return here


def _create(parent: Container, key: str) -> Container:
    try:
        return parent.create_container(key)
    except ClientError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise
        return parent[key]  # another process has created it


def _open(node: Container, path: list[str]) -> Container | None:
    """A run by its path, in today's layout even where somebody touched ``run.v2`` before.

    That switches every run that is opened afterwards to the layout of databroker 2, since the
    table of client classes is shared by all clients in the process.
    """
    from bluesky_tiled_plugins import BlueskyRun

    try:
        run = from_context(
            node.context, structure_clients=node.structure_clients, node_path_parts=path
        )
    except ClientError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return None
    if not isinstance(run, BlueskyRun):
        return run
    return BlueskyRun(run.context, item=run.item, structure_clients=run.structure_clients)
