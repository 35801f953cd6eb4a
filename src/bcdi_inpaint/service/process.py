"""The service: one process beside the beamline that fills what comes from its sources."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tiled.queries import Key

from bcdi_inpaint.live import logs
from bcdi_inpaint.live.callback import InpaintCallback
from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.live.guard import GuardedLogger
from bcdi_inpaint.live.status import State

from .connection import connect
from .kafka_source import KafkaSource
from .keys import api_key, read_secret
from .page import page
from .source_sections import LOCAL
from .sources import Intake
from .tiled_source import TiledSource
from .web import WebServer, application
from .zmq_source import ZmqSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiled.client.container import Container

    from bcdi_inpaint.live.status import RunStatus, Status

    from .config import ServiceConfig
    from .sources import Source

logger = GuardedLogger(__name__)

TRY_AGAIN = 5.0
"""Seconds between attempts to reach Tiled at the start."""

LOG_EVERY = 1.0
"""Seconds between looks at what is done."""


class Service:
    """What ``bcdi-inpaint serve`` runs. `run` returns when `stop` has been called."""

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self._stopping = threading.Event()
        self._callback: InpaintCallback | None = None
        self._sources: list[Source] = []

    def stop(self) -> None:
        """Have `run` end soon; may be called from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Start the sources, wait for `stop`, fill finished runs, release the other claims."""
        config = self._config
        with ExitStack() as stack:
            settings = config.filling.settings()
            app = application(self._status, self._sources)
            web = WebServer(app, config.http.host, config.http.port)
            if config.http.host not in LOCAL:
                logger.warning(
                    "http.host is %s: other machines reach this page; have a proxy with TLS before it",
                    config.http.host,
                )
            stack.callback(web.close)
            places = self._reach_tiled()
            if places is None:
                return
            raw, processed = places
            stack.callback(raw.context.close)
            callback = InpaintCallback(
                raw,
                processed,
                settings=settings,
                rule=config.scans,
                limits=config.limits,
                owner=config.name,
            )
            stack.callback(self._finish, callback, processed)
            self._callback = callback
            shown = page(
                processed,
                raw=raw,
                status=callback.status,
                sign_in=config.http.host not in LOCAL,
                hosts=(*LOCAL, *config.http.names),
            )
            app.mount("/", shown)
            intake = Intake(callback, processed, config.scans)
            self._sources += configured_sources(config, raw, intake)
            for source in self._sources:
                stack.callback(source.close)
                source.start()
            logger.info("serving as %s: %s -> %s", config.name, raw.uri, processed.uri)
            known: set[tuple[str, float | None]] = set()
            while not self._stopping.wait(LOG_EVERY):
                known = _log_done(callback.status().last, known)
            logger.info("stopping within %g s", config.stop_seconds)

    def _status(self) -> Status | None:
        return None if self._callback is None else self._callback.status()

    def _reach_tiled(self) -> tuple[Container, Container] | None:
        """Clients of raw and processed data, as soon as there are any; None when stopped before."""
        while not self._stopping.is_set():
            try:
                return connect(self._config.tiled)
            except Exception as error:  # noqa: BLE001 (down, starting, not set up: may pass)
                logger.warning("Tiled: %s; trying again in %g s", reason(error), TRY_AGAIN)
                self._stopping.wait(TRY_AGAIN)
        return None

    def _finish(self, callback: InpaintCallback, processed: Container) -> None:
        all_done = callback.close(self._config.stop_seconds)
        try:
            returned = hand_back(processed, self._config.name)
        except Exception as error:  # noqa: BLE001 (ending comes first)
            returned = 0
            logger.warning("claims could not be handed back and will expire: %s", reason(error))
        logger.info(
            "stopped; %s, %d claims handed back",
            "all finished runs are filled" if all_done else "finished runs are left to catching up",
            returned,
        )


def serve(config: ServiceConfig) -> None:
    """Run the service until SIGTERM or SIGINT.

    Raises
    ------
    OSError, ValueError
        If the key, the mask or the port can't be used.
    """
    password = config.kafka.password_file
    secrets = [api_key(config.tiled), "" if password is None else read_secret(password)]
    logs.set_up(config.log_level, secrets)
    service = Service(config)
    with _signals(service):
        service.run()


def configured_sources(config: ServiceConfig, raw: Container, intake: Intake) -> Iterator[Source]:
    """The sources that the configuration asks for."""
    yield TiledSource(
        raw,
        intake,
        poll_seconds=config.tiled.poll_seconds,
        look_back=config.tiled.look_back,
    )
    if config.zmq.address:
        yield ZmqSource(config.zmq, intake)
    if config.kafka.servers:
        yield KafkaSource(config.kafka, intake)


def hand_back(processed: Container, owner: str) -> int:
    """Release the claims of `owner` on incomplete nodes; returns their number."""
    mine = processed.search(Key("claimed_by") == owner).search(Key("complete") == False)
    nodes = list(mine.values())
    for node in nodes:
        node.update_metadata({"claim_expires": 0.0}, drop_revision=True)
    return len(nodes)


def _log_done(
    last: Iterable[RunStatus], known: set[tuple[str, float | None]]
) -> set[tuple[str, float | None]]:
    """Write a line for each run that was done since; which ones are known now."""
    done = {(run.uid, run.completed): run for run in last}
    for key in [key for key in reversed(done) if key not in known]:
        run = done[key]
        fields = {
            "uid": run.uid,
            "scan_id": run.result.get("scan_id", run.scan_id),
            "state": run.state,
            "method": run.result.get("method_used", run.method),
            "path": run.path,
            "seconds": run.result.get("seconds"),
            "self_check": run.result.get("self_check_verdict"),
            "reason": run.reason,
        }
        level = logging.WARNING if run.state is State.FAILED else logging.INFO
        logger.log(level, "run %s: %s", run.uid, run.state, extra={"run": fields})
    return set(done)


@contextmanager
def _signals(service: Service) -> Iterator[None]:
    """Stop on SIGTERM and SIGINT; a second one ends the process at once."""

    def stop(number: int, _frame: object) -> None:
        service.stop()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
