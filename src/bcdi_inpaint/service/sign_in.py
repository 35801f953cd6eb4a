"""Viewers of the page sign in with a Tiled API key, and see what it may see."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated
from weakref import finalize

import httpx
from fastapi import Depends, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from tiled.client import from_uri
from tiled.client.container import Container  # noqa: TC002 (FastAPI looks at annotations)

if TYPE_CHECKING:
    from collections.abc import Callable

VIEWERS = 64
"""Viewers whose clients are kept."""
REFUSED = (401, 403, 404)
"""What Tiled answers to a key that may not see the container."""
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Tiled API key as password"'}


def signed_in(uri: str) -> Callable[..., Container]:
    """A dependency that opens the container with the viewer's key."""

    @lru_cache(VIEWERS)
    def opened(key: str) -> Container:
        # A client that is refused leaves its connection open; so ask first.
        answer = httpx.get(uri, headers={"Authorization": f"Apikey {key}"})
        if answer.status_code in REFUSED:
            raise HTTPException(401, "a Tiled API key is needed", CHALLENGE)
        answer.raise_for_status()
        client: Container = from_uri(uri, api_key=key)
        client.context.show_progress = False
        finalize(client, client.context.close)
        return client

    def sign_in(
        given: Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False))],
    ) -> Container:
        if given is None or not given.password:
            raise HTTPException(401, "a Tiled API key is needed", CHALLENGE)
        return opened(given.password)

    return sign_in
