"""Nodes of filled scans in Tiled: creating them with the right tags, finding, superseding, removing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from tiled.client.utils import ClientError
from tiled.queries import Key

from bcdi_inpaint.base_error import BcdiInpaintError
from bcdi_inpaint.export.metadata import FillMetadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiled.client.container import Container
    from tiled.structures.array import ArrayStructure
    from tiled.structures.core import StructureFamily
    from tiled.structures.data_source import DataSource


class TagsRefusedError(BcdiInpaintError, PermissionError):
    """The server does not let this key give the node the access tags of the raw run."""


def supersede(processed: Container, newest: FillMetadata) -> None:
    """Mark all complete nodes of one run, detector and method but the last one as superseded."""
    complete = {
        key: known
        for key, known in attempts(
            processed, newest.raw_uid, newest.data_key, newest.method
        ).items()
        if known.complete
    }
    if not complete:
        return
    last = max(complete, key=lambda key: complete[key].attempt)
    for key, known in complete.items():
        if key != last and not known.superseded_by:
            processed[key].update_metadata({"superseded_by": last})


def attempts(
    processed: Container, raw_uid: str, data_key: str, method: str
) -> dict[str, FillMetadata]:
    """Metadata of all nodes of one run, detector and method, by key."""
    found = (
        processed.search(Key("raw_uid") == raw_uid)
        .search(Key("data_key") == data_key)
        .search(Key("method") == method)
    )
    # Without validation: a newer version may know more fields.
    return {key: FillMetadata.model_construct(**node.metadata) for key, node in found.items()}


def wanted_tags(access_tags: Iterable[str]) -> list[str]:
    """The tags that can be requested: Tiled adds a user's or a service's own tag itself."""
    return [tag for tag in access_tags if not tag.startswith(("user:", "service:"))]


def create(
    parent: Container,
    family: StructureFamily,
    sources: list[DataSource[ArrayStructure]],
    *,
    key: str,
    access_tags: tuple[str, ...],
    **kwargs: object,
) -> Any:
    """Create a node with the raw run's access tags; if that is impossible, no node is created."""
    wanted = wanted_tags(access_tags)
    try:
        node = parent.new(family, sources, key=key, access_tags=wanted or None, **kwargs)
    except ClientError as error:
        if wanted and error.response.status_code == httpx.codes.FORBIDDEN:
            raise TagsRefusedError(
                f"{key} can't be written with the raw run's access tags {wanted}: "
                f"{' '.join(str(error).split())}. Give the service a key that owns these tags."
            ) from error
        raise
    got = node.item["attributes"]["access_tags"] or []
    if access_tags and not (got and set(got) <= set(access_tags)):
        delete(parent, key)
        raise TagsRefusedError(
            f"{key} would have got the access tags {got} instead of the raw run's "
            f"{list(access_tags)}; it was removed. Has the server no access policy?"
        )
    return node


def discard(processed: Container, key: str, *, instead: str) -> None:
    """Remove the node of an earlier attempt, or mark it if this key may not delete."""
    try:
        delete(processed, key)
    except ClientError as error:
        if error.response.status_code != httpx.codes.FORBIDDEN:
            raise
        processed[key].update_metadata({"superseded_by": instead})


def delete(parent: Container, key: str) -> None:
    """Remove a child and its data; it is fine if somebody else has done so."""
    try:
        parent.delete_contents(key, recursive=True, external_only=False)
    except ClientError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
