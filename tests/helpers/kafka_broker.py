"""The Kafka broker that librdkafka has built in for tests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Its address; it lives in this process."""
    from confluent_kafka import Producer

    settings = {"test.mock.num.brokers": 1, "bootstrap.servers": "replaced"}
    mock = Producer(settings, logger=logging.getLogger("mock broker"))
    (one,) = mock.list_topics(timeout=30).brokers.values()
    yield f"{one.host}:{one.port}"
    mock.flush(1)  # it lives until here
