"""Addresses of nodes, for browsers and for downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from tiled.client.container import Container

METADATA = "/api/v1/metadata/"


def in_browser(node: Container, api_key: str = "") -> str:
    """Where Tiled's own page shows a node; with a key, which is a secret, without a login."""
    return _address(node, "/ui/browse/", {"api_key": api_key} if api_key else {})


def download(node: Container, extension: str, api_key: str = "") -> str:
    """Where a node is downloaded in a format, as ``cxi``."""
    key = {"api_key": api_key} if api_key else {}
    return _address(node, "/api/v1/container/full/", {"format": extension, **key})


def _address(node: Container, route: str, query: dict[str, str]) -> str:
    address = node.uri.partition("?")[0].replace(METADATA, route, 1)
    return f"{address}?{urlencode(query)}" if query else address
