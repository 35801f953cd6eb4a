"""``serve --check``: what the service would do, and whether each of its connections works."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.filling import inpaint
from bcdi_inpaint.live.errors import reason

from .connection import connect
from .kafka_source import open_consumer, partitions
from .keys import KEY_VARIABLE, api_key
from .tiled_source import MAX_MESSAGE
from .zmq_source import zmq_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tiled.client.container import Container

    from .config import ServiceConfig
    from .source_sections import KafkaSection, ZmqSection

PATIENCE = 15.0
"""Seconds to wait for an answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    Attributes
    ----------
    subject
        What was looked at.
    works
        Whether the service can run with it.
    what
        What was found, or what is wrong.
    """

    subject: str
    works: bool
    what: str


def check(config: ServiceConfig) -> Iterator[Finding]:
    """Try everything the service needs; everything that is created is removed again."""
    yield _try("name", lambda: f"nodes are claimed as {config.name}")
    yield _try("key", lambda: _key(config))
    places: list[Container] = []
    yield _try("Tiled", lambda: _places(config, places))
    if places:
        raw, processed = places
        yield _try("runs", lambda: f"{len(raw)} in {raw.uri}")
        yield _try("filled scans", lambda: _write(processed))
        yield _try("stream", lambda: _stream(raw, config.tiled.poll_seconds))
        raw.context.close()
    if config.zmq.address:
        yield _try("0MQ", lambda: _zmq(config.zmq))
    if config.kafka.servers:
        yield _try("Kafka", lambda: _kafka(config.kafka))
    for folder in config.filling.file_roots:
        yield _try("files", partial(_folder, folder))
    yield _try("filling", lambda: _fill(config))
    yield _try("web", lambda: _port(config.http.host, config.http.port))


def _try(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, works=True, what=look())
    except Exception as error:  # noqa: BLE001 (that is what was to be found out)
        return Finding(subject, works=False, what=reason(error))


def _key(config: ServiceConfig) -> str:
    if not api_key(config.tiled):
        return f"none; set {KEY_VARIABLE} or api_key_file unless anybody may write to the server"
    return f"from {config.tiled.api_key_file or KEY_VARIABLE}"


def _places(config: ServiceConfig, places: list[Container]) -> str:
    places += connect(config.tiled)
    info = places[0].context.server_info
    return f"{config.tiled.uri}, version {info.library_version}"


def _write(processed: Container) -> str:
    """Create, change and remove a small node, for which the key needs all its scopes."""
    key = f"check-{uuid.uuid4().hex}"
    step = "create a node (scope create:node)"
    try:
        node = processed.create_container(key, metadata={"complete": False})
        step = "write an array (scope write:data)"
        node.write_array(np.zeros((2, 2), np.float32), key="intensity")
        step = "change metadata (scope write:metadata)"
        node.update_metadata({"complete": True}, drop_revision=True)
        step = "read an array (scope read:data)"
        node["intensity"].read()
        step = "remove a node (scopes delete:node, delete:revision)"
        processed.delete_contents(key, recursive=True, external_only=False)
    except Exception as error:
        raise RuntimeError(f"this key can't {step} in {processed.uri}: {reason(error)}") from error
    return f"written to {processed.uri}"


def _stream(raw: Container, poll_seconds: float) -> str:
    subscription = raw.subscribe()
    why = ["no answer"]

    def listen() -> None:
        try:
            subscription.start(max_size=MAX_MESSAGE)
        except Exception as error:  # noqa: BLE001 (that is what was to be found out)
            why[0] = reason(error)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    connected = subscription._connected_event  # noqa: SLF001
    deadline = time.monotonic() + PATIENCE
    while listener.is_alive() and not connected.is_set() and time.monotonic() < deadline:
        connected.wait(0.1)
    listener.join(1.0)  # revoking the short-lived key comes after connecting, and may be refused
    stays = connected.is_set() and listener.is_alive()
    subscription._disconnect_event.set()  # noqa: SLF001
    listener.join(PATIENCE)
    if stays:
        return "runs are announced by the server"
    return (
        f"none ({why[0]}); the catalogue is looked at every {poll_seconds:g} s instead. A server "
        "with streaming_cache, and a key with create:apikeys and revoke:apikeys, announces runs"
    )


def _zmq(proxy: ZmqSection) -> str:
    import zmq

    with zmq.Context() as context, zmq_socket(context, proxy) as (_, monitor):
        if not monitor.poll(int(1000 * PATIENCE)):
            raise TimeoutError(
                f"nobody answers at {proxy.address}; is bluesky-0MQ-proxy running, with these keys?"
            )
    return f"connected to {proxy.address}, for documents as {proxy.serializer}"


def _kafka(kafka: KafkaSection) -> str:
    consumer = open_consumer(kafka)
    try:
        number = partitions(consumer, kafka.topic, PATIENCE)
    except Exception as error:
        raise ConnectionError(f"{kafka.topic} of {kafka.servers}: {reason(error)}") from error
    finally:
        consumer.close()
    return f"{kafka.topic} of {kafka.servers} has {number} partitions; read as group {kafka.group}"


def _folder(folder: Path) -> str:
    return f"{folder} has {len(list(folder.iterdir()))} entries"


def _fill(config: ServiceConfig) -> str:
    settings = config.filling.settings()
    stack = np.ones((8, 16, 16), np.float32)
    mask = np.zeros((16, 16), bool)
    mask[:, 7:9] = True
    report = inpaint(stack, mask, settings.method, settings.device, **settings.options).report
    return f"{report.method} on {report.device}"


def _port(host: str, port: int) -> str:
    with socket.create_server((host, port)):
        return f"http://{host}:{port}/healthz and /metrics"
