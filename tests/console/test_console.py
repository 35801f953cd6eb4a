"""Toggles count from the next scan on, results are announced, in Python as behind %inpaint."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from bluesky import plans as bp
from bluesky.run_engine import Dispatcher
from ophyd.sim import SynAxis, SynGauss
from rich.console import Console

from bcdi_inpaint import inpaint as fill
from bcdi_inpaint.console import install
from bcdi_inpaint.console.commands import COMMANDS, call, complete
from bcdi_inpaint.live import Settings
from tests.helpers.waiting import WAIT, until


def no_engine() -> Any:
    """What sends no documents."""
    return Dispatcher()


@pytest.mark.slow
def test_a_scan_is_filled_shown_and_filled_again(station, stack, gap, capsys):
    inpaint = station.inpaint
    uid = station.rock(sample_name="Pt")
    scan = f"scan {station.scan_id(uid)} Pt"
    assert inpaint.wait(WAIT)
    node = inpaint.last()
    assert node.metadata["raw_uid"] == uid
    np.testing.assert_array_equal(node["intensity"].read(), fill(stack, gap, "linear").intensity)

    capsys.readouterr()
    call(inpaint, "")
    said = capsys.readouterr().out
    for word in ("on (worker", "linear", "filled", scan, "inpaint.toml"):
        assert word in said
    assert inpaint.to_dict()["last"][0]["sample"] == "Pt"

    figure = inpaint.show(station.scan_id(uid))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["as recorded (grey: missing)", "filled", "uncertainty"]
    curve = next(axis for axis in figure.axes if axis.get_xlabel() == "eta (deg)")
    filled, measured = (line.get_ydata() for line in curve.get_lines())
    np.testing.assert_allclose(measured, np.maximum(stack.sum(axis=(1, 2)), 0.5))
    assert (filled > measured).all()
    (picture,) = (station.folder / "pictures").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in capsys.readouterr().out

    call(inpaint, "method nearest")
    call(inpaint, f"redo {station.scan_id(uid)}")
    assert inpaint.wait(WAIT)
    assert set(station.nodes(uid)) == {(uid, "linear"), (uid, "nearest")}
    capsys.readouterr()
    inpaint.log()
    said = capsys.readouterr().out
    assert re.search(rf"{scan}  gap 9.4%  linear [\d.]+ s after the last frame", said)
    assert "/".join(node.path_parts) in said
    assert "INFO method: nearest" in said
    assert f"{scan}  gap 9.4%  nearest" in said


@pytest.mark.slow
def test_toggles_count_from_the_next_scan_on(station):
    """A change in the middle of a scan leaves that scan alone."""
    inpaint = station.inpaint
    changed = []

    def change(name, doc):
        if name == "event" and doc["seq_num"] == 10 and not changed:
            changed.append(True)
            inpaint.method("nearest")
            inpaint.off()

    token = station.RE.subscribe(change)
    first = station.rock()
    station.RE.unsubscribe(token)
    second = station.rock()
    inpaint.on()
    third = station.rock()
    assert inpaint.wait(WAIT)
    assert set(station.nodes(first, second, third)) == {(first, "linear"), (third, "nearest")}


@pytest.mark.slow
def test_while_paused_scans_wait(station):
    inpaint = station.inpaint
    inpaint.pause()
    uid = station.rock()
    assert not inpaint.wait(0.1)
    assert not station.nodes(uid)
    inpaint.resume()
    assert inpaint.wait(WAIT)
    assert set(station.nodes(uid)) == {(uid, "linear")}


@pytest.mark.usefixtures("in_threads")
def test_toggles_are_remembered(station, places):
    inpaint = station.inpaint
    inpaint.off()
    inpaint.method("cubic")
    inpaint.roi("around 16 24")
    again = install(no_engine(), *places, folder=station.folder)
    try:
        assert again.toggles == inpaint.toggles
        assert not again.callback.enabled
        assert again.callback.settings.method == "cubic"
    finally:
        again.close(0.0)


CHOOSE = """
import sys
from pathlib import Path
from bcdi_inpaint.console.toggles import Toggles, change
for pcc in range(100):
    change(Path(sys.argv[1]), Toggles(), threshold=pcc / 100)
change(Path(sys.argv[1]), Toggles(), detector="maxipix_2x2")
"""


@pytest.mark.usefixtures("in_threads")
def test_what_is_remembered_is_said(station, places, capsys):
    """That inpainting is off: when a session begins, and of its first scan."""
    station.inpaint.off()
    capsys.readouterr()
    again = install(no_engine(), *places, folder=station.folder)
    said = capsys.readouterr().out
    assert "inpaint: off since an earlier session: new scans are not filled (%inpaint on)" in said
    again.close(0.0)


@pytest.mark.slow
def test_of_the_first_scan_it_is_said_that_inpainting_is_off(station, capsys):
    inpaint = station.inpaint
    inpaint.off()
    first, second = station.rock(sample_name="Pt"), station.rock()
    assert inpaint.wait(WAIT)
    said = capsys.readouterr().out
    scan = station.scan_id(first)
    assert f"inpaint: scan {scan} Pt is not filled: inpainting is off (%inpaint on)" in said
    assert said.count("is not filled") == 1
    inpaint.log()
    log = capsys.readouterr().out
    assert f"INFO scan {station.scan_id(second)} is not filled: inpainting is off" in log
    inpaint.why(scan)
    assert f"scan {scan} Pt is not filled: inpainting is off" in capsys.readouterr().out
    inpaint.on()


@pytest.mark.slow
def test_why_a_scan_is_not_filled_can_be_asked(station, capsys):
    inpaint = station.inpaint
    motor = SynAxis(name="eta", egu="deg")
    point = SynGauss("point", motor, "eta", center=0, Imax=1)
    (alignment,) = station.RE(bp.scan([point], motor, -3, 3, 16)).run_start_uids
    (count,) = station.RE(bp.count([point], 9)).run_start_uids
    (short,) = station.RE(bp.scan([point], motor, -1, 1, 3)).run_start_uids
    filled = station.rock()
    assert inpaint.wait(WAIT)
    assert "Traceback" not in capsys.readouterr().err
    for uid, answer in (
        (alignment, "is not filled: no images (it recorded point, eta, eta_setpoint)"),
        (count, "is not filled: not a rocking scan (the plan is 'count')"),
        (short, "is not filled: too few points (3, at least 8 are needed)"),
        (filled, f"is filled: {'/'.join(inpaint.last().path_parts)}"),
    ):
        scan = station.scan_id(uid)
        call(inpaint, f"why {scan}")
        said = capsys.readouterr().out
        assert said == f"scan {scan} {answer}\n"
        if uid != filled:
            inpaint.log()
            assert said.strip() in capsys.readouterr().out
    with pytest.raises(ValueError, match="no scan 3000"):
        inpaint.why(3000)
    assert station.nodes(alignment, count, short) == {}


def test_two_programs_share_a_file(station):
    """Neither loses what the other has chosen, and each follows the other."""
    file = station.folder / "inpaint.toml"
    with subprocess.Popen([sys.executable, "-c", CHOOSE, str(file)]) as other:
        until(lambda: file.exists() or other.poll() is not None)
        while other.poll() is None:
            station.inpaint.method("nearest")
            station.inpaint.method("cubic")
    assert other.returncode == 0
    until(lambda: station.inpaint.callback.settings.detector == "maxipix_2x2")
    chosen = station.inpaint.toggles
    assert (chosen.method, chosen.threshold) == ("cubic", 0.99)


def test_a_broken_file_changes_nothing(station, capsys):
    inpaint = station.inpaint
    inpaint.method("nearest")
    file = station.folder / "inpaint.toml"
    file.write_text("method = ")
    said = []
    until(lambda: said.append(capsys.readouterr().out) or "toggles stay" in "".join(said))
    assert inpaint.callback.settings.method == "nearest"
    with pytest.raises(ValueError, match="mend or remove it"):
        inpaint.method("linear")
    assert file.read_text() == "method = "


@pytest.mark.slow
def test_who_leaves_waits_for_finished_scans_but_not_for_paused_ones(
    station, places, gap, tmp_path, capsys
):
    def session():
        settings = Settings(method="linear", mask=gap)
        return install(no_engine(), station.raw, places[1], folder=tmp_path, settings=settings)

    station.inpaint.off()
    uid = station.rock()
    inpaint = session()
    inpaint.callback.submit(uid)
    inpaint.leave()
    assert [node.metadata["raw_uid"] for node in places[1].values()] == [uid]
    assert "a finished scan is being filled; Ctrl-C leaves without it" in capsys.readouterr().out

    inpaint = session()
    inpaint.pause()
    inpaint.callback.submit(uid, again=True)
    inpaint.leave()
    assert f"is not filled; %inpaint redo {uid}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stat", "no command 'stat' (did you mean status"),
        ("metod linear", "did you mean method"),
        ("method", "takes: %inpaint method NAME"),
        ("method linear cubic", "takes: %inpaint method NAME"),
        ("method liner", "did you mean linear"),
        ("show 3000", "no scan 3000"),
        ("redo 3000", "no scan 3000"),
        ("mask /nowhere.npy", "nowhere.npy"),
    ],
)
def test_wrong_words_get_the_right_ones(station, line, says):
    with pytest.raises((ValueError, OSError)) as caught:
        call(station.inpaint, line)
    assert says in str(caught.value)


def test_words_are_completed(station):
    inpaint = station.inpaint
    assert complete(inpaint, "me") == ["method"]
    assert complete(inpaint, "") == list(COMMANDS)
    assert complete(inpaint, "method ne") == ["nearest"]
    assert "eiger2_500k" in complete(inpaint, "detector eiger2")
    assert complete(inpaint, "method linear ") == []


def test_every_command_is_in_the_help_and_in_python(station, capsys):
    inpaint = station.inpaint
    inpaint.help()
    said = capsys.readouterr().out
    for name, known in COMMANDS.items():
        assert re.search(rf"^{name}\b", said, re.MULTILINE)
        assert known.help.endswith(".")
        assert callable(getattr(inpaint, name))


@pytest.mark.usefixtures("in_threads")
def test_before_the_first_scan_there_is_nothing_to_show(places, tmp_path):
    handle = install(no_engine(), *places, folder=tmp_path)
    try:
        for line, says in (("show", "no scan has been filled yet"), ("redo", "no scan")):
            with pytest.raises(ValueError, match=says):
                call(handle, line)
    finally:
        handle.close(0.0)


@pytest.mark.usefixtures("in_threads")
@pytest.mark.slow
def test_in_ipython_there_is_a_magic(places, tmp_path):
    from IPython.core.completer import provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        handle = install(no_engine(), *places, folder=tmp_path)
        handle._say.console = Console(file=io.StringIO())
        try:
            shell.run_line_magic("inpaint", "method cubic")
            assert handle.toggles.method == "cubic"

            def completed(line: str) -> list[str]:
                with provisionalcompleter():
                    return [c.text for c in shell.Completer.completions(line, len(line))]

            assert completed("%inpaint ") == list(COMMANDS)
            assert completed("node = %inpaint la") == ["last"]
            assert completed("%inpaint method ne") == ["nearest"]
            assert completed("%inpaint log ") == [""]  # and none of Python's words
            assert "eiger2_4m" in completed("%inpaint detector eiger2")
            assert "range" in completed("ran")
            result = shell.run_cell("%inpaint metod")
            assert "did you mean method" in str(result.error_in_exec)
        finally:
            handle.close(0.0)
    finally:
        InteractiveShell.clear_instance()
