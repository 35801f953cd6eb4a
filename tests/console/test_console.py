"""Toggles count from the next scan on, results are announced, in Python as behind %inpaint."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from rich.console import Console

from bcdi_inpaint import inpaint as fill
from bcdi_inpaint.console import install
from bcdi_inpaint.console.commands import COMMANDS, call, complete

WAIT = 60
"""Seconds; only a fault makes a test wait so long."""


def nodes(processed):
    return {node.metadata["method"]: node for node in processed.values()}


def test_a_scan_is_filled_shown_and_filled_again(
    inpaint, rock, places, stack, gap, tmp_path, capsys
):
    uid = rock(sample_name="Pt")
    assert inpaint.wait(WAIT)
    node = inpaint.last()
    assert node.metadata["raw_uid"] == uid
    np.testing.assert_array_equal(node["intensity"].read(), fill(stack, gap, "linear").intensity)

    capsys.readouterr()
    call(inpaint, "")
    said = capsys.readouterr().out
    for word in ("on (worker", "linear", "1 filled", "scan 1 Pt", "inpaint.toml"):
        assert word in said
    assert inpaint.to_dict()["last"][0]["sample"] == "Pt"

    figure = inpaint.show(1)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["raw", "filled", "uncertainty"]
    curve = next(axis for axis in figure.axes if axis.get_xlabel() == "eta (deg)")
    filled, measured = (line.get_ydata() for line in curve.get_lines())
    np.testing.assert_allclose(measured, np.maximum(stack.sum(axis=(1, 2)), 0.5))
    assert (filled > measured).all()
    (picture,) = (tmp_path / "console" / "pictures").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in capsys.readouterr().out

    call(inpaint, "method nearest")
    call(inpaint, "redo 1")
    assert inpaint.wait(WAIT)
    found = nodes(places[1])
    assert set(found) == {"linear", "nearest"}
    assert all(other.metadata["raw_uid"] == uid for other in found.values())
    inpaint.close()
    inpaint.log()
    said = capsys.readouterr().out
    assert re.search(r"scan 1 Pt  gap 9.4%  linear [\d.]+ s after the last frame", said)
    assert "/".join(node.path_parts) in said
    assert "INFO method: nearest" in said
    assert "scan 1 Pt  gap 9.4%  nearest" in said


def test_toggles_count_from_the_next_scan_on(RE, inpaint, rock, places):
    """A change in the middle of a scan leaves that scan alone."""
    changed = []

    def change(name, doc):
        if name == "event" and doc["seq_num"] == 10 and not changed:
            changed.append(True)
            inpaint.method("nearest")
            inpaint.off()

    token = RE.subscribe(change)
    first = rock()
    RE.unsubscribe(token)
    rock()
    inpaint.on()
    third = rock()
    assert inpaint.wait(WAIT)
    found = nodes(places[1])
    assert {name: node.metadata["raw_uid"] for name, node in found.items()} == {
        "linear": first,
        "nearest": third,
    }


def test_toggles_are_remembered(RE, inpaint, places, tmp_path):
    inpaint.off()
    inpaint.method("cubic")
    inpaint.roi("around 16 24")
    again = install(RE, *places, folder=tmp_path / "console")
    try:
        assert again.toggles == inpaint.toggles
        assert not again.callback.enabled
        assert again.callback.settings.method == "cubic"
    finally:
        again.close(0.0)


def test_what_another_program_writes_counts(inpaint, tmp_path):
    file = tmp_path / "console" / "inpaint.toml"
    inpaint.method("nearest")
    file.write_text(file.read_text().replace("nearest", "cubic"))
    deadline = time.monotonic() + WAIT
    while inpaint.callback.settings.method != "cubic":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_broken_file_changes_nothing(inpaint, tmp_path, capsys):
    inpaint.method("nearest")
    file = tmp_path / "console" / "inpaint.toml"
    file.write_text("method = ")
    deadline = time.monotonic() + WAIT
    said = ""
    while "toggles stay as they are" not in said:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        said += capsys.readouterr().out
    assert inpaint.callback.settings.method == "nearest"
    with pytest.raises(ValueError, match="mend or remove it"):
        inpaint.method("linear")
    assert file.read_text() == "method = "


def test_while_paused_scans_wait(inpaint, rock, places):
    inpaint.pause()
    rock()
    assert not inpaint.wait(1.0)
    assert not nodes(places[1])
    inpaint.resume()
    assert inpaint.wait(WAIT)
    assert set(nodes(places[1])) == {"linear"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stat", "no command 'stat' (did you mean status"),
        ("metod linear", "did you mean method"),
        ("method", "takes: %inpaint method NAME"),
        ("method linear cubic", "takes: %inpaint method NAME"),
        ("method liner", "did you mean linear"),
        ("show", "no scan has been filled yet"),
        ("show 3", "no scan 3"),
        ("redo", "no scan"),
        ("mask /nowhere.npy", "nowhere.npy"),
    ],
)
def test_wrong_words_get_the_right_ones(inpaint, line, says):
    with pytest.raises((ValueError, OSError)) as caught:
        call(inpaint, line)
    assert says in str(caught.value)


def test_words_are_completed(inpaint):
    assert complete(inpaint, "me") == ["method"]
    assert complete(inpaint, "") == list(COMMANDS)
    assert complete(inpaint, "method ne") == ["nearest"]
    assert "eiger2_500k" in complete(inpaint, "detector eiger2")
    assert complete(inpaint, "method linear ") == []


def test_every_command_is_in_the_help_and_in_python(inpaint, capsys):
    inpaint.help()
    said = capsys.readouterr().out
    for name, known in COMMANDS.items():
        assert re.search(rf"^{name}\b", said, re.MULTILINE)
        assert known.help.endswith(".")
        assert callable(getattr(inpaint, name))


def test_in_ipython_there_is_a_magic(RE, places, tmp_path):
    from IPython.core.completer import provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        handle = install(RE, *places, folder=tmp_path)
        handle._console = Console(file=io.StringIO())
        try:
            shell.run_line_magic("inpaint", "method cubic")
            assert handle.toggles.method == "cubic"
            with provisionalcompleter():
                found = [c.text for c in shell.Completer.completions("%inpaint method ne", 18)]
            assert "nearest" in found
            result = shell.run_cell("%inpaint metod")
            assert "did you mean method" in str(result.error_in_exec)
        finally:
            handle.close(0.0)
    finally:
        InteractiveShell.clear_instance()
