"""The service's read-only web server: health, metrics, and the page that is mounted beside them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bcdi_inpaint.live.guard import GuardedLogger

from .metrics import StatusCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bcdi_inpaint.live.status import Status

    from .sources import Source

logger = GuardedLogger(__name__)


def application(
    status: Callable[[], Status | None],
    sources: Sequence[Source],
) -> FastAPI:
    """The web application; there is no `status` while the service has not reached Tiled yet."""
    app = FastAPI(title="bcdi-inpaint", openapi_url=None)
    registry = CollectorRegistry()
    registry.register(StatusCollector(status, sources))

    @app.get("/healthz")
    def healthz(response: Response) -> dict[str, object]:
        """200 while runs can come in and be filled, else 503 and why not."""
        problems = ailments(status(), sources)
        response.status_code = 503 if problems else 200
        return {"healthy": not problems, "problems": problems}

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


def ailments(status: Status | None, sources: Sequence[Source]) -> list[str]:
    """Reasons why scans are not being filled, if there are any."""
    if status is None:
        return ["Tiled has not been reached yet"]
    problems = [f"source {source.name}: {source.trouble}" for source in sources if source.trouble]
    if status.worker is None:
        problems.append("there is no worker process")
    return problems


class WebServer:
    """Serves an application from a thread, on any port if that is 0.

    Raises
    ------
    OSError
        If the port is taken.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        config = uvicorn.Config(app, host, port, log_config=None, access_log=False, lifespan="off")
        self._socket = config.bind_socket()
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="web", daemon=True
        )
        self._thread.start()
        self.port: int = self._socket.getsockname()[1]
        logger.info("serving http://%s:%d", host, self.port)

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(5.0)
        self._socket.close()
