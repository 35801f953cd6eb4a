"""What Tiled answers for a while is not the fault of the run."""

from types import SimpleNamespace
from typing import Any

import pytest

from bcdi_inpaint.live import InpaintCallback, Limits, Settings
from bcdi_inpaint.live.worker import main as worker
from tests.helpers.bad_runs import (
    ThreadAsProcess,
    answer,
    fate,
    fill_finished,
)
from tests.helpers.waiting import until


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
@pytest.mark.slow
def test_what_tiled_answers_for_a_while_is_not_the_runs_fault(
    status: int, in_threads: list[ThreadAsProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def read(catalogs: Any, uid: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(uid)
        if len(asked) < 6:
            raise answer(status)
        return fill_finished(catalogs, uid, *args, **kwargs)

    monkeypatch.setattr(worker, "fill_finished", read)
    raw = SimpleNamespace(uri="raw")
    limits = Limits(attempts=1, retry_seconds=0.01, absent_seconds=30)
    with InpaintCallback(raw, raw, settings=Settings(method="linear"), limits=limits) as callback:
        callback.submit("run")
        until(lambda: fate(callback, "run") == "complete")
    assert asked == ["run"] * 6


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.slow
def test_a_run_that_tiled_can_never_read_fails(
    marked: bool, callback: InpaintCallback, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, bool]] = []

    def mark_failed(_catalogs: Any, uid: str, *_: Any, proved: bool) -> None:
        told.append((uid, proved))
        if not marked:
            raise answer(403)

    def read(*_: Any, **__: Any) -> Any:
        raise answer(500)

    monkeypatch.setattr(worker, "fill_finished", read)
    monkeypatch.setattr(worker, "mark_failed", mark_failed)
    callback.submit("run")
    until(lambda: fate(callback, "run") == "failed")
    assert told == [("run", False)]
