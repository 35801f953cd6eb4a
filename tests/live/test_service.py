"""The service: its configuration, its sources, and what it tells about itself."""

from __future__ import annotations

import json
import logging
import pickle
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint import catalog
from bcdi_inpaint.live.logs import JsonLines
from bcdi_inpaint.scans import ScanMetadata
from bcdi_inpaint.service.checks import check
from bcdi_inpaint.service.config import ServiceConfig, api_key, load, read_secret
from bcdi_inpaint.service.process import Service, hand_back
from bcdi_inpaint.service.unpickling import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from tiled.client.container import Container


def until(done: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := done():
            return result
        time.sleep(0.05)
    raise TimeoutError


class TestConfiguration:
    def test_the_environment_comes_before_the_file_and_the_command_line_before_both(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "service.toml"
        path.write_text('[tiled]\nuri = "http://file"\nraw = "cdi/raw"\n[limits]\nattempts = 5\n')
        monkeypatch.setenv("BCDI_INPAINT_TILED__URI", "http://environment")
        monkeypatch.setenv("BCDI_INPAINT_FILLING__FILE_ROOTS", '["/raw"]')
        config = load(path)
        assert config.tiled.uri == "http://environment"
        assert config.tiled.raw == "cdi/raw"
        assert config.limits.attempts == 5
        assert [str(root) for root in config.filling.file_roots] == ["/raw"]
        assert load(path, tiled="http://option", zmq="here:1").tiled.uri == "http://option"
        assert load(path, zmq="here:1").zmq.address == "here:1"

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ('[tiled]\nurl = "x"', "tiled.url"),
            ("[scans]\nplan = ['scan']", "scans.*plan is unknown"),
            ("[limits]\nattempts = 'many'", "limits.attempts"),
            ("[http]\nport = 70000", "http.port"),
            ('[tiled]\napi_key = "abc123"', "tiled.api_key"),
            ("[tiled", "is no TOML"),
        ],
    )
    def test_a_wrong_field_is_named_and_its_value_is_not(
        self, text: str, named: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "service.toml"
        path.write_text(text)
        with pytest.raises(ValueError, match=named) as caught:
            load(path)
        assert "abc123" not in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
    def test_a_key_is_read_from_a_file_that_others_cannot_read(
        self, mode: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "key"
        path.write_text("abc123\n")
        path.chmod(mode)
        assert read_secret(path) == "abc123"
        config = ServiceConfig(tiled={"api_key_file": path})
        assert api_key(config.tiled) == "abc123"
        assert "abc123" not in repr(config)

    @pytest.mark.parametrize("mode", [0o404, 0o444, 0o644, 0o460, 0o666, 0o401])
    def test_a_file_that_others_can_use_is_refused(self, mode: int, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("abc123\n")
        path.chmod(mode)
        with pytest.raises(PermissionError, match=f"mode {mode:03o}.*chmod 400"):
            read_secret(path)

    def test_a_network_with_another_sha256_is_refused(self, tmp_path: Path) -> None:
        import hashlib

        from bcdi_inpaint.filling.patching.network import PatchingNetwork
        from bcdi_inpaint.filling.patching.weights import save_model

        path = tmp_path / "mine.safetensors"
        save_model(PatchingNetwork((8, 8, 8, 8)), path, {})
        right = hashlib.sha256(path.read_bytes()).hexdigest()
        filling = {"method": "patching", "options": {"model": str(path)}}
        ServiceConfig(filling={**filling, "model_sha256": right}).filling.settings()
        with pytest.raises(ValueError, match=f"mine has {right}"):
            ServiceConfig(filling={**filling, "model_sha256": "0" * 64}).filling.settings()

    def test_an_empty_key_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.touch(0o400)
        with pytest.raises(ValueError, match="is empty"):
            read_secret(path)


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
        arrived = loads(pickle.dumps({"data": value}, protocol=protocol))["data"]
        np.testing.assert_array_equal(arrived, value)

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


RECONSTRUCT, EMPTY = np.zeros(0).__reduce__()[:2]
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


def test_a_log_line_is_json_without_secrets() -> None:
    formatter = JsonLines(["abc123"])
    try:
        raise ValueError("the key abc123 was refused")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.INFO, "", 0, "a\n%s", ("b",), (ValueError, error, error.__traceback__)
        )
    record.run = {"uid": "u"}
    text = formatter.format(record)
    line = json.loads(text)
    assert line["message"] == "a\nb"
    assert line["run"] == {"uid": "u"}
    assert "the key [hidden] was refused" in line["exception"]
    assert "\n" not in text
    assert "abc123" not in text


@pytest.fixture
def config(
    server: Any,
    places: tuple[Container, Container],
    gap: NDArray[np.bool_],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ServiceConfig:
    monkeypatch.setenv("TILED_API_KEY", "secret")
    np.save(tmp_path / "mask.npy", gap)
    raw, processed = places
    return ServiceConfig(
        name="service",
        stop_seconds=30,
        tiled={
            "uri": server.uri,
            "raw": "/".join(raw.path_parts),
            "processed": "/".join(processed.path_parts),
            "poll_seconds": 0.5,
        },
        filling={"method": "linear", "mask": tmp_path / "mask.npy"},
        http={"port": 0},
    )


@pytest.fixture
def running(
    config: ServiceConfig, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[str], Any]]:
    """A running service; asks it for a path."""
    caplog.set_level(logging.INFO)
    service = Service(config)
    thread = threading.Thread(target=service.run)
    thread.start()

    def port() -> str:
        lines = [line for line in caplog.messages if line.startswith("serving http")]
        return lines[0].rpartition(":")[2] if lines else ""

    at = until(port)
    yield lambda path: httpx.get(f"http://127.0.0.1:{at}{path}", timeout=10)
    service.stop()
    thread.join(40)
    assert not thread.is_alive()


@pytest.fixture
def write_run(
    places: tuple[Container, Container],
    documents: Callable[..., Any],
    stack: NDArray[np.uint16],
    angles: NDArray[np.float64],
) -> Callable[..., str]:
    """Puts a run into Tiled; its uid."""

    def write(**start: Any) -> str:
        writer = TiledWriter(places[0])
        made = documents(stack, angles, **start)
        for name, doc in made:
            writer(name, doc)
        return str(made[0][1]["uid"])

    return write


def test_runs_are_filled_without_a_stream_those_from_before_too(
    places: tuple[Container, Container],
    write_run: Callable[..., str],
    running: Callable[[str], httpx.Response],
) -> None:
    # In this process websockets' deprecated call is an error: the server's stream can't be followed.
    _, processed = places
    before, no_scan = write_run(), write_run(plan_name="count")
    until(lambda: catalog.find(processed, before))
    until(lambda: running("/healthz").status_code == 200)
    after = write_run()
    until(lambda: catalog.find(processed, after))
    assert not catalog.find(processed, no_scan)
    assert running("/healthz").json() == {"healthy": True, "problems": []}
    until(lambda: "bcdi_inpaint_scans_filled_total 2.0" in running("/metrics").text)
    text = running("/metrics").text
    for line in (
        "bcdi_inpaint_scans_failed_total 0.0",
        "bcdi_inpaint_scans_waiting 0.0",
        'bcdi_inpaint_source_open{source="tiled"} 1.0',
        "bcdi_inpaint_worker_up 1.0",
        "bcdi_inpaint_seconds_behind 0.0",
    ):
        assert line in text.splitlines()


def test_a_service_without_tiled_says_so_and_can_be_stopped(
    config: ServiceConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    nowhere = config.tiled.model_copy(update={"uri": "http://127.0.0.1:9"})
    service = Service(config.model_copy(update={"tiled": nowhere}))
    thread = threading.Thread(target=service.run)
    thread.start()
    at = until(
        lambda: [m.rpartition(":")[2] for m in caplog.messages if m.startswith("serving http")]
    )[0]
    answer = httpx.get(f"http://127.0.0.1:{at}/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["Tiled has not been reached yet"]
    service.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_check_names_what_does_not_work(config: ServiceConfig, tmp_path: Path) -> None:
    wrong = config.model_copy(
        update={
            "filling": config.filling.model_copy(
                update={"method": "krigging", "file_roots": (tmp_path / "absent",)}
            ),
            "tiled": config.tiled.model_copy(update={"raw": "no/such"}),
        }
    )
    found = {finding.subject: finding for finding in check(wrong)}
    assert not found["Tiled"].works
    assert "no/such" in found["Tiled"].what
    assert "absent" in found["files"].what
    assert "kriging" in found["filling"].what
    assert found["key"].what == "from TILED_API_KEY"


def test_what_was_begun_can_be_taken_over_at_once_when_it_is_handed_back(
    places: tuple[Container, Container],
) -> None:
    _, processed = places
    scan = ScanMetadata(raw_uid="a", data_key="det")
    catalog.claim(processed, scan, method="linear", owner="first")
    with pytest.raises(catalog.ClaimedError):
        catalog.claim(processed, scan, method="linear", owner="second")
    assert hand_back(processed, "second") == 0
    assert hand_back(processed, "first") == 1
    catalog.claim(processed, scan, method="linear", owner="second")
