"""The profile as a new user has it: in a real terminal, with everything that it starts itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bcdi_inpaint.filling.weights import shipped_models

pexpect = pytest.importorskip("pexpect")

PROFILE = Path(__file__).parents[2] / "profiles" / "profile_bcdi"
FIRST_SCAN = Path(__file__).parents[2] / "docs" / "first-scan.md"
PROMPT = r"In \[\d+\]: $"


class Terminal:
    """IPython with the profile, and what it writes."""

    def __init__(self, folder: Path) -> None:
        environment = {
            **os.environ,
            "BCDI_DATA": str(folder),
            "HOME": str(folder),
            "IPYTHONDIR": str(folder),
            "TERM": "dumb",
            "NO_COLOR": "1",
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
        }
        options = ["--simple-prompt", "--no-banner", "--no-confirm-exit", "--colors=nocolor"]
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--profile-dir", str(PROFILE), *options],
            env=environment,
            cwd=folder,
            encoding="utf-8",
            timeout=240,
            dimensions=(60, 240),
        )
        self.greeting = self._answer()

    def type(self, line: str) -> str:
        """Type a line; what is written until the next prompt."""
        self._child.sendline(line)
        return self._answer().replace("\r\n", "\n")

    def leave(self) -> int:
        self._child.sendline("exit")
        self._child.expect(pexpect.EOF)
        self._child.close()
        return self._child.exitstatus

    def _answer(self) -> str:
        self._child.expect(PROMPT)
        return self._child.before


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal._child.close(force=True)


def steps():
    """What docs/first-scan.md types, and what it says comes of it."""
    text = FIRST_SCAN.read_text(encoding="utf-8")
    if not shipped_models():
        text = text.partition("## Fine-tune")[0]
    for block in re.findall(r"```ipython\n(.*?)```", text, re.DOTALL):
        for step in re.split(r"^In \[\d+\]: ", block, flags=re.MULTILINE)[1:]:
            typed, *seen = step.strip().split("\n")
            yield typed, [line for line in seen if line not in ("...", "")]


def alike(text):
    """Without what differs from one session to the next: uids, numbers, white space."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", text)
    return re.sub(r"\s+", "", re.sub(r"\d+(\.\d+)?", "#", text))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_your_first_scan_goes_as_it_is_told(terminal, tmp_path):
    assert "Error" not in terminal.greeting
    for typed, told in steps():
        said = alike(terminal.type(typed))
        for line in told:
            assert alike(line.replace("/home/you/bcdi-data", str(tmp_path))) in said, typed
    assert list((tmp_path / "inpaint" / "pictures").glob("*.png"))
    assert (tmp_path / "scan1.cxi").exists()
    assert terminal.leave() == 0


@pytest.mark.slow
def test_toggles_outlive_the_session(tmp_path):
    first = Terminal(tmp_path)
    first.type("%inpaint method cubic")
    assert first.leave() == 0
    second = Terminal(tmp_path)
    said = second.type("%inpaint")
    second.leave()
    assert re.search(r"method +cubic", said)


@pytest.mark.slow
def test_a_queueserver_worker_loads_it(tmp_path):
    """As its worker does: no terminal, no IPython, the plan and the devices found."""
    pytest.importorskip("bluesky_queueserver")
    script = f"""
from bluesky_queueserver.manager.profile_ops import (
    load_profile_collection, existing_plans_and_devices_from_nspace)
names = load_profile_collection({str(PROFILE / "startup")!r})
plans, devices, *_ = existing_plans_and_devices_from_nspace(nspace=names)
print("PLANS", sorted(plans), "DEVICES", sorted(devices))
names["inpaint"].close(0.0)
"""
    environment = {
        **os.environ,
        "BCDI_DATA": str(tmp_path),
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        "_QSERVER_RE_WORKER_ACTIVE": "True",
    }
    environment.pop("DISPLAY", None)
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "PLANS ['bcdi_rocking_scan'] DEVICES ['eiger2', 'eta', 'maxipix']" in ran.stdout
