"""Documents and settings that hold what a worker process can not be given."""

import pickle
import threading
from typing import Any

import numpy as np
import pytest

from bcdi_inpaint.live import InpaintCallback, Settings, messages, pipe
from tests.helpers.bad_runs import BAD, fate, run_of
from tests.helpers.quick import mostly_slow
from tests.helpers.scans import feed
from tests.helpers.waiting import until


class OfTheSession:
    """As if it were defined in a user's session."""


def test_values_that_only_the_session_knows_cost_nothing(callback: InpaintCallback) -> None:
    documents = run_of(BAD, operator=threading.Lock(), sample=OfTheSession())
    documents[3][1]["data"]["camera"] = (i for i in range(3))
    feed(documents, callback)
    until(lambda: fate(callback, BAD) == "complete")
    assert callback.status().dropped == 0


def test_a_document_that_can_not_be_sent_costs_its_run_no_more_than_live_filling(
    callback: InpaintCallback,
) -> None:
    documents = run_of(BAD)
    documents[3][1]["data"]["camera"] = pickle.PickleBuffer(memoryview(bytes(9))[::2])
    good = run_of("good")
    for one, other in zip(documents, good, strict=True):
        feed([one, other], callback)
    until(lambda: fate(callback, BAD) == "complete" and fate(callback, "good") == "complete")
    assert callback.status().dropped == 1
    assert "could not be passed to the worker" in callback.status().last_error


@pytest.mark.parametrize(
    "which", mostly_slow([0, 1, 5, -1]), ids=["start", "descriptor", "event", "stop"]
)
def test_a_document_nested_beyond_measure_costs_its_run_no_more_than_live_filling(
    which: int, callback: InpaintCallback, caplog: pytest.LogCaptureFixture
) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    documents = run_of(BAD)
    documents[which][1]["note"] = deep
    good = run_of("good")
    for one, other in zip(documents, good, strict=True):
        feed([one, other], callback)
    until(lambda: fate(callback, BAD) == "complete" and fate(callback, "good") == "complete")
    assert callback.status().dropped == 1
    assert callback.status().last_error.endswith(
        ": a document is nested in more than 100 levels; filled after the scan"
    )
    assert not [line for line in caplog.records if line.exc_info]


def test_settings_that_can_not_be_sent_are_refused(callback: InpaintCallback) -> None:
    impossible = Settings(options={"lock": threading.Lock()})
    before = callback.settings
    for refused in (
        lambda: setattr(callback, "settings", impossible),
        lambda: callback.submit("any", settings=impossible),
        lambda: InpaintCallback(callback.raw, callback.raw, settings=impossible),
    ):
        with pytest.raises(ValueError, match="can't be given to the worker process"):
            refused()
    assert callback.settings is before
    assert callback.status().runs == ()


def test_settings_are_those_of_the_moment_when_they_are_set(callback: InpaintCallback) -> None:
    options: dict[str, Any] = {"iterations": 3}
    mask = np.zeros((4, 4), bool)
    callback.settings = Settings(options=options, mask=mask)
    feed(run_of("live"), callback)
    callback.submit("submitted", settings=Settings(options=options, mask=mask))
    options["lock"] = threading.Lock()
    mask[:] = True
    assert callback.settings.options == {"iterations": 3}
    assert isinstance(callback.settings.mask, np.ndarray)
    assert not callback.settings.mask.any()
    until(lambda: fate(callback, "live") == fate(callback, "submitted") == "complete")


@pytest.mark.slow
def test_an_order_that_the_worker_can_not_read_costs_its_run(
    callback: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pipe._dumps

    def spoilt(message: Any, *args: Any) -> bytes:
        spoil = getattr(message, "uid", "") == BAD and isinstance(message, messages.RunOrder)
        return b"spoilt" if spoil else made(message, *args)

    monkeypatch.setattr(pipe, "_dumps", spoilt)
    before = callback.status().worker
    feed(run_of(BAD), callback)
    feed(run_of("good"), callback)
    until(lambda: fate(callback, "good") == "complete" and fate(callback, BAD) == "failed")
    assert callback.status().worker == before


def test_runs_that_have_odd_fields_are_told_apart_by_their_uids(callback: InpaintCallback) -> None:
    odd = run_of(BAD, scan_id=np.arange(2), time="noon", sample_name=["a"], motors=3)
    for name, doc in odd[:6]:
        callback(name, doc)
    (status,) = callback.status().runs
    assert (status.uid, status.scan_id, status.started, status.sample) == (BAD, None, None, "")
    feed(odd[6:], callback)
    until(lambda: fate(callback, BAD) == "complete")
