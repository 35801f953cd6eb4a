"""The page shows what Tiled holds and the viewer may see, in a real browser."""

from __future__ import annotations

import base64
import re
import threading
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from bcdi_inpaint import RockingScan, ScanMetadata, catalog
from bcdi_inpaint import inpaint as fill
from bcdi_inpaint.live import Limits, RunStatus, Settings, Status
from bcdi_inpaint.live.dispatch.run_table import RunTable
from bcdi_inpaint.live.status import DropReason, State
from bcdi_inpaint.scans import RunStart
from bcdi_inpaint.service.page import page
from tests.helpers.scans import gap_over, peak_behind
from tests.helpers.waiting import WAIT, until

get = partial(httpx.get, timeout=WAIT)
GAP = gap_over(np.s_[20:23])
STACK = peak_behind(GAP)


def scan(number, sample):
    known = ScanMetadata(
        raw_uid=f"run-{number}",
        scan_id=number,
        sample=sample,
        data_key="det",
        frames_expected=len(STACK),
    )
    return RockingScan(STACK, GAP, None, known)


@contextmanager
def results(processed):
    """Two results of two samples, and a scan that is half filled."""
    filled = fill(STACK, GAP, "linear")
    catalog.write(processed, scan(1, "Pt <b>"), filled)
    catalog.write(processed, scan(2, "Au"), filled)
    growing = catalog.claim(processed, scan(3, "Au").metadata, method="linear")
    growing.allocate(STACK.shape, np.float32, frames_per_block=10)
    growing.write_frames(
        0, filled.intensity[:10], filled.sigma[:10], filled.mask[:10], seconds_behind=1.5
    )
    growing.renew(seconds_behind=1.5)
    yield processed
    growing.abandon()


@pytest.fixture(scope="module")
def places(server):
    """Of tests that only look; what they look at takes seconds to write."""
    return server.beamline()


@pytest.fixture(scope="module")
def processed(places):
    with results(places[1]) as processed:
        yield processed


@pytest.fixture
def own_processed(server):
    """The same for a test that writes."""
    with results(server.beamline()[1]) as processed:
        yield processed


@contextmanager
def serving(app):
    """Serve an application on a port of this machine; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}/"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve():
    """That, until the test is over."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@pytest.mark.slow
def test_what_is_in_tiled_is_seen(browser, serve, processed, tmp_path):
    browser.open(serve(page(processed)))
    now = browser.text("section")
    assert "Scan 3 Au" in now
    assert "10 of 20 frames" in now
    assert "1.5 s behind" in now
    cards = browser.value("[...document.querySelectorAll('.cards > li')].map(c => c.innerText)")
    assert [re.match(r"Scan \d \S+", card)[0] for card in cards] == ["Scan 2 Au", "Scan 1 Pt"]
    assert "Pt <b>" in cards[1]
    assert "linear" in cards[0]
    assert "gap 9.4 %" in cards[0]
    browser.scroll_to_end()
    until(lambda: min(browser.value("[...document.images].map(i => i.naturalWidth)")) > 300)
    assert browser.complaints == []
    browser.picture(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width > 1000


@pytest.mark.slow
def test_what_is_provisional_waits_or_has_failed_is_seen(browser, serve, own_processed):
    """Frames that may change are told from final ones; each run that isn't filled has its reason."""
    processed = own_processed
    part = fill(STACK, GAP, "linear")
    growing = catalog.claim(processed, scan(5, "Fe").metadata, method="linear")
    growing.allocate(STACK.shape, np.float32, frames_per_block=10)
    growing.write_frames(0, part.intensity[:10], part.sigma[:10], part.mask[:10], final=4)
    growing.renew()
    catalog.claim(processed, scan(6, "Ni").metadata, method="linear").fail("no mask <b>")
    again = scan(7, "Co")
    catalog.claim(processed, again.metadata, method="nearest").fail("at first")
    catalog.write(processed, again, part)
    table = RunTable(Limits())
    table.begin(RunStart("run-8", 8, sample="Cu"), Settings(), live=True)
    table.drop("run-8", "the worker could not keep up", DropReason.SLOW)
    table.begin(RunStart("run-9", 9), Settings(), live=True)
    table.submit("run-10", Settings(), again=False)
    status = Status(
        enabled=True, paused=False, worker=1, restarts=0, queue_documents=0, queue_bytes=0,
        runs=table.runs(), last=(), skipped=(), complete=0, failed=0, dropped=1, failed_by={},
        dropped_by={}, skipped_by={}, last_error="",
    )  # fmt: skip
    browser.open(serve(page(processed, status=lambda: status)))
    now, failed = browser.value("[...document.querySelectorAll('section')].map(s => s.innerText)")[
        :2
    ]
    assert re.search(
        r"Scan 5 Fe.*10 of 20 frames.*4 frames\s+6 frames are provisional", now, re.DOTALL
    )
    assert "Scan 8 Cu: filled when it has stopped, the worker could not keep up" in now
    assert "Scan run-10: waits" in now
    assert "Scan 9" not in now  # it is filled while it goes on
    assert re.search(r"Scan 6 Ni \d+ s ago no mask <b>", failed)
    assert "at first" not in failed
    assert browser.complaints == []
    growing.abandon()


def test_who_signs_in_sees_waiting_runs_only_of_those_he_may_see(serve, places, processed):
    raw, key = places[0], processed.context.api_key
    raw.create_container("known", metadata={"start": {"uid": "known"}})
    runs = tuple(RunStatus(uid, sample=uid, state=State.WAITING) for uid in ("known", "secret"))
    status = Status(
        enabled=True, paused=False, worker=1, restarts=0, queue_documents=0, queue_bytes=0,
        runs=runs, last=(), skipped=(), complete=0, failed=0, dropped=0, failed_by={},
        dropped_by={}, skipped_by={}, last_error="",
    )  # fmt: skip
    address = serve(page(processed, raw=raw, status=lambda: status, sign_in=True))
    seen = get(address, auth=("viewer", key)).text
    assert "Scan known known: waits" in seen
    assert "secret" not in seen


def test_the_page_follows_what_happens(browser, serve, own_processed):
    browser.open(serve(page(own_processed)))
    assert "Scan 4" not in browser.text()
    catalog.write(own_processed, scan(4, "Au"), fill(STACK, GAP, "nearest"))
    until(lambda: "Scan 4 Au" in browser.text("#main"))
    assert browser.complaints == []


@pytest.mark.slow
def test_results_can_be_filtered_by_sample_with_the_keyboard(browser, serve, processed):
    address = serve(page(processed))
    browser.open(address)
    browser.value("document.querySelector('select').focus()")
    browser.value("document.querySelector('select').value = 'Au'")
    browser.value("document.querySelector('form button').click()")
    until(lambda: browser.value("location.search") == "?sample=Au")
    until(lambda: browser.value("document.readyState") == "complete")
    assert "Scan 2 Au" in browser.text(".cards")
    assert "Scan 1" not in browser.text(".cards")
    assert browser.value("document.querySelector('select').value") == "Au"


@pytest.mark.slow
def test_everything_has_a_name_for_those_who_hear_it(browser, serve, processed):
    browser.open(serve(page(processed)))
    tree = browser.ask("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node["name"]["value"])
        for node in tree
        if not node["ignored"] and "name" in node and "role" in node
    }
    roles = {role for role, _ in named}
    assert {"heading", "image", "progressbar", "combobox", "link"} <= {r.lower() for r in roles}
    for role, name in named:
        if role.lower() in ("image", "progressbar", "combobox", "link", "button"):
            assert name, role
    assert browser.value("document.documentElement.lang") == "en"


def test_without_a_key_nothing_is_shown(serve, processed):
    address = serve(page(processed, sign_in=True))
    key = processed.context.api_key
    for given in (None, ("viewer", ""), ("viewer", "wrong")):
        answer = get(address, auth=given)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert "Scan" not in answer.text
    assert "Scan 2" in get(address, auth=("viewer", key)).text
    assert key not in get(address, auth=("viewer", key)).text


@pytest.mark.slow
def test_a_browser_signs_in_with_a_tiled_key(browser, serve, processed):
    key = processed.context.api_key
    token = base64.b64encode(f"viewer:{key}".encode()).decode()
    browser.ask("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {token}"})
    browser.open(serve(page(processed, sign_in=True)))
    assert "Scan 2 Au" in browser.text()
    browser.scroll_to_end()
    until(lambda: min(browser.value("[...document.images].map(i => i.naturalWidth)")) > 300)


def test_it_says_how_programs_learn_of_a_complete_scan(serve, processed):
    shown = httpx.get(serve(page(processed))).text
    assert f'tiled.client.from_uri("{processed.uri}").subscribe()' in shown


def test_nothing_can_be_changed(serve, processed):
    address = serve(page(processed))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("", "quicklook/x.png"):
            assert httpx.request(method, address + path, timeout=WAIT).status_code == 405
    assert get(address + "quicklook/x.png").status_code == 404
    assert get(address + "openapi.json").status_code == 404
    policy = get(address).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_without_tiled_the_page_says_so(serve, server, line):
    client = server.client(line.port)
    line.cut()
    answer = get(serve(page(client)))
    assert (answer.status_code, answer.text) == (503, "Tiled can't be reached")
