"""Documents over 0MQ arrive as plain values, and as nothing else."""

from __future__ import annotations

import json
import pickle
import struct
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack
import msgpack_numpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.service.decoding import decode
from bcdi_inpaint.service.source_sections import ZmqSection
from bcdi_inpaint.service.unpickling import loads
from bcdi_inpaint.service.zmq_source import ZmqSource

if TYPE_CHECKING:
    from pathlib import Path

packb = partial(msgpack.packb, default=partial(msgpack_numpy.encode, chain=str))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class TestDocumentsFrom0MQ:
    @given(plain)
    def test_plain_values_arrive(self, value: Any) -> None:
        assert loads(pickle.dumps(value)) == value

    @pytest.mark.parametrize("protocol", range(4, pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize(
        "value",
        [np.arange(6, dtype=">u2").reshape(2, 3), np.float64(0.5), np.array(["a"]), {1, 2}, 1 + 2j],
        ids=lambda value: type(value).__name__,
    )
    def test_numpys_values_arrive(self, value: Any, protocol: int) -> None:
        arrived: Any = loads(pickle.dumps({"data": value}, protocol=protocol))
        np.testing.assert_array_equal(arrived["data"], value)

    @pytest.mark.parametrize("harmful", [print, "os.system", np.load])
    def test_nothing_that_can_be_called_arrives(self, harmful: Any, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> Any:
                import os

                called = os.system if harmful == "os.system" else harmful
                return called, (f"touch {tmp_path / 'trapped'}",)

        with pytest.raises(pickle.UnpicklingError, match="has no place in a document"):
            loads(pickle.dumps(Trap()))
        assert not (tmp_path / "trapped").exists()


class Calling:
    """Is pickled as a call, and what is set on the result."""

    def __init__(self, *called: Any) -> None:
        self.called = called

    def __reduce__(self) -> Any:
        return self.called


RECONSTRUCT, EMPTY, _ = tuple(np.zeros(0).__reduce__())
FROM_BUFFER = np.zeros(1).__reduce_ex__(5)[0]
SCALAR = np.float64(0).__reduce__()[0]
OBJECT, NUMBER = np.dtype("O"), np.dtype("u1")
ADDRESS = b"A" * 8
FORGED = Calling(
    np.dtype, ("u1", False, True), (3, "|", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 27)
)
HARMFUL = {
    "objects from a buffer": Calling(FROM_BUFFER, (ADDRESS, OBJECT, (1,), "C")),
    "objects as a state": Calling(RECONSTRUCT, EMPTY, (1, (1,), OBJECT, False, ADDRESS)),
    "objects in a list": Calling(RECONSTRUCT, EMPTY, (1, (1,), OBJECT, False, [1])),
    "an object as a scalar": Calling(SCALAR, (OBJECT, ADDRESS)),
    "an array of objects": np.array([{}, None]),
    "records": np.zeros(1, [("a", "u1")]),
    "a dtype that lies": FORGED,
    "an array of a dtype that lies": Calling(FROM_BUFFER, (ADDRESS, FORGED, (1,), "C")),
    "memory beyond a buffer": Calling(FROM_BUFFER, (ADDRESS, NUMBER, (10**9,), "C")),
    "memory beyond a state": Calling(RECONSTRUCT, EMPTY, (1, (10**9,), NUMBER, False, ADDRESS)),
    "memory beyond a scalar": Calling(SCALAR, (np.dtype("U5"), b"A")),
    "a negative shape": Calling(FROM_BUFFER, (ADDRESS, NUMBER, (-1, -8), "C")),
    "memory as it is": Calling(np.ndarray, ((100,),)),
    "dates": np.zeros(1, "M8[s]"),
}


@pytest.mark.parametrize("harmful", HARMFUL.values(), ids=HARMFUL)
def test_no_array_from_0mq_lies_about_what_it_holds(harmful: Any) -> None:
    body = pickle.dumps({"data": harmful})
    with pytest.raises((pickle.UnpicklingError, TypeError, ValueError)):
        loads(body)


@pytest.mark.parametrize("body", [b"\x80\x04Nr\xff\xff\xff\x7f.", b"Np2147483647\n."])
def test_ten_bytes_from_0mq_take_no_gigabytes(body: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match="memo is out of order"):
        loads(body)


NUMPY = [
    np.arange(6, dtype=">u2").reshape(2, 3),
    np.zeros((2, 0)),
    np.float64(0.5),
    np.bool_(True),
    np.array(["a"]),
    1 + 2j,
]


@pytest.mark.parametrize("value", NUMPY, ids=repr)
def test_numpys_values_arrive_from_msgpack(value: Any) -> None:
    arrived: Any = decode("msgpack", packb({"data": value, 1: [None, "text", b"bytes"]}))
    np.testing.assert_array_equal(arrived["data"], value)
    assert np.asarray(arrived["data"]).dtype == np.asarray(value).dtype
    assert arrived[1] == [None, "text", b"bytes"]


def test_what_is_no_plain_value_arrives_from_msgpack_as_text() -> None:
    assert decode("msgpack", packb({"data": {1, 2}})) == {"data": "{1, 2}"}


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_plain_values_arrive_from_json(value: Any) -> None:
    assert decode("json", json.dumps({"data": value}).encode()) == {"data": value}


REFUSED = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, RecursionError),
    *(pickle.UnpicklingError, struct.error, OverflowError),
)
"""What decoders raise; `MemoryError` is none of them."""
ARRAY = {b"nd": True, b"type": "<u1", b"kind": b"", b"shape": [4], b"data": b"abcd"}
FORGED_PACKS: dict[str, dict[Any, Any]] = {
    "a pickle": {b"kind": b"O", b"type": "|O", b"data": pickle.dumps(np.array([{}, None]))},
    "objects": {b"type": "|O", b"shape": [1], b"data": b"A" * 8},
    "records": {b"type": [["a", "<u1"]], b"kind": b"V"},
    "dates": {b"type": "<M8[s]", b"shape": [1], b"data": b"A" * 8},
    "memory beyond its bytes": {b"shape": [10**9]},
    "a negative shape": {b"shape": [-1, -8]},
    "a shape that is text": {b"shape": "ab"},
    "a number of no bytes": {b"nd": False, b"data": b""},
    "nothing else": {b"shape": None},
}


@pytest.mark.parametrize("change", FORGED_PACKS.values(), ids=FORGED_PACKS)
def test_no_array_from_msgpack_lies_about_what_it_holds(change: dict[Any, Any]) -> None:
    with pytest.raises((pickle.UnpicklingError, TypeError, ValueError)):
        decode("msgpack", msgpack.packb({"data": {**ARRAY, **change}}))


@given(st.sampled_from(["msgpack", "json", "pickle"]), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(serializer: str, body: bytes) -> None:
    with suppress(*REFUSED):
        decode(serializer, body)


@pytest.mark.parametrize(("serializer", "body"), [("msgpack", b"\x91"), ("json", b"[")])
def test_nesting_beyond_measure_is_refused(serializer: str, body: bytes) -> None:
    with pytest.raises(REFUSED):
        decode(serializer, 10**6 * body)


class Documents:
    """Takes them, in the place of an `Intake`."""

    def __init__(self) -> None:
        self.came: list[Any] = []

    def document(self, name: str, doc: Any) -> None:
        self.came.append((name, doc))


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    import zmq.auth

    for name in ("proxy", "service", "stranger"):
        zmq.auth.create_certificates(tmp_path, name)
        (tmp_path / f"{name}.key_secret").chmod(0o400)
    return tmp_path


@pytest.mark.parametrize("known", ["proxy", "stranger"])
def test_only_the_proxy_whose_key_is_known_is_listened_to(known: str, certificates: Path) -> None:
    import zmq
    import zmq.auth

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        own = zmq.auth.load_certificate(certificates / "proxy.key_secret")
        socket.curve_publickey, socket.curve_secretkey = own
        socket.curve_server = True
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        proxy = ZmqSection(
            address=f"127.0.0.1:{port}",
            secret_key=certificates / "service.key_secret",
            proxy_public_key=certificates / f"{known}.key",
        )
        intake: Any = Documents()
        source = ZmqSource(proxy, intake)
        source.start()
        try:
            for _ in range(100 if known == "proxy" else 20):
                socket.send(b" ".join([b"", b"start", packb({"uid": "a"})]))
                time.sleep(0.05)
                if intake.came:
                    break
            assert bool(intake.came) == (known == "proxy")
            assert bool(source.trouble) == (known != "proxy")
        finally:
            source.close()


def test_a_certificate_that_others_may_read_is_refused(
    certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = certificates / "service.key_secret"
    secret.chmod(0o444)
    proxy = ZmqSection(
        address="127.0.0.1:9", secret_key=secret, proxy_public_key=certificates / "proxy.key"
    )
    intake: Any = Documents()
    source = ZmqSource(proxy, intake)
    source.start()
    source.close()
    assert "others could use the key" in caplog.text
