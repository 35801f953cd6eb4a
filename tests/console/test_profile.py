"""The profile as a new user has it: in a real terminal, with everything that it starts itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")

PROFILE = Path(__file__).parents[2] / "profiles" / "profile_bcdi"
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
            encoding="utf-8",
            timeout=240,
            dimensions=(60, 240),
        )
        self.greeting = self._answer()

    def type(self, line: str) -> str:
        """Type a line; what is written until the next prompt."""
        self._child.sendline(line)
        return self._answer().replace("\r\n", "\n")

    def expect(self, pattern: str) -> None:
        """Wait until something is written."""
        self._child.expect(pattern)

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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_user_scans_and_toggles_and_looks_and_redoes(terminal, tmp_path):
    """The steps of docs/first-scan.md."""
    assert "Error" not in terminal.greeting
    terminal.type("%inpaint method linear")

    said = terminal.type("RE(bcdi_rocking_scan(maxipix, eta, points=16, sample='Pt'));")
    assert "generator bcdi_rocking_scan" in said
    assert "True" in terminal.type("inpaint.wait()")
    said = terminal.type("%inpaint")
    assert re.search(r"inpainting +on", said)
    assert re.search(r"scan 1 Pt +gap \d+\.\d% +linear", said)

    assert "from the next scan on" in terminal.type("%inpaint off")
    terminal.type("RE(bcdi_rocking_scan(eiger2, eta, points=16, sample='Pt'));")
    assert "True" in terminal.type("inpaint.wait()")
    said = terminal.type("%inpaint")
    assert re.search(r"inpainting +off", said)
    assert "1 filled" in said
    terminal.type("%inpaint on")

    assert "picture: " in terminal.type("%inpaint show 1")
    assert list((tmp_path / "inpaint" / "pictures").glob("*.png"))

    terminal.type("%inpaint method nearest")
    assert "scan 2 is filled again" in terminal.type("%inpaint redo 2")
    assert "True" in terminal.type("inpaint.wait()")
    said = terminal.type("print(inpaint.last().metadata['method'], inpaint.last().metadata['roi'])")
    assert "nearest [[" in said
    assert "did you mean method" in terminal.type("%inpaint metod")
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
