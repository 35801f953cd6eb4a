"""A real browser, driven by Chromium's own protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.sync.client import connect

from .waiting import WAIT, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0", "--window-size=1200,900",
)  # fmt: skip


class Browser:
    """One page in a browser with a fresh profile."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked = 0
        self.complaints: list[str] = []
        """What the browser's console said: errors, and what the page's security policy refused."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer."""
        self._asked += 1
        self._socket.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=WAIT))
            if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(json.dumps(answer["params"]))
            if answer.get("id") == self._asked:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str) -> None:
        """Go to an address and wait until it and its pictures are there."""
        self.ask("Page.navigate", url=url)
        until(lambda: self.value("location.href") == url)
        until(lambda: self.value("document.readyState") == "complete")

    def value(self, script: str) -> Any:
        """What a script in the page gives."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector: str = "body") -> str:
        """The words that are seen."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def scroll_to_end(self) -> None:
        """Pictures are loaded when they come into sight."""
        self.value("scrollTo(0, document.body.scrollHeight)")

    def picture(self, path: Path) -> None:
        """Take a picture of the whole page."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser with one page; the test is skipped where there is none."""
    if PROGRAM is None:
        pytest.skip("no Chromium (Debian package chromium)")
    command = [PROGRAM, *FLAGS, f"--user-data-dir={tmp_path}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            port_file = tmp_path / "DevToolsActivePort"
            until(lambda: port_file.exists() and port_file.read_text().strip())
            port = port_file.read_text().split()[0]
            pages = httpx.get(f"http://127.0.0.1:{port}/json").json()
            address = next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
            with connect(address, max_size=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
