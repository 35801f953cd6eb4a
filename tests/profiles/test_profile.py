"""The profile as a new user has it: in a real terminal, with everything that it starts itself."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiled.client import from_uri

from bcdi_inpaint import catalog, console, live, scans
from bcdi_inpaint.console.plans import bcdi_rocking_scan
from bcdi_inpaint.console.toggles import Toggles
from bcdi_inpaint.service.page import page

pexpect = pytest.importorskip("pexpect")

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "profiles" / "profile_bcdi"
FIRST_SCAN, WRONG_FILL, BEAMLINE = (
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("first-scan.md", "wrong-fill.md", "beamline.md")
)
PROMPT = r"In \[\d+\]: $"
WAIT = 400
"""Seconds; only a fault makes anything take so long."""


def environment(folder, **more):
    return {
        **os.environ,
        "BCDI_DATA": str(folder),
        "HOME": str(folder),
        "IPYTHONDIR": str(folder),
        "TERM": "dumb",
        "NO_COLOR": "1",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        **more,
    }


class Terminal:
    """IPython with the profile, and what it writes."""

    def __init__(self, folder: Path) -> None:
        options = ["--simple-prompt", "--no-banner", "--no-confirm-exit", "--colors=nocolor"]
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--profile-dir", str(PROFILE), *options],
            env=environment(folder),
            cwd=folder,
            encoding="utf-8",
            timeout=WAIT,
            dimensions=(60, 240),
        )
        self.greeting = self._answer()

    def type(self, line: str) -> str:
        """Type a line; what is written until the next prompt."""
        self._child.sendline(line)
        return self._answer().replace("\r\n", "\n")

    def leave(self) -> str:
        """Type exit; what is written until the end."""
        self._child.sendline("exit")
        self._child.expect(pexpect.EOF)
        self._child.close()
        assert self._child.exitstatus == 0
        return self._child.before

    def _answer(self) -> str:
        self._child.expect(PROMPT)
        return self._child.before


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal._child.close(force=True)


def blocks(text, language):
    """The code blocks of a page that are in some language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def steps(text):
    """What a page types into IPython, and what it says comes of it."""
    for block in blocks(text, "ipython"):
        for step in re.split(r"^In \[\d+\]: ", block, flags=re.MULTILINE)[1:]:
            typed, *seen = step.strip().split("\n")
            yield typed, [line for line in seen if line not in ("...", "")]


def alike(text):
    """Without what differs from one session to the next: uids, numbers, verdicts, white space."""
    text = re.sub("doubtful|trusted", "VERDICT", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", text)
    return re.sub(r"\s+", "", re.sub(r"\d+(\.\d+)?", "#", text))


CURVES = """[(axis.get_ylabel(), len(axis.lines[0].get_xdata()))
 for n in plt.get_fignums() for axis in plt.figure(n).axes if axis.lines]""".replace("\n", "")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_pages_go_as_they_are_told(terminal, tmp_path):
    """The tutorial, and in the same session what to do when the fill looks wrong."""
    assert "Error" not in terminal.greeting
    terminal.type("inpaint._tuning.seconds = 12")
    for typed, told in (*steps(FIRST_SCAN), *steps(WRONG_FILL)):
        said = terminal.type(typed)
        if "made the network no better" in said:
            continue  # in so short a time, on a slow machine
        for line in told:
            if line.startswith("inpaint: %inpaint finetune now") and "doubtful" not in said:
                continue
            ours = line.replace("/home/you/bcdi-data", str(tmp_path))
            assert alike(ours) in alike(said), f"{typed}\n{said}"
    assert list((tmp_path / "inpaint" / "pictures").glob("*.png"))
    assert (tmp_path / "scan1.cxi").exists()
    terminal.type("import matplotlib.pyplot as plt")
    assert "('eiger2_total', 64)" in terminal.type(CURVES)

    terminal.type("RE(bcdi_rocking_scan(maxipix, eta, points=8));")
    assert "scan 3  gap 9.2%  linear" in terminal.leave()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_runs_that_are_not_filled_are_explained_and_off_is_remembered(tmp_path):
    """An alignment scan is no matter; the next session says that inpainting is off, and its first scan."""
    first = Terminal(tmp_path)
    try:
        first.type("import bluesky.plans as bp; from ophyd.sim import SynGauss")
        first.type("point = SynGauss('point', eta, 'eta', center=0, Imax=1)")
        said = first.type("RE(bp.scan([point], eta, -3, 3, 16));") + first.type("inpaint.wait()")
        assert "inpaint:" not in said
        assert "Traceback" not in said
        assert "failed" not in said
        why = "scan 1 is not filled: no images (it recorded point, eta, eta_setpoint)"
        assert why in first.type("%inpaint why")
        assert why in first.type("%inpaint log")
        assert "<Status on (worker" in first.type("inpaint.callback.status()")
        first.type("%inpaint off")
        first.leave()
    finally:
        first._child.close(force=True)
    second = Terminal(tmp_path)
    try:
        assert "off since an earlier session: new scans are not filled" in second.greeting
        said = second.type("RE(bcdi_rocking_scan(maxipix, eta, points=8));")
        said += second.type("inpaint.wait()")
        assert "inpaint: scan 2 is not filled: inpainting is off (%inpaint on)" in said
        second.type("from IPython.core.completer import provisionalcompleter")
        second.type("complete = get_ipython().Completer.completions")
        second.type(
            "texts = provisionalcompleter()(lambda t: [c.text for c in complete(t, len(t))])"
        )
        completed = second.type("texts('%inpaint detector maxi')")
        assert "['maxipix_2x2', 'maxipix_5x1']" in completed
        second.leave()
    finally:
        second._child.close(force=True)


@pytest.fixture
def iocs(tmp_path, free_port):
    """A motor record and areaDetectors in a process of their own; the environment that finds them."""
    pytest.importorskip("caproto")
    found = {
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(free_port()),
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": "",
    }
    command = [sys.executable, str(Path(__file__).with_name("ioc.py")), "BCDI:"]
    with subprocess.Popen(
        command, env={**os.environ, **found}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield found
        process.terminate()


@pytest.fixture
def queueserver(tmp_path, free_port):
    """A Redis of its own, and the environment in which a queueserver's programs find all they need."""
    pytest.importorskip("bluesky_queueserver")
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server (Debian package redis-server)")
    redis, control, info = free_port(), free_port(), free_port()
    config = tmp_path / "queueserver.yml"
    config.write_text(f"network:\n  redis_addr: localhost:{redis}\n")
    command = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        yield {
            "QSERVER_CONFIG": str(config),
            "QSERVER_ZMQ_CONTROL_ADDRESS_FOR_SERVER": f"tcp://127.0.0.1:{control}",
            "QSERVER_ZMQ_CONTROL_ADDRESS": f"tcp://127.0.0.1:{control}",
            "QSERVER_ZMQ_INFO_ADDRESS_FOR_SERVER": f"tcp://127.0.0.1:{info}",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        process.terminate()


def appears(words, file, process):
    """Wait until a program that goes on has written some words to a file; all that is there then."""
    deadline = time.monotonic() + WAIT
    text = ""
    while words not in text:
        assert process.poll() is None, text
        assert time.monotonic() < deadline, f"{words!r} is not in\n{text}"
        time.sleep(0.2)
        text = file.read_text() if file.exists() else ""
    return text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_queueserver_scans_with_it_over_epics(iocs, queueserver, tmp_path):
    """By the page's commands: no terminal, no IPython, the plan and the devices found; real PVs."""
    shutil.copytree(PROFILE / "startup", tmp_path / "profiles" / "profile_bcdi" / "startup")
    (tmp_path / "inpaint").mkdir()
    (tmp_path / "inpaint" / "inpaint.toml").write_text(Toggles(method="linear").to_toml())
    variables = environment(tmp_path, BCDI_DEVICES="epics", **iocs, **queueserver)
    variables.pop("DISPLAY", None)
    start, *commands = (
        shlex.split(command)
        for command in re.findall(r"^\$ (start-re-manager .*|qserver .*)$", BEAMLINE, re.MULTILINE)
    )
    written = tmp_path / "manager.log"
    with (
        written.open("w") as log,
        subprocess.Popen(
            start, cwd=tmp_path, env=variables, stdout=log, stderr=subprocess.STDOUT
        ) as manager,
    ):
        try:
            appears("ZeroMQ server is waiting", written, manager)
            for command in commands:
                done = subprocess.run(
                    command, env=variables, capture_output=True, text=True, check=False
                )
                assert "'success': True" in done.stdout, done.stdout + done.stderr
                if command[1] == "environment":
                    appears("Worker started successfully", written, manager)
            filled = appears("scan 1 Pt  gap", tmp_path / "inpaint" / "inpaint.log", manager)
            assert re.search(r"scan 1 Pt  gap [\d.]+%  linear", filled)
            warnings = [line for line in filled.splitlines() if "WARNING" in line]
            assert len(warnings) == 1, filled  # the verdict, and nothing that went wrong
            assert warnings[0].endswith("the gap holds much of the Bragg peak")
            root = from_uri(re.search(r"^Tiled: (\S+)$", written.read_text(), re.MULTILINE)[1])
            (node,) = root["bcdi/processed/bcdi_inpaint"].values()
            np.testing.assert_allclose(node["eta"].read(), np.linspace(-0.12, 0.12, 64), atol=1e-3)
            assert node.metadata["detector"] == "maxipix_2x2"
            assert node.metadata["roi"] == [[240, 280], [236, 284]]
            assert node["intensity"].read().sum(axis=(1, 2)).argmax() in (31, 32)
            root.context.http_client.close()
        finally:
            manager.terminate()


def profile_runs(folder, program, **variables):
    """What a program prints that runs behind the startup files, without a terminal."""
    startup = [path for path in sorted((PROFILE / "startup").glob("*.py")) if path.name[0] != "9"]
    files = [f"exec(compile({path.read_text()!r}, {path.name!r}, 'exec'))" for path in startup]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*files, program])],
        env=environment(folder, **variables),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


FLY = """
inpaint.method("linear")
RE(bcdi_rocking_fly(maxipix, eta, points=64, exposure=0.05, sample="crystal"))
assert inpaint.callback.wait(300)
(node,) = processed.values()
known = node.metadata
print(known["detector"], known["plan_name"], known["motor"], known["frames"], known["roi"] == list(map(list, simulated("maxipix_2x2").roi)))
print(np.abs(node["eta_readback"].read()).max() < 0.13, eta.position)
inpaint.callback.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fly_scan_is_filled_with_its_angles(tmp_path):
    said = profile_runs(tmp_path, f"import numpy as np\n{FLY}", BCDI_DEVICES="simulated-async")
    assert "maxipix_2x2 bcdi_rocking_fly eta_readback 64 True\n" in said
    assert "True 0.0\n" in said


MOCK = """
from bluesky import plan_stubs as bps
RE(bps.mv(eta, 0.5))
print(eta.name, maxipix.name, merlin.name, eiger2.name)
print(maxipix.driver.min_y.source, merlin.driver.trigger_mode.source)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_devices_of_ophyd_async_can_be_tried_without_epics(tmp_path):
    said = profile_runs(tmp_path, MOCK, BCDI_DEVICES="epics-async", BCDI_MOCK="1", BCDI_PREFIX="X:")
    assert "eta maxipix merlin eiger2\n" in said
    assert "mock+ca://X:maxipix:cam1:MinY_RBV mock+ca://X:merlin:cam1:TriggerMode" in said


def test_what_is_written_about_a_beamline_is_so():
    """Imports and calls in Python, blueapi's module, the toggles' file."""
    known: dict[str, Any] = {
        "install": console.install,
        "open_processed": catalog.open_processed,
        "Settings": live.Settings,
        "RockingScanRule": scans.RockingScanRule,
        "bcdi_rocking_scan": bcdi_rocking_scan,
        "page": page,
    }
    seen = set()
    for node in map(ast.parse, blocks(BEAMLINE, "python")):
        imports: list[ast.stmt] = [part for part in node.body if isinstance(part, ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), "beamline.md", "exec"), {})
        for call in ast.walk(node):
            name = getattr(getattr(call, "func", None), "id", None)
            if isinstance(call, ast.Call) and name in known:
                seen.add(name)
                keywords = {keyword.arg: None for keyword in call.keywords}
                inspect.signature(known[name]).bind(*call.args, **keywords)
    assert {"install", "bcdi_rocking_scan", "page"} <= seen
    assert f"module: {bcdi_rocking_scan.__module__}\n" in BEAMLINE
    assert blocks(BEAMLINE, "toml") == [Toggles().to_toml()]
