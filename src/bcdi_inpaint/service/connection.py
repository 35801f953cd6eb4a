"""Clients of a Tiled server, from the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from tiled.client import Context, from_context

from bcdi_inpaint.catalog import open_processed

from .keys import api_key

if TYPE_CHECKING:
    from tiled.client.container import Container

    from .source_sections import TiledSection

ANSWER = 10.0
"""Seconds in which Tiled must answer."""


def connect(tiled: TiledSection) -> tuple[Container, Container]:
    """Clients of raw and processed data.

    Raises
    ------
    KeyError
        If there is no such catalogue.
    OSError, ValueError, httpx.HTTPError
        If the key can't be read, or Tiled can't be reached or refuses.
    """
    httpx.head(tiled.uri, timeout=ANSWER)  # Tiled's own client would try for a minute
    context, _ = Context.from_any_uri(tiled.uri, api_key=api_key(tiled) or None)
    context.show_progress = False
    try:
        root = from_context(context)
        raw = _descend(root, tiled.raw)
        processed = _descend(root, tiled.processed) if tiled.processed else open_processed(raw)
    except BaseException:
        context.close()
        raise
    return raw, processed


def _descend(root: Container, path: str) -> Container:
    node = root
    for part in filter(None, path.split("/")):
        try:
            node = node[part]
        except KeyError:
            raise KeyError(
                f"there is no {path!r} in {root.uri}, or this key may not see it"
            ) from None
    return node
