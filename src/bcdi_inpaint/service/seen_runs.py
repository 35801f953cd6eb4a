"""Runs in a catalogue, where other nodes may be, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bcdi_inpaint.base_error import BcdiInpaintError
from bcdi_inpaint.catalog.listing import listing
from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.live.guard import GuardedLogger
from bcdi_inpaint.scans import RunStart, is_rocking_scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiled.client.container import Container

    from bcdi_inpaint.catalog.listing import Listed
    from bcdi_inpaint.scans import RockingScanRule

logger = GuardedLogger(__name__)

NAMED = 5
"""Nodes that a line names of those that are passed over."""


class NoRunError(BcdiInpaintError, ValueError):
    """A node is no run, or none that could be filled; the message says why."""


def documents_of(node: Listed) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Start and stop document of the run that a node is; the latter is empty while it goes on.

    Raises
    ------
    NoRunError
        If it is none.
    """
    if node.family != "container":
        raise NoRunError(f"no container, but of the family {node.family!r}")
    start, stop = node.metadata.get("start"), node.metadata.get("stop") or {}
    if not isinstance(start, Mapping):
        raise NoRunError("no start document")
    if not RunStart.of(start).uid:
        raise NoRunError("no uid in its start document")
    if not isinstance(stop, Mapping):
        raise NoRunError("its stop document is no document")
    return start, stop


def finished_scans(found: Container, rule: RockingScanRule) -> Iterator[RunStart]:
    """Finished rocking scans among nodes, in their order.

    Nodes with errors are skipped, and at the end one line lists them with the reasons.
    """
    passed_over: dict[str, str] = {}
    for node in listing(found):
        try:
            start, stop = documents_of(node)
            run = RunStart.of(start) if stop and is_rocking_scan(start, rule) else None
        except NoRunError as error:
            passed_over[node.key] = str(error)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is this node's)
            passed_over[node.key] = reason(error)
        else:
            if run is not None:
                yield run
    if passed_over:
        named = [f"{key} ({why})" for key, why in list(passed_over.items())[:NAMED]]
        more = len(passed_over) - len(named)
        logger.warning(
            "nodes of %s are passed over, which are no runs: %s%s",
            found.uri,
            ", ".join(named),
            f" and {more} more" if more else "",
        )
