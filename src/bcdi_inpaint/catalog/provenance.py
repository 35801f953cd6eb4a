"""The link from a filled scan to its raw run, in servers that have links (Tiled 0.2.15 and later).

The node's metadata say the same (``raw_path``, ``raw_uid``); a link is found from either end, by whoever
looks at the server's graph.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiled.client.container import Container

logger = logging.getLogger(__name__)

DERIVED = "prov:wasDerivedFrom"
PROV = "http://www.w3.org/ns/prov#"

_FIND = "query ($path: [String!]) { entities(nodePathParts: $path, limit: 1) { id } }"
_CREATE = "mutation ($input: CreateEntityInput!) { createEntity(input: $input) { id } }"
_LINK = """mutation ($uri: String!, $input: CreateLinkInput!) {
    upsertNamespace(prefix: "prov", uri: $uri) { prefix }
    createLink(input: $input) { id }
}"""


def link_to_raw(node: Container, raw_path: str, access_tags: Sequence[str] = ()) -> bool:
    """Say in the server's graph that a node was derived from a raw run (``prov:wasDerivedFrom``), for who has these tags.

    Returns whether there is such a link now; not if the server has none, or refuses.
    """
    if not raw_path:
        return False
    try:
        derived, raw = (_entity(node, path) for path in ("/".join(node.path_parts), raw_path))
        ends = {"subjectId": derived, "predicate": DERIVED, "objectId": raw}
        tags = {"accessTags": list(access_tags)} if access_tags else {}
        _ask(node, _LINK, uri=PROV, input={**ends, **tags})
    except (httpx.HTTPError, ValueError) as error:
        logger.debug("%s is not linked to %s: %s", node.uri, raw_path, error)
        return False
    return True


def _entity(node: Container, path: str) -> str:
    """What stands for the node at a path in the graph."""
    parts = [part for part in path.split("/") if part]
    found = _ask(node, _FIND, path=parts)["entities"]
    if not found:
        entity = {"entityType": "prov:Entity", "name": parts[-1], "nodePathParts": parts}
        return str(_ask(node, _CREATE, input=entity)["createEntity"]["id"])
    return str(found[0]["id"])


def _ask(node: Container, query: str, **variables: object) -> dict[str, Any]:
    """The answer of the server's graph.

    Raises
    ------
    httpx.HTTPError
        If there is no graph, or it can't be reached.
    ValueError
        If it refuses, or answers something else.
    """
    context = node.context
    address = str(context.api_uri).rstrip("/").removesuffix("/v1") + "/graphql"
    answer = context.http_client.post(address, json={"query": query, "variables": variables})
    content: dict[str, Any] = answer.raise_for_status().json()
    if errors := content.get("errors"):
        raise ValueError("; ".join(str(error.get("message")) for error in errors))
    found: dict[str, Any] = content["data"]
    return found
