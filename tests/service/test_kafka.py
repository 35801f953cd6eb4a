"""The Kafka source, beside librdkafka's own broker: what is read again, and what is not."""

import logging
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgpack
import msgpack_numpy
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.live import InpaintCallback, Settings
from bcdi_inpaint.service import checks, kafka_source
from bcdi_inpaint.service.kafka_offsets import Offsets
from bcdi_inpaint.service.kafka_source import KafkaSource
from bcdi_inpaint.service.source_sections import KafkaSection
from bcdi_inpaint.service.sources import Intake
from tests.helpers.bad_runs import BAD, LIMITS, at_each, fail_for, fate, run_of, sources, states
from tests.helpers.scans import feed
from tests.helpers.waiting import until

Publish = Callable[[str, Any], None]
Open = Callable[[InpaintCallback], KafkaSource]

MESSAGES = len(run_of("any"))


@pytest.fixture
def producer(broker: str) -> Iterator[Producer]:
    producer = Producer({"bootstrap.servers": broker}, logger=logging.getLogger("producer"))
    yield producer
    producer.flush(1)


@pytest.fixture
def section(broker: str, producer: Producer) -> KafkaSection:
    """A topic of its own."""
    topic = f"{uuid.uuid4()}.bluesky.runengine.documents"
    producer.list_topics(topic, timeout=30)  # makes it
    return KafkaSection(servers=broker, topic=topic)


@pytest.fixture
def send(section: KafkaSection, producer: Producer) -> Callable[[bytes | None], None]:
    """Publishes a message, all to one partition."""

    def send(message: bytes | None) -> None:
        producer.produce(section.topic, key="beamline", value=message)
        assert producer.flush(30) == 0

    return send


@pytest.fixture
def publish(send: Callable[[bytes], None]) -> Publish:
    """Publishes a document as ``bluesky_kafka.Publisher`` does."""
    return lambda name, doc: send(msgpack.packb((name, doc), default=msgpack_numpy.encode))


@pytest.fixture
def listen(section: KafkaSection, processed: Any) -> Iterator[Open]:
    """Opens sources, and closes them in the end."""
    opened: list[KafkaSource] = []

    def listen(callback: InpaintCallback) -> KafkaSource:
        source = KafkaSource(section, sources(callback, processed))
        opened.append(source)
        source.start()
        until(lambda: not source.trouble)
        return source

    yield listen
    for source in opened:
        source.close()
        assert not any(thread.is_alive() for thread in source._threads)


@pytest.fixture
def committed(section: KafkaSection) -> Iterator[Callable[[], int]]:
    """How many messages Kafka remembers as dealt with."""
    consumer = Consumer({"bootstrap.servers": section.servers, "group.id": section.group})

    def ask() -> int:
        number = kafka_source.partitions(consumer, section.topic, 30)
        places = [TopicPartition(section.topic, partition) for partition in range(number)]
        return sum(max(0, place.offset) for place in consumer.committed(places, timeout=30))

    yield ask
    consumer.close()


@pytest.mark.slow
def test_a_run_counts_as_read_when_it_is_complete(
    callback: InpaintCallback,
    section: KafkaSection,
    publish: Publish,
    listen: Open,
    committed: Callable[[], int],
) -> None:
    assert "has 4 partitions" in checks._kafka(section)
    feed(run_of("before"), publish)
    listen(callback)
    until(lambda: committed() == MESSAGES)
    *begun, stop = run_of("first")
    feed(begun, publish)
    feed(run_of("second"), publish)
    until(lambda: fate(callback, "second") == "complete")
    assert committed() == MESSAGES
    feed([stop], publish)
    until(lambda: fate(callback, "first") == "complete")
    until(lambda: committed() == 3 * MESSAGES)
    assert fate(callback, "before") is None


@pytest.mark.slow
def test_a_service_that_is_started_again_reads_an_open_run_from_its_start(
    callback: InpaintCallback, publish: Publish, listen: Open, committed: Callable[[], int]
) -> None:
    documents = run_of("in two parts")
    raw = SimpleNamespace(uri="raw")
    killed = InpaintCallback(raw, raw, settings=Settings(method="linear"), limits=LIMITS)
    source = listen(killed)
    feed(run_of("done"), publish)
    feed(documents[:6], publish)
    until(lambda: committed() == MESSAGES)
    until(lambda: states(killed) == ["measuring"])
    source.close()
    killed.close(0)
    feed(documents[6:], publish)
    listen(callback)
    until(lambda: fate(callback, "in two parts") == "complete")  # with each Event once
    assert fate(callback, "done") is None


@pytest.mark.slow
def test_a_run_that_is_filled_already_is_not_followed_again(
    callback: InpaintCallback, publish: Publish, listen: Open, processed: Any
) -> None:
    processed.create_container("node", metadata={"raw_uid": "filled", "complete": True})
    listen(callback)
    feed(run_of("filled"), publish)
    feed(run_of("new"), publish)
    until(lambda: fate(callback, "new") == "complete")
    assert [run.uid for run in callback.status().last] == ["new"]


@pytest.mark.slow
@at_each(
    (KafkaSource, "_commit", "first"),
    (kafka_source, "decode_named", "first"),
    (Intake, "is_new", "bad"),
    (Intake, "document", "bad"),
)
def test_it_goes_on_behind_a_bad_run(
    place: Any,
    name: str,
    which: str,
    callback: InpaintCallback,
    publish: Publish,
    listen: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bcdi_inpaint.service.sources.REST", 0.05)
    listen(callback)
    *begun, stop = run_of("open meanwhile")
    feed(begun, publish)
    until(lambda: states(callback) == ["measuring"])
    raised = fail_for(monkeypatch, place, name, which)
    feed(run_of(BAD), publish)
    until(lambda: len(raised) == 3 or (raised and which == "bad"))
    feed(run_of("good"), publish)
    until(lambda: fate(callback, "good") == "complete")
    feed([stop], publish)
    until(lambda: fate(callback, "open meanwhile") == "complete")  # with each Event once


@pytest.mark.slow
def test_messages_that_are_no_documents_are_passed_over(
    callback: InpaintCallback,
    send: Callable[[bytes | None], None],
    publish: Publish,
    listen: Open,
    committed: Callable[[], int],
) -> None:
    listen(callback)
    odd = [None, b"", b"\xc1", b"\x80", b"\x93\x01\x02\x03", b"\x92\x01\x80", b"\x92\xa5start\x01"]
    for message in odd:
        send(message)
    feed(run_of("good"), publish)
    until(lambda: fate(callback, "good") == "complete")
    until(lambda: committed() == len(odd) + MESSAGES)


def test_brokers_that_do_not_answer_are_named(
    callback: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 0.5)
    nowhere = KafkaSection(servers="127.0.0.1:9", topic="documents")
    source = KafkaSource(nowhere, sources(callback, None))
    source.start()
    until(lambda: "127.0.0.1:9" in source.trouble and "refused" in source.trouble)
    source.close()
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9"):
        checks._kafka(nowhere)


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(st.sampled_from(["begin", "other", "done"]), st.integers(0, 5), st.integers(0, 2))
    )
)
def test_what_is_settled_lies_before_every_open_run(steps: list[Step]) -> None:
    """By whatever messages of three partitions; a run begins with the first message that names it."""
    offsets, ends, opened, before = Offsets(), [0, 0, 0], {}, {}
    for what, run, partition in steps:
        if what == "done":
            opened.pop(run, None)
            offsets.keep(set(map(str, opened)))
        else:
            if what == "begin":
                offsets.begin(str(run), partition, ends[partition])
                opened.setdefault(run, (partition, ends[partition]))
            ends[partition] += 1
            offsets.seek(partition, ends[partition])
        settled = offsets.settled()
        for at, end in enumerate(ends):
            starts = [offset for place, offset in opened.values() if place == at]
            assert settled.get(at, 0) == min([end, *starts])
            assert settled.get(at, 0) >= before.get(at, 0), "what was dealt with is read again"
        before = settled
