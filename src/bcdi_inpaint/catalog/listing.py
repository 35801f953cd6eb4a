"""Nodes as a catalogue lists them, without making a client for each.

Tiled's client chooses a class for each node by its specs. Some of these classes raise for a node that does not fit
its spec, and an iteration over clients would end there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiled.client.container import Container

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bcdi_inpaint.export.layout import NodeMetadata


@dataclass(frozen=True, slots=True)
class Listed:
    """A node: its key in its container, its structure family (``"container"``, ``"array"``, ...), names of its specs.

    On a server without an access policy there are no tags.
    """

    key: str
    family: str
    metadata: NodeMetadata
    specs: tuple[str, ...] = ()
    access_tags: tuple[str, ...] = ()

    @property
    def run_uid(self) -> str | None:
        """Uid of the run that it is; None if it is none."""
        start = self.metadata.get("start")
        uid = start.get("uid") if isinstance(start, Mapping) else None
        return uid if isinstance(uid, str) else None


def listing(found: Container) -> Iterator[Listed]:
    """All nodes of a container or of what a search has found, in its order, a page at a time."""
    yield from _plainly(found).values()


def look_up(parent: Container, key: str) -> Listed:
    """The node of exactly this key.

    Raises
    ------
    KeyError
        If there is none.
    """
    # A catalogue of runs would look for a uid that begins so.
    node: Listed = Container.__getitem__(_plainly(parent), key)
    return node


def _plainly(found: Container) -> Any:
    return found.new_variation(structure_clients=defaultdict(lambda: _listed))


def _listed(*, item: Mapping[str, Any], **_: object) -> Listed:
    """Replaces a client class."""
    attributes = item["attributes"]
    metadata = attributes.get("metadata")
    return Listed(
        item["id"],
        str(attributes.get("structure_family")),
        metadata if isinstance(metadata, Mapping) else {},
        tuple(spec["name"] for spec in attributes.get("specs") or ()),
        tuple(attributes.get("access_tags") or ()),
    )
