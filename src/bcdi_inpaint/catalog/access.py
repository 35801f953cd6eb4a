"""Filled scans are seen by those who see the raw runs, also when that changes afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layout import SPEC
from .listing import listing
from .nodes import wanted_tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiled.client.container import Container


def follow_tags(raw: Container, processed: Container) -> list[str]:
    """Give filled scans the present access tags of their raw runs.

    Parameters
    ----------
    raw, processed
        Tiled clients of the catalogue of runs and the container of filled scans. Scans whose runs this key can't see are not changed.

    Returns
    -------
    list of str
        Keys of the nodes whose tags were changed.
    """
    of_run = {run.run_uid or run.key: run.access_tags for run in listing(raw) if run.access_tags}
    changed = []
    for node in listing(processed):
        tags = of_run.get(node.metadata.get("raw_uid", ""), ())
        if SPEC in node.specs and tags and not set(node.access_tags) <= set(tags):
            _retag(processed[node.key], wanted_tags(tags))
            changed.append(node.key)
    return changed


def _retag(node: Container, tags: Sequence[str]) -> None:
    """Change the tags of a node and all in it; the data first."""
    if not tags:  # the run belongs to its writer alone, and only he can give the node such a tag
        return
    for child in node.base.values():
        child.update_metadata(access_tags=list(tags), drop_revision=True)
    node.update_metadata(access_tags=list(tags), drop_revision=True)
