"""Sources go on behind a bad run, and behind nodes that are none."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import msgpack_numpy
import numpy as np
import pytest

from bcdi_inpaint.live import InpaintCallback
from bcdi_inpaint.service import sources as intake
from bcdi_inpaint.service import tiled_source, zmq_source
from bcdi_inpaint.service.source_sections import ZmqSection
from bcdi_inpaint.service.sources import Intake
from bcdi_inpaint.service.tiled_source import TiledSource
from bcdi_inpaint.service.zmq_source import ZmqSource
from tests.helpers.bad_runs import (
    BAD,
    at_each,
    fail_for,
    fate,
    run_of,
    sources,
)
from tests.helpers.scans import feed
from tests.helpers.waiting import until


@pytest.fixture
def publisher() -> Iterator[tuple[Callable[[str, Any], None], str]]:
    """Publishes documents as `bluesky.callbacks.zmq.Publisher` does; and where."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def publish(name: str, doc: Any) -> None:
            socket.send(
                b" ".join([b"", name.encode(), msgpack.packb(doc, default=msgpack_numpy.encode)])
            )

        yield publish, f"127.0.0.1:{port}"


@at_each(
    (zmq_source, "zmq_socket", "first"),
    (zmq_source, "decode", "first"),
    (zmq_source, "reason", "first"),
    (Intake, "document", "bad"),
    (InpaintCallback, "__call__", "bad"),
    (ZmqSource, "_take", "first"),
)
def test_0mq_goes_on_behind_a_bad_run(
    place: Any,
    name: str,
    which: str,
    callback: InpaintCallback,
    publisher: tuple[Callable[[str, Any], None], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish, address = publisher
    monkeypatch.setattr("bcdi_inpaint.service.sources.REST", 0.05)
    if name == "reason":
        fail_for(monkeypatch, zmq_source, "decode", "first")
    raised = fail_for(monkeypatch, place, name, which)
    source = ZmqSource(ZmqSection(address=address), sources(callback, None))
    source.start()
    try:
        behind: list[str] = []
        for number in range(1000):
            if any(fate(callback, run) == "complete" for run in behind):
                break
            feed(run_of(f"{BAD}-{number}", scan_id=np.arange(3)), publish)
            if raised:
                behind.append(f"good-{number}")
            feed(run_of(f"good-{number}"), publish)
            time.sleep(0.1)
        else:
            pytest.fail("no good run was filled")
    finally:
        source.close()
    assert not any(thread.is_alive() for thread in source._threads)


@pytest.mark.slow
@at_each(
    (intake, "is_rocking_scan", "bad"),
    (Intake, "run", "bad"),
    (Intake, "_is_settled", "bad"),
    (InpaintCallback, "submit", "bad"),
    (tiled_source, "cause_of", "first"),
    (TiledSource, "_look_at", "first"),
    (TiledSource, "_look", "first"),
    (TiledSource, "_subscribe", "first"),
    (TiledSource, "_look_or_wait", "first"),
    (TiledSource, "_subscribe_or_wait", "first"),
)
def test_tiled_is_looked_at_behind_a_bad_run(
    place: Any,
    name: str,
    which: str,
    callback: InpaintCallback,
    raw: Any,
    processed: Any,
    put_run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "cause_of":
        fail_for(monkeypatch, Intake, "run", "first")
    put_run(BAD)
    good = put_run()
    raised = fail_for(monkeypatch, place, name, which)
    source = TiledSource(raw, sources(callback, processed), poll_seconds=0.05, look_back=20)
    source.start()
    try:
        until(lambda: fate(callback, good) == "complete")
        until(lambda: raised and not source.trouble)
        later = put_run()
        until(lambda: fate(callback, later) == "complete")
        assert all(thread.is_alive() for thread in source._threads)
    finally:
        source.close()


def test_a_stream_that_ended_as_soon_as_it_began_is_not_waited_for(
    callback: InpaintCallback, places: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def end(_: Any) -> None:
        raise RuntimeError("the stream has ended")

    def say_late(message: str, *_: Any) -> None:
        time.sleep(0.2)
        said.append(message)

    monkeypatch.setattr("tiled.client.stream.Subscription._receive", end)
    monkeypatch.setattr(tiled_source.logger, "info", say_late)
    source = TiledSource(places[0], sources(callback, None), poll_seconds=0.05, look_back=20)
    source.start()
    try:
        until(lambda: sum("listening" in line for line in said) > 1)
        assert not source._streaming
    finally:
        source.close()


@pytest.mark.slow
def test_odd_nodes_do_not_stand_before_runs(
    callback: InpaintCallback,
    raw: Any,
    processed: Any,
    put_run: Callable[..., str],
    odd_nodes: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = put_run()
    source = TiledSource(raw, sources(callback, processed), poll_seconds=0.05, look_back=20)
    source.start()
    try:
        until(lambda: fate(callback, good) == "complete")
        for uid in "abce":
            until(lambda uid=uid: fate(callback, uid) == "complete")
        later = put_run()
        until(lambda: fate(callback, later) == "complete")
        until(lambda: not source.trouble)
    finally:
        source.close()
    said = [line for line in caplog.messages if "passed over" in line]
    assert len(said) == len(odd_nodes)
    assert all(any(key in line for line in said) for key in odd_nodes)
