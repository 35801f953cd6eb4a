"""The service: its configuration, its sources, and what it tells about itself."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint import catalog
from bcdi_inpaint.live.logs import JsonLines
from bcdi_inpaint.scans import ScanMetadata
from bcdi_inpaint.service.checks import check
from bcdi_inpaint.service.config import ServiceConfig, load
from bcdi_inpaint.service.keys import api_key, read_secret
from bcdi_inpaint.service.process import Service, hand_back
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from tiled.client.container import Container


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
        assert load(path, tiled="http://option", zmq="localhost:1").tiled.uri == "http://option"
        assert load(path, zmq="localhost:1").zmq.address == "localhost:1"

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ('[tiled]\nurl = "x"', "tiled.url"),
            ("[scans]\nplan = ['scan']", "scans.*plan is unknown"),
            ("[limits]\nattempts = 'many'", "limits.attempts"),
            ("[http]\nport = 70000", "http.port"),
            ('[tiled]\napi_key = "abc123"', "tiled.api_key"),
            ("[tiled", "is no TOML"),
            ("[limits]\nattempts = 0", "limits.*attempts must be at least 1"),
            ("[limits]\nretry_seconds = 0", "limits.*retry_seconds must be above 0"),
            ("[limits]\nlease_seconds = nan", "limits.*lease_seconds must be above 0"),
            ("[limits]\nmax_bytes = -1", "limits.*max_bytes must be at least 1"),
            ("[filling]\naround_peak = [0, 64]", "filling.around_peak"),
            ("[filling]\nroi = [[10, 5], [0, 64]]", "filling.*roi.*10:5"),
            ("[filling]\nlargest_stack = 0", "filling.largest_stack"),
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

    @pytest.mark.parametrize(
        "address", ["localhost:5568", "tcp://127.0.0.1:5568", "[::1]:5568", "ipc:///run/proxy", ""]
    )
    def test_a_proxy_on_this_machine_is_trusted(self, address: str) -> None:
        assert load(None, zmq=address).zmq.address == address

    @pytest.mark.parametrize("address", ["proxy:5568", "tcp://10.0.0.1:5568", "127.0.0.1.evil:1"])
    def test_a_proxy_elsewhere_is_trusted_only_when_that_is_said(
        self, address: str, tmp_path: Path
    ) -> None:
        with pytest.raises(ValueError, match=r"CurveZMQ.*trusted_network = true"):
            load(None, zmq=address)
        path = tmp_path / "service.toml"
        path.write_text("[zmq]\ntrusted_network = true\n")
        load(path, zmq=address)
        path.write_text("[zmq]\nsecret_key = 'a'\nproxy_public_key = 'b'\n")
        load(path, zmq=address)
        path.write_text("[zmq]\nsecret_key = 'a'\n")
        with pytest.raises(ValueError, match="needed together"):
            load(path, zmq=address)

    @pytest.mark.parametrize(
        ("kafka", "refused"),
        [
            ("servers = 'localhost:9092,127.0.0.1:9093'", ""),
            ("servers = 'kafka:9092'\noptions = {'security.protocol' = 'SASL_SSL'}", ""),
            ("servers = 'kafka:9092'\ntrusted_network = true", ""),
            ("servers = 'kafka:9092'", "security.protocol.*trusted_network = true"),
            ("servers = 'localhost:9092,kafka:9092'", "on another machine"),
            ("options = {'sasl.password' = 'abc123'}", "belongs in kafka.password_file"),
        ],
    )
    def test_brokers_elsewhere_are_trusted_with_tls_or_when_that_is_said(
        self, kafka: str, refused: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "service.toml"
        path.write_text(f"[kafka]\ntopic = 'documents'\n{kafka}\n")
        if not refused:
            load(path)
            return
        with pytest.raises(ValueError, match=refused) as caught:
            load(path)
        assert "abc123" not in str(caught.value)

    def test_documents_do_not_come_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "service.toml"
        path.write_text("[kafka]\nservers = 'localhost:9092'\n")
        with pytest.raises(ValueError, match="but not kafka"):
            load(path)
        path.write_text("[kafka]\nservers = 'localhost:9092'\ntopic = 'documents'\n")
        with pytest.raises(ValueError, match="would come twice"):
            load(path, zmq="localhost:5568")

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


@pytest.mark.slow
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
        'bcdi_inpaint_scans_failed_total{reason="unusable data"} 0.0',
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


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_page_that_other_machines_reach_is_warned_of(
    config: ServiceConfig, caplog: pytest.LogCaptureFixture, host: str, warned: bool
) -> None:
    caplog.set_level(logging.INFO)
    nowhere = config.tiled.model_copy(update={"uri": "http://127.0.0.1:9"})
    http = config.http.model_copy(update={"host": host})
    service = Service(config.model_copy(update={"tiled": nowhere, "http": http}))
    thread = threading.Thread(target=service.run)
    thread.start()
    until(lambda: any(line.startswith("Tiled: ") for line in caplog.messages))
    service.stop()
    thread.join(60)
    lines = [line for line in caplog.records if "other machines reach this page" in line.message]
    assert [line.levelname for line in lines] == ["WARNING"] * warned
    assert not warned or "0.0.0.0" in lines[0].message


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
