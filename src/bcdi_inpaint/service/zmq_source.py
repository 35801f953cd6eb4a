"""The source for documents that a RunEngine publishes over 0MQ."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.live.guard import GuardedLogger

from .decoding import decode
from .keys import read_secret
from .sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zmq import Context, Socket

    from .source_sections import ZmqSection
    from .sources import Intake

logger = GuardedLogger(__name__)

WAIT = 200
"""Milliseconds between looks whether to close."""
DESCRIPTORS = 16
"""File descriptors that a subscriber takes, and some: without them libzmq ends the process."""


class ZmqSource(Source):
    """Subscribes to a ``bluesky-0MQ-proxy``; after a message that is too large the connection is made anew."""

    name = "zmq"

    def __init__(self, proxy: ZmqSection, intake: Intake) -> None:
        doing = f"listening to {proxy.address} failed; it is tried again"
        super().__init__({doing: self._listen})
        self._intake = intake
        self._proxy = proxy
        self._prefix = proxy.prefix.encode()
        self._connected = False

    @property
    def trouble(self) -> str:
        """Why no document arrives at the moment; empty while the source works."""
        return "" if self._connected else f"not connected to {self._proxy.address}"

    def _listen(self) -> None:
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        self._connected = False
        check_descriptors()
        with (
            zmq.Context() as context,
            zmq_socket(context, self._proxy) as (socket, monitor),
        ):
            poller = zmq.Poller()
            for readable in (socket, monitor):
                poller.register(readable, zmq.POLLIN)
            while not self._closing.is_set():
                ready = dict(poller.poll(WAIT))
                if monitor in ready:
                    event = recv_monitor_message(monitor)["event"]
                    self._connected = event == zmq.Event.HANDSHAKE_SUCCEEDED
                    logger.info(
                        "%s %s",
                        "connected to" if self._connected else "lost the connection to",
                        self._proxy.address,
                    )
                if socket in ready:
                    self._take(socket.recv())

    def _take(self, message: bytes) -> None:
        try:
            prefix, name, body = message.split(b" ", 2)
            if self._prefix in (b"", prefix):
                self._intake.document(name.decode(), decode(self._proxy.serializer, body))
        except Exception as error:  # noqa: BLE001 (the next document may be fine)
            logger.warning("a message of %d bytes was dropped: %s", len(message), reason(error))


def check_descriptors() -> None:
    """Refuse to begin without the file descriptors that libzmq needs.

    Raises
    ------
    OSError
        If there are too few.
    """
    with ExitStack() as spare:
        for _ in range(DESCRIPTORS):
            spare.callback(os.close, os.open(os.devnull, os.O_RDONLY))


@contextmanager
def zmq_socket(
    context: Context[Socket[bytes]], proxy: ZmqSection
) -> Iterator[tuple[Socket[bytes], Socket[bytes]]]:
    """A subscriber, and a socket that tells when it is connected and when it is not any more.

    Raises
    ------
    OSError, ValueError
        If a certificate can't be read, or is none.
    """
    import zmq

    with context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.MAXMSGSIZE, proxy.max_bytes)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SUBSCRIBE, proxy.prefix.encode())
        if proxy.secret_key and proxy.proxy_public_key:
            _encrypt(socket, proxy.secret_key, proxy.proxy_public_key)
        monitor = socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED)
        try:
            address = proxy.address
            socket.connect(address if "://" in address else f"tcp://{address}")
            yield socket, monitor
        finally:
            socket.disable_monitor()
            monitor.close(0)  # the context would wait for it for ever


def _encrypt(socket: Socket[bytes], secret_key: Path, proxy_public_key: Path) -> None:
    """Talk CurveZMQ: to the owner of a key, as the owner of another one."""
    from zmq.auth import load_certificate

    read_secret(secret_key)  # refuses one that others may read
    socket.curve_publickey, socket.curve_secretkey = load_certificate(secret_key)
    socket.curve_serverkey, _ = load_certificate(proxy_public_key)
