"""A page to look at: the scan that fills up, those that wait or failed, the latest results. It changes nothing.

>>> from bcdi_inpaint.service.page import page  # doctest: +SKIP
>>> uvicorn.run(page(processed))  # doctest: +SKIP

All that it shows, it reads from Tiled, with the key of the viewer where `sign_in` asks for one: what a
key may not see in Tiled, it doesn't see here.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from tiled.client.container import Container  # noqa: TC002 (FastAPI looks at annotations)
from tiled.client.utils import ClientError
from tiled.queries import SpecsQuery

from bcdi_inpaint.catalog import SPEC
from bcdi_inpaint.export.layout import QUICKLOOK
from bcdi_inpaint.live.wording import state

from .page_contents import failed, going_on, results, samples, waiting
from .sign_in import CHALLENGE, REFUSED, signed_in
from .source_sections import LOCAL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from jinja2 import Template
    from numpy.typing import ArrayLike

    from bcdi_inpaint.live import RunStatus, Status

TEMPLATE = Path(__file__).with_name("page.html")


def page(
    processed: Container,
    *,
    raw: Container | None = None,
    status: Callable[[], Status] | None = None,
    sign_in: bool = False,
    hosts: Collection[str] = LOCAL,
) -> FastAPI:
    """The page as an application, to be served by itself or mounted in another one.

    Parameters
    ----------
    processed
        Client of the container of filled scans.
    raw
        Client of the catalogue of runs: viewers who sign in see runs that wait if they may see them
        there.
    status
        Tells whether inpainting is on and which runs wait, where it runs in this process.
    sign_in
        Ask viewers for a Tiled API key (as password, with any user name) and show them what it may
        see. Without, everybody sees what `processed` sees: only for viewers on this machine.
    hosts
        Names by which browsers may ask for the page without signing in. Others are refused: a web
        site may have its name stand for this machine, and read the page by its viewer's browser.
    """
    app = FastAPI(
        title="bcdi-inpaint",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(_asking(processed))],
    )
    opened = Depends(signed_in(processed.uri) if sign_in else lambda: processed)
    if not sign_in:
        _refuse_other_hosts(app, hosts)
    _say_when_tiled_is_away(app, sign_in=sign_in)

    def filled(container: Container = opened) -> Container:
        """Filled scans alone: whatever else lies there is none of ours."""
        return container.search(SpecsQuery(include=[SPEC]))

    seen = Depends(filled)

    @app.get("/")
    def show(viewed: Container = seen, sample: str = "") -> Response:
        def may_see(run: RunStatus) -> bool:
            return not sign_in or (raw is not None and _opens(viewed, f"{raw.uri}/{run.uid}"))

        now = None if status is None else status()
        html = _html(viewed, sample, now, may_see, processed.uri)
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": _policy()}
        return Response(html, media_type="text/html", headers=headers)

    @app.get("/quicklook/{key}.png")
    def quicklook(key: str, viewed: Container = seen) -> Response:
        return _quicklook(viewed, key)

    return app


def _html(
    viewed: Container,
    sample: str,
    now: Status | None,
    may_see: Callable[[RunStatus], bool],
    uri: str,
) -> str:
    return _template().render(
        state=None if now is None else state(now),
        going_on=going_on(viewed),
        waiting=[] if now is None else waiting(now, may_see),
        failed=failed(viewed),
        results=results(viewed, sample),
        samples=samples(viewed),
        sample=sample,
        uri=uri,
    )


def _asking(processed: Container) -> Callable[[], None]:
    health = f"{processed.uri.partition('/api/')[0]}/healthz"

    def ask_tiled() -> None:
        """Fail at once if the server does not answer; the client would try again for half a minute."""
        processed.context.http_client.get(health)

    return ask_tiled


def _refuse_other_hosts(app: FastAPI, hosts: Collection[str]) -> None:
    @app.middleware("http")
    async def refuse(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if _host_name(request.headers.get("host", "")) in hosts:
            return await answer(request)
        return Response("this page is served under another name", 400, media_type="text/plain")


def _say_when_tiled_is_away(app: FastAPI, *, sign_in: bool) -> None:
    @app.exception_handler(httpx.HTTPError)
    def tiled_is_away(request: Request, error: Exception) -> Response:  # noqa: ARG001
        refused = isinstance(error, ClientError) and error.response.status_code in REFUSED
        if refused and sign_in:
            return Response("a Tiled API key is needed", 401, CHALLENGE)
        return Response("Tiled can't be reached", 503, media_type="text/plain")


def _opens(viewed: Container, uri: str) -> bool:
    """Whether a viewer's key opens a node."""
    answer: httpx.Response = viewed.context.http_client.get(uri)
    return answer.is_success


def _quicklook(viewed: Container, key: str) -> Response:
    try:
        picture = _png(viewed[key].base[QUICKLOOK].read())
    except (KeyError, AttributeError, TypeError, ValueError, httpx.InvalidURL):
        raise HTTPException(404, "no such quick look") from None
    except ClientError as error:
        if error.response.status_code in (401, 403):
            raise
        raise HTTPException(404, "no such quick look") from None
    # A node is never changed once it is complete.
    caching = {"Cache-Control": "private, max-age=86400, immutable"}
    return Response(picture, media_type="image/png", headers=caching)


def _host_name(header: str) -> str:
    """What a Host header names, without its port."""
    return re.sub(r":\d*$", "", header).strip("[]").lower()


def _png(picture: ArrayLike) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.asarray(picture).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(TEMPLATE.parent), autoescape=True).get_template(
        TEMPLATE.name
    )


@cache
def _policy() -> str:
    """Nothing is loaded from elsewhere, and only the template's own style and script count."""
    text = TEMPLATE.read_text(encoding="utf-8")
    style, script = (_hash(text, tag) for tag in ("style", "script"))
    return (
        f"default-src 'none'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
        f"style-src {style}; script-src {script}; base-uri 'none'; frame-ancestors 'none'"
    )


def _hash(text: str, tag: str) -> str:
    inside = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
