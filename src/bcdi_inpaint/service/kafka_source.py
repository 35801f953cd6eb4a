"""The source for documents that a RunEngine publishes to Kafka.

The client library is used by itself: importing ``bluesky_kafka`` changes MessagePack for the whole process,
so that it unpickles what a message says is an array of objects.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.live.guard import GuardedLogger, going_on
from bcdi_inpaint.scans import RunStart

from .decoding import decode_named
from .kafka_offsets import Offsets
from .keys import read_secret
from .sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

    from .source_sections import KafkaSection
    from .sources import Intake

logger = GuardedLogger(__name__)

WAIT = 0.2
"""Seconds between looks whether to close."""
COMMIT_EVERY = 1.0
"""Seconds between looks at what is done."""
ANSWER = 10.0
"""Seconds in which brokers must answer, when it is to be found out where to begin."""
LOOK = 1.0
"""Seconds in which they must answer, when it is to be found out whether they are there again."""


class KafkaSource(Source):
    """Reads a topic as a member of a consumer group.

    An offset is committed only when all runs that began before it have their node, have failed, or are left
    to Tiled. A service that was killed reads the others again from their start documents.
    """

    name = "kafka"

    def __init__(self, kafka: KafkaSection, intake: Intake) -> None:
        doing = f"listening to {kafka.servers} failed; it is tried again"
        super().__init__({doing: self._listen})
        self._intake = intake
        self._kafka = kafka
        self._offsets = Offsets()
        self._committed: dict[int, int] = {}
        self._trouble = f"not connected to {kafka.servers}"

    @property
    def trouble(self) -> str:
        """Why no document arrives at the moment; empty while the source works."""
        return self._trouble

    def _listen(self) -> None:
        consumer = open_consumer(self._kafka, error_cb=self._on_error, on_commit=self._on_commit)
        try:
            consumer.subscribe(
                [self._kafka.topic], on_assign=self._on_assign, on_revoke=self._on_revoke
            )
            due = 0.0
            while not self._closing.is_set():
                message = consumer.poll(WAIT)
                if message is not None:
                    self._take(message)
                if time.monotonic() >= due:
                    self._commit(consumer)
                    self._look_after_trouble(consumer)
                    due = time.monotonic() + COMMIT_EVERY
        except Exception as error:
            self._trouble = reason(error)
            raise
        finally:
            consumer.close()

    def _take(self, message: Message) -> None:
        if (error := message.error()) is not None:
            self._on_error(error)
            return
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None:  # as its types allow: then it is no document
            return
        try:
            name, doc = decode_named(message.value() or b"")
            if name != "start" or self._begin(doc, partition, offset):
                self._intake.document(name, doc)
        except Exception as failure:  # noqa: BLE001 (the next document may be fine)
            logger.warning(
                "message %d of partition %d was dropped: %s", offset, partition, reason(failure)
            )
        self._offsets.seek(partition, offset + 1)

    def _begin(self, start: Mapping[str, object], partition: int, offset: int) -> bool:
        """Whether a run is to be followed that begins here; the others have been dealt with before."""
        new = True
        with going_on(logger, "it is not known whether a run is filled already; it is followed"):
            new = self._intake.is_new(start)
        if new:
            self._offsets.begin(RunStart.of(start).uid, partition, offset)
        return new

    def _commit(self, consumer: Consumer) -> None:
        """Have Kafka remember what is done."""
        from confluent_kafka import TopicPartition

        self._offsets.keep(self._intake.followed())
        mine = {place.partition for place in consumer.assignment()}
        due = [
            TopicPartition(self._kafka.topic, partition, offset)
            for partition, offset in self._offsets.settled().items()
            if partition in mine and offset != self._committed.get(partition)
        ]
        if due:
            consumer.commit(offsets=due, asynchronous=True)

    def _look_after_trouble(self, consumer: Consumer) -> None:
        """Check whether a problem is over, which no callback reports."""
        from confluent_kafka import KafkaException

        if self._trouble and consumer.assignment():
            with suppress(KafkaException):
                partitions(consumer, self._kafka.topic, LOOK)
                logger.info("listening to %s of %s", self._kafka.topic, self._kafka.servers)
                self._trouble = ""

    # What the client library calls, from within `poll`.

    def _on_assign(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Go on where this process was, else where the group was, else with what is published from now on."""
        from confluent_kafka import KafkaException

        for place in places:
            offset = self._offsets.position(place.partition)
            if offset is None:
                (known,) = consumer.committed([place], timeout=ANSWER)
                if known.error:
                    raise KafkaException(known.error)
                offset = known.offset
            if offset < 0:
                _, offset = consumer.get_watermark_offsets(place, timeout=ANSWER)
            self._offsets.seek(place.partition, offset)
            place.offset = offset
        consumer.assign(list(places))

    def _on_revoke(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:  # noqa: ARG002 (Kafka's)
        self._trouble = "waits for its share of the topic"

    def _on_error(self, error: KafkaError) -> None:
        from confluent_kafka import KafkaException

        if error.fatal():
            raise KafkaException(error)  # this consumer is of no use any more
        if not self._trouble:
            logger.warning("Kafka: %s", error.str())
        self._trouble = error.str()

    def _on_commit(self, error: KafkaError | None, places: Sequence[TopicPartition]) -> None:
        for place in places:
            if error is None and place.error is None:
                self._committed[place.partition] = place.offset
            else:
                logger.warning("Kafka does not remember what is done: %s", error or place.error)


def open_consumer(kafka: KafkaSection, **callbacks: Callable[..., None]) -> Consumer:
    """A consumer that commits offsets only on request.

    Parameters
    ----------
    kafka
        Where it connects, and as whom.
    **callbacks
        Of the client library.

    Raises
    ------
    ImportError
        If the client library is not installed.
    OSError, ValueError
        If the password's file can't be read, or others could read it.
    confluent_kafka.KafkaException
        If an option is wrong.
    """
    try:
        from confluent_kafka import Consumer
    except ImportError:
        raise ImportError(
            "reading Kafka needs confluent-kafka: pip install 'bcdi-inpaint[kafka]'"
        ) from None
    settings: dict[str, object] = {
        "log_level": 0,  # what is wrong comes by `error_cb`, once
        "session.timeout.ms": 10_000,
        "topic.metadata.refresh.interval.ms": 10_000,  # a topic may be made later
        **kafka.options,
        "bootstrap.servers": kafka.servers,
        "group.id": kafka.group,
        "auto.offset.reset": "earliest",  # of what has been deleted before it was read
        "enable.auto.commit": False,
        **callbacks,
    }
    if kafka.password_file is not None:
        settings["sasl.password"] = read_secret(kafka.password_file)
    return Consumer(settings, logger=logger)


def partitions(consumer: Consumer, topic: str, seconds: float) -> int:
    """How many partitions a topic has.

    Raises
    ------
    confluent_kafka.KafkaException
        If there is no such topic, or nobody answers in time.
    """
    from confluent_kafka import KafkaException

    found = consumer.list_topics(topic, timeout=seconds).topics[topic]
    if found.error:
        raise KafkaException(found.error)
    return len(found.partitions)
