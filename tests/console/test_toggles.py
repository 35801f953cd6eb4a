"""What an operator chooses is checked, remembered and turned into settings."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.console.remembered import RememberedToggles
from bcdi_inpaint.console.toggles import Toggles, format_region, load, parse_region, save
from bcdi_inpaint.filling import METHODS
from bcdi_inpaint.live import AroundPeak, Settings

spans = st.tuples(st.integers(0, 5000), st.integers(1, 5000)).map(lambda s: (s[0], s[0] + s[1]))
regions = st.one_of(
    st.none(),
    st.tuples(spans, spans),
    st.builds(AroundPeak, st.integers(1, 5000), st.integers(1, 5000)),
)


@given(regions)
def test_a_region_is_read_as_it_was_written(region):
    assert parse_region(format_region(region)) == region


@given(
    st.builds(
        Toggles,
        on=st.booleans(),
        paused=st.booleans(),
        method=st.sampled_from(METHODS),
        detector=st.sampled_from(["", "maxipix_2x2", "eiger2_500k"]),
        roi=regions,
        own_mask=st.booleans(),
        saturated=st.booleans(),
        finetune=st.booleans(),
        threshold=st.none() | st.floats(0, 1),
    )
)
def test_toggles_are_remembered_as_they_were_chosen(tmp_path_factory, toggles):
    path = tmp_path_factory.mktemp("toggles") / "inpaint.toml"
    save(path, toggles)
    assert load(path, Toggles()) == toggles
    assert [file.name for file in path.parent.iterdir()] == ["inpaint.toml"]


@pytest.mark.parametrize("name", ['a "b"', "tab\tnew", "\x7f", "Å\\"])
def test_a_mask_of_any_name_is_remembered(tmp_path, name):
    file = tmp_path / f"{name}.npy"
    np.save(file, np.eye(3, dtype=bool))
    save(tmp_path / "inpaint.toml", Toggles(mask=str(file)))
    assert load(tmp_path / "inpaint.toml", Toggles()).mask == str(file)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("method", "krigging", "did you mean kriging?"),
        ("detector", "maxipix_2x3", "maxipix_2x2"),
        ("roi", "10:5,0:3", "ROW0:ROW1,COL0:COL1"),
        ("roi", "around 0", "around ROWS COLS"),
        ("threshold", "1.2", "takes 0 to 1, or auto"),
        ("threshold", "high", "is no number"),
        ("mask", "/nowhere/mask.npy", "there is no file /nowhere/mask.npy"),
        ("model", "patchwork", "no model 'patchwork'"),
        ("finetune", "of", "did you mean off"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(name, value, says):
    with pytest.raises(ValueError, match=f"^{name}: ") as caught:
        Toggles().changed(**{name: value})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("method = linear", "inpaint.toml: "),
        ("methd = 'linear'", "'methd' is unknown .did you mean method"),
        ("method = 'lineal'", "did you mean linear"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_left_as_it_is(tmp_path, text, says):
    path = tmp_path / "inpaint.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        load(path, Toggles())
    assert path.read_text() == text


def test_toggles_go_before_what_the_beamline_has_set(tmp_path):
    missing = np.zeros((4, 6), bool)
    missing[2] = True
    np.save(tmp_path / "mask.npy", missing)
    base = Settings(method="kriging", options={"iterations": 5}, detector="eiger2_1m", portion=4)
    chosen = Toggles(
        method="kriging", roi="around 64", mask=str(tmp_path / "mask.npy"), detector="maxipix_2x2"
    ).settings(base)
    assert chosen.region == AroundPeak(64, 64)
    assert chosen.detector == "maxipix_2x2"
    assert chosen.options == {"iterations": 5}
    assert chosen.portion == 4
    np.testing.assert_array_equal(chosen.mask, missing)


def test_options_of_another_method_are_left_out():
    base = Settings(method="kriging", options={"iterations": 5})
    assert Toggles(method="linear").settings(base).options == {}


@contextmanager
def full_disk():
    """No file of this process can grow."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Callback:
    """What toggles are put in force in."""

    enabled, paused, settings = True, False, Settings(method="linear")

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


@pytest.fixture
def operator(tmp_path):
    """Toggles, the callback that they are in force for, and what was said: line, whether it is bad."""
    said: list[tuple[str, bool]] = []
    callback: Any = Callback()

    def say(text: str, *, bad: bool = False) -> None:
        said.append((text, bad))

    toggles = RememberedToggles(
        tmp_path / "inpaint.toml",
        callback,
        say,  # type: ignore[arg-type]
        lambda _: None,
    )
    return toggles, callback, said


def test_on_a_full_disk_toggles_come_into_force_and_it_is_said(operator):
    toggles, callback, said = operator
    toggles.set(method="kriging")
    with full_disk():
        toggles.set(on=False)
        toggles.set(paused=True)
    assert (callback.enabled, callback.paused) == (False, True)
    (line, bad), _ = said[1:]
    assert line.startswith(
        "inpainting: off, from the next scan on (for this session only: OSError:"
    )
    assert bad
    assert load(toggles.file, Toggles()).on
    assert sorted(path.name for path in toggles.file.parent.iterdir()) == [
        ".inpaint.toml.lock",
        "inpaint.toml",
    ]


def test_what_could_not_be_written_is_written_with_the_next_choice(operator):
    toggles, callback, said = operator
    with full_disk():
        toggles.set(on=False)
    toggles.set(method="kriging")
    assert not callback.enabled
    assert load(toggles.file, Toggles()) == Toggles(on=False, method="kriging")
    assert said[-1] == (
        f"method: kriging, from the next scan on (remembered in {toggles.file})",
        False,
    )
    toggles.set(on=True)
    assert callback.enabled


def test_what_could_not_be_written_stays_in_force_when_others_change_the_file(operator):
    toggles, callback, _ = operator
    with full_disk():
        toggles.set(on=False)
    save(toggles.file, Toggles(method="kriging"))
    toggles.follow()
    assert (callback.enabled, callback.settings.method) == (False, "kriging")
