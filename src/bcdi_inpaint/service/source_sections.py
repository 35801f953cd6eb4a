"""Where runs and documents come from, as the configuration says it."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 (pydantic looks at annotations)
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LOCAL = ("127.0.0.1", "::1", "localhost")
"""This machine. The page is served there without a login; elsewhere it asks for the viewer's own key."""


class Section(BaseModel):
    """Part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TiledSection(Section):
    """Where runs come from and filled scans go."""

    uri: str = "http://localhost:8000"
    """Address of the Tiled server."""
    raw: str = "raw"
    """Path of the catalogue of runs in that server."""
    processed: str = ""
    """Path of the container of filled scans; processed/bcdi_inpaint beside raw if empty."""
    api_key_file: Path | None = None
    """File that holds the API key, not readable by others. Without it TILED_API_KEY counts. The
    key itself can't be written here."""
    poll_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Between looks at the catalogue while the server streams nothing."""
    look_back: Annotated[int, Field(gt=0)] = 100
    """So many of the latest runs are looked at when the service starts."""


class ZmqSection(Section):
    """Documents from bluesky.callbacks.zmq.Publisher, by way of bluesky-0MQ-proxy."""

    address: str = ""
    """HOST:PORT of the proxy's outgoing side; empty = this source is off."""
    prefix: str = ""
    """Only documents that were published with this prefix; empty = all."""
    serializer: Literal["msgpack", "json", "pickle"] = "msgpack"
    """What the Publisher was given as its serializer; pickle if it was given none."""
    max_bytes: Annotated[int, Field(gt=0)] = 256 * 2**20
    """A larger message is refused before memory is taken for it."""
    secret_key: Path | None = None
    """Our CurveZMQ certificate, as zmq.auth.create_certificates makes it, not readable by others."""
    proxy_public_key: Path | None = None
    """The proxy's public certificate. With both, none but this proxy is listened to."""
    trusted_network: bool = False
    """Listen to a proxy on another machine without CurveZMQ: whoever reaches it can publish documents."""

    def check_trust(self) -> None:
        """Refuse a proxy that anybody may be.

        Raises
        ------
        ValueError
            That says what to set.
        """
        if (self.secret_key is None) != (self.proxy_public_key is None):
            raise ValueError("zmq.secret_key and zmq.proxy_public_key are needed together")
        if not (_is_here(self.address) or self.secret_key or self.trusted_network):
            raise ValueError(
                f"zmq.address {self.address} is on another machine, where others might publish: set "
                "zmq.secret_key and zmq.proxy_public_key (CurveZMQ), or zmq.trusted_network = true"
            )


class KafkaSection(Section):
    """Documents from a Kafka topic, as bluesky-kafka and nslsii publish them (MessagePack)."""

    servers: str = ""
    """HOST:PORT of one or several brokers, with commas between them; empty = this source is off."""
    topic: str = ""
    """Its name, such as cdi.bluesky.runengine.documents."""
    group: str = "bcdi-inpaint"
    """Consumer group, for which Kafka remembers what has been dealt with; services of one group
    share the runs."""
    options: dict[str, str | int | float | bool] = {}
    """Further settings of librdkafka, such as "security.protocol" = "sasl_ssl"."""
    password_file: Path | None = None
    """File that holds sasl.password, not readable by others; the password can't be written here."""
    trusted_network: bool = False
    """Listen to brokers on another machine without TLS: whoever reaches them can publish documents."""

    def check_trust(self) -> None:
        """Refuse brokers that anybody may be, a password that others may read, and servers without a topic.

        Raises
        ------
        ValueError
            That says what to set.
        """
        if self.servers and not self.topic:
            raise ValueError("kafka.servers is set, but not kafka.topic")
        if "sasl.password" in self.options:
            raise ValueError("kafka.options: sasl.password belongs in kafka.password_file")
        here = all(map(_is_here, self.servers.split(",")))
        tls = str(self.options.get("security.protocol", "")).lower() in ("ssl", "sasl_ssl")
        if not (here or tls or self.trusted_network):
            raise ValueError(
                f"kafka.servers {self.servers} is on another machine, where others might publish: set "
                '"security.protocol" in kafka.options to ssl or sasl_ssl, or kafka.trusted_network = true'
            )


def _is_here(address: str) -> bool:
    """Whether an address, empty or ``[tcp://]HOST:PORT`` or ``ipc://PATH``, is on this machine."""
    host = re.sub(r"^tcp://|:\d+$", "", address.strip()).strip("[]")
    return not host or host in LOCAL or host.startswith("ipc://")
