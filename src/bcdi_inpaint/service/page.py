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
import time
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from weakref import finalize

import httpx
import numpy as np
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from tiled.client import from_uri
from tiled.client.utils import ClientError
from tiled.queries import Key

from bcdi_inpaint.catalog import current, find
from bcdi_inpaint.catalog.links import in_browser
from bcdi_inpaint.export.layout import QUICKLOOK
from bcdi_inpaint.live.status import State
from bcdi_inpaint.live.wording import ago, state, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Template
    from tiled.client.container import Container

    from bcdi_inpaint.live import RunStatus, Status

    Open = Callable[..., Container]

TEMPLATE = Path(__file__).with_name("page.html")
RESULTS = 20
"""Results that are shown."""
VIEWERS = 64
"""Viewers whose clients are kept."""
REFUSED = (401, 403, 404)
"""What Tiled answers to a key that may not see the container."""
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Tiled API key as password"'}
ICONS = {"trusted": "✓", "doubtful": "!", "kriging used instead": "↩", "not checked": "–"}
"""Verdicts are told apart without colours, too."""
WAITS = {
    State.LEFT: "filled when it has stopped",
    State.WAITING: "waits",
    State.FILLING: "is being filled",
}


def page(
    processed: Container,
    *,
    raw: Container | None = None,
    status: Callable[[], Status] | None = None,
    sign_in: bool = False,
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
    """
    health = f"{processed.uri.partition('/api/')[0]}/healthz"

    def ask_tiled() -> None:
        """Fail at once if nobody answers; the client would try again for half a minute."""
        processed.context.http_client.get(health)

    app = FastAPI(
        title="bcdi-inpaint",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(ask_tiled)],
    )
    seen = Depends(_signed_in(processed.uri) if sign_in else lambda: processed)

    def may_see(viewed: Container) -> Callable[[RunStatus], bool]:
        """Whether a viewer may know of a run; whoever need not sign in may."""

        def known(run: RunStatus) -> bool:
            if not sign_in:
                return True
            return (
                raw is not None
                and viewed.context.http_client.get(f"{raw.uri}/{run.uid}").is_success
            )

        return known

    @app.get("/")
    def show(viewed: Any = seen, sample: str = "") -> Response:
        html = _template().render(
            state=None if status is None else state(status()),
            going_on=going_on(viewed),
            waiting=[] if status is None else waiting(status(), may_see(viewed)),
            failed=failed(viewed),
            results=results(viewed, sample),
            samples=samples(viewed),
            sample=sample,
        )
        return Response(
            html,
            media_type="text/html",
            headers={
                "Cache-Control": "no-store",
                "Content-Security-Policy": _policy(),
            },
        )

    @app.get("/quicklook/{key}.png")
    def quicklook(key: str, viewed: Any = seen) -> Response:
        try:
            picture = viewed[key].base[QUICKLOOK].read()
        except KeyError:
            raise HTTPException(404, "no such quick look") from None
        # A node is never changed once it is complete.
        caching = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(_png(np.asarray(picture)), media_type="image/png", headers=caching)

    @app.exception_handler(httpx.HTTPError)
    def tiled_is_away(request: Request, error: Exception) -> Response:  # noqa: ARG001
        refused = isinstance(error, ClientError) and error.response.status_code in REFUSED
        if refused and sign_in:
            return Response("a Tiled API key is needed", 401, CHALLENGE)
        return Response("Tiled can't be reached", 503, media_type="text/plain")

    return app


def going_on(processed: Container) -> list[dict[str, Any]]:
    """Scans that are being measured or filled, newest first."""
    now = time.time()
    found = (
        processed.search(Key("complete") == False)
        .search(Key("failed") == "")
        .search(Key("claim_expires") > now)
        .sort(("created", -1))
    )
    return [_facts(node) for node in found.values()]


def waiting(status: Status, may_see: Callable[[RunStatus], bool]) -> list[dict[str, str]]:
    """Runs that are filled after they have finished, and why."""
    return [
        {"name": f"S{run.name[1:]}", "state": WAITS[run.state], "reason": run.reason}
        for run in status.runs
        if run.state in WAITS and may_see(run)
    ]


def failed(processed: Container) -> list[dict[str, Any]]:
    """Scans that were given up last, and why; not those that are filled by now."""
    found = processed.search(Key("failed") != "").search(Key("complete") == False)
    nodes = found.sort(("created", -1)).values()[:RESULTS]
    return [_facts(node) for node in nodes if not find(processed, node.metadata["raw_uid"])]


def results(processed: Container, sample: str = "") -> list[dict[str, Any]]:
    """The latest current results, of one sample if it is given."""
    found = current(processed)
    if sample:
        found = found.search(Key("sample") == sample)
    return [_facts(node) for node in found.values()[:RESULTS]]


def samples(processed: Container) -> list[str]:
    """Names of the samples of which there are results."""
    values = current(processed).distinct("sample")["metadata"].get("sample") or []
    return sorted({str(entry["value"]) for entry in values} - {""})


def _facts(node: Container) -> dict[str, Any]:
    """What the page says of one filled scan."""
    known: Mapping[str, Any] = node.metadata
    word = verdict(known, None)
    return {
        **known,
        "key": node.item["id"],
        "name": f"Scan {known['scan_id']}" if "scan_id" in known else known["raw_uid"][:8],
        "verdict": word,
        "icon": ICONS.get(word, "!"),
        "ago": ago(known.get("finished") or known.get("created")),
        "tiled": in_browser(node),
        "pcc": [
            (name, known[f"self_check_pcc{suffix}"])
            for name, suffix in (
                ("this fill", ""),
                ("kriging", "_kriging"),
                ("linear", "_linear"),
                ("best possible", "_ceiling"),
            )
            if f"self_check_pcc{suffix}" in known
        ],
    }


def _signed_in(uri: str) -> Open:
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


def _png(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(file, "PNG")
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
