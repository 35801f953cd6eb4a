"""``serve --check``: what the service would do, and whether each of its connections works."""

from __future__ import annotations

import socket
import threading
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import httpx
import numpy as np

from bcdi_inpaint.catalog.listing import listing
from bcdi_inpaint.filling import inpaint
from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.scans import printable, why_skipped

from .connection import connect
from .kafka_source import open_consumer, partitions
from .keys import KEY_VARIABLE, api_key
from .tiled_source import MAX_MESSAGE
from .zmq_source import check_descriptors, zmq_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tiled.client.container import Container

    from bcdi_inpaint.scans import RockingScanRule

    from .config import FillingSection, ServiceConfig
    from .source_sections import KafkaSection, ZmqSection

PATIENCE = 15.0
"""Seconds to wait for an answer."""
NEWEST_FIRST = ("start.time", -1)
LISTED = 3
"""Reasons why runs are not filled that are named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of `subject` has found, and whether the service can run with it."""

    subject: str
    works: bool
    what: str


def check(config: ServiceConfig) -> Iterator[Finding]:
    """Try everything the service needs; everything that is created is removed again."""
    filling = config.filling
    yield _try("name", lambda: f"nodes are claimed as {config.name}")
    yield _try("key", lambda: _key(config))
    places: list[Container] = []
    yield _try("Tiled", lambda: _places(config, places))
    if places:
        raw, processed = places
        yield _try("runs", lambda: f"{len(raw)} in {raw.uri}")
        yield _try("rule", lambda: _rule(config.scans, raw, config.tiled.look_back))
        yield _try("filled scans", lambda: _write(processed))
        yield _try("stream", lambda: _stream(raw, config.tiled.poll_seconds))
        raw.context.close()
    if config.zmq.address:
        yield _try("0MQ", lambda: _zmq(config.zmq))
    if config.kafka.servers:
        yield _try("Kafka", lambda: _kafka(config.kafka))
    for folder in filling.file_roots:
        yield _try("files", partial(_folder, folder))
    yield _try("detector", lambda: _detector(filling))
    if filling.mask is not None:
        yield _try("mask", lambda: _mask(filling))
    yield _try("filling", lambda: _fill(filling))
    yield _try("web", lambda: _port(config.http.host, config.http.port))


def _try(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, works=True, what=look())
    except Exception as error:  # noqa: BLE001 (that is what was to be found out)
        said = reason(error)
        explained = isinstance(error, ValueError | OSError | LookupError)  # else by its kind, too
        what = said.partition(": ")[2] if explained else ""
        return Finding(subject, works=False, what=what or said)


def _key(config: ServiceConfig) -> str:
    if not api_key(config.tiled):
        return f"none; set {KEY_VARIABLE} or api_key_file unless anybody may write to the server"
    return f"from {config.tiled.api_key_file or KEY_VARIABLE}"


def _places(config: ServiceConfig, places: list[Container]) -> str:
    uri = config.tiled.uri
    try:
        places += connect(config.tiled)
    except httpx.HTTPStatusError as error:
        raise PermissionError(
            f"{uri} refuses ({reason(error)}): is the key in {KEY_VARIABLE} or api_key_file the right one?"
        ) from error
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ConnectionError(
            f"nobody answers at {uri} ({reason(error)}): is Tiled running, and tiled.uri its address?"
        ) from error
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

    check_descriptors()
    try:
        with zmq.Context() as context, zmq_socket(context, proxy) as (_, monitor):
            answered = monitor.poll(int(1000 * PATIENCE))
    except zmq.ZMQError as error:
        raise ValueError(
            f"zmq.address {proxy.address!r} can't be used ({error}): it takes HOST:PORT"
        ) from error
    if not answered:
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
    if not folder.is_dir():
        raise NotADirectoryError(f"filling.file_roots: there is no folder {folder}")
    return f"{folder} has {len(list(folder.iterdir()))} entries"


def _detector(filling: FillingSection) -> str:
    gaps = filling.frame()
    if gaps is None:
        return "told from each run; filling.detector names it where runs don't say it"
    rows, cols = gaps.shape
    return f"{filling.detector}: {gaps.mean():.1%} of {rows} x {cols} pixels are in gaps"


def _mask(filling: FillingSection) -> str:
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        mask = filling.missing()
    assert mask is not None
    said = [" ".join(str(doubt.message).split()) for doubt in doubts]
    shape = " x ".join(map(str, mask.shape))
    return "; ".join([f"{filling.mask}: {mask.mean():.1%} of {shape} pixels are missing", *said])


def _fill(filling: FillingSection) -> str:
    filling.check_method()
    stack = np.ones((8, 16, 16), np.float32)
    mask = np.zeros((16, 16), bool)
    mask[:, 7:9] = True
    report = inpaint(stack, mask, filling.method, filling.device, **filling.options).report
    return f"{report.method} on {report.device}"


def _rule(rule: RockingScanRule, raw: Container, look_back: int) -> str:
    """What the rule makes of the latest runs."""
    latest = list(islice(listing(raw.sort(NEWEST_FIRST)), look_back))
    skipped: Counter[str] = Counter()
    wanted = 0
    for node in latest:
        start = node.metadata.get("start")
        skip = why_skipped(start if isinstance(start, Mapping) else {}, rule)
        wanted += skip is None
        if skip is not None:
            skipped[printable(str(skip))] += 1
    said = "; ".join(f"{count} not: {why}" for why, count in skipped.most_common(LISTED))
    return f"{wanted} of the latest {len(latest)} runs are rocking scans" + (said and f"; {said}")


def _port(host: str, port: int) -> str:
    with socket.create_server((host, port)):
        return f"http://{host}:{port}/healthz and /metrics"
