"""An archive of runs is filled by processes that share nothing but Tiled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stamina
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint import ScanMetadata, catalog, inpaint
from bcdi_inpaint.live.errors import NotThereYetError
from bcdi_inpaint.service import backfill as module
from bcdi_inpaint.service.backfill import (
    Ending,
    Outcome,
    backfill,
    cluster,
    fill_run,
    matching,
)
from tests.helpers.quick import mostly_slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from tiled.client.container import Container

    from bcdi_inpaint.service.config import ServiceConfig

pytestmark = [
    # Of distributed, which closes its sockets when it gets to it.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def write_run(
    places: tuple[Container, Container],
    documents: Callable[..., Any],
    stack: NDArray[np.uint16],
    angles: NDArray[np.float64],
) -> Callable[..., str]:
    """Puts a run into the archive; its uid."""

    def write(counts: NDArray[np.uint16] = stack, **start: Any) -> str:
        writer = TiledWriter(places[0])
        made = documents(counts, angles, detectors=["det"], **start)
        for name, doc in made:
            writer(name, doc)
        return str(made[0][1]["uid"])

    return write


@pytest.fixture
def client(config: ServiceConfig) -> Iterator[Any]:
    with cluster(scheduler=None, workers=2) as client:
        yield client


@pytest.mark.slow
def test_every_run_is_filled_once_and_one_that_cannot_be_says_why(
    places: tuple[Container, Container],
    write_run: Callable[..., str],
    config: ServiceConfig,
    client: Any,
    stack: NDArray[np.uint16],
    gap: NDArray[np.bool_],
) -> None:
    raw, processed = places
    good = [write_run() for _ in range(3)]
    bad = write_run(stack[:, :, :-1])
    abandoned = write_run()
    scan = ScanMetadata(raw_uid=abandoned, data_key="det")
    catalog.claim(processed, scan, method="linear", owner=f"{config.name}/backfill")
    uids = matching(raw, processed, config)
    assert uids == [*good, bad, abandoned]

    outcomes = {outcome.uid: outcome for outcome in backfill(uids, config, client)}
    assert {uid for uid, one in outcomes.items() if one.state == Ending.FILLED} == {
        *good,
        abandoned,
    }
    assert outcomes[bad].state == Ending.FAILED
    assert "mask" in outcomes[bad].reason
    for uid in (*good, abandoned):
        (node,) = catalog.find(processed, uid)
        np.testing.assert_array_equal(
            node["intensity"].read(), inpaint(stack, gap, "linear").intensity
        )
    written = [catalog.find(processed, uid)[0].metadata for uid in (*good, abandoned)]
    at_once = [
        sum(other["created"] <= one["created"] < other["finished"] for other in written)
        for one in written
    ]
    assert max(at_once) <= 2, "a worker began with another run before it had finished one"
    assert matching(raw, processed, config) == [bad]
    assert [one.state for one in backfill(good[:1], config, client)] == [Ending.THERE]
    assert len(processed) == 4


@pytest.mark.slow
def test_a_query_takes_what_fulfils_all_of_it(
    places: tuple[Container, Container],
    write_run: Callable[..., str],
    config: ServiceConfig,
) -> None:
    before = time.time()
    first = write_run(sample_name="Pt_a")
    between = time.time()
    second = write_run(sample_name="Pt_b", plan_name="rel_scan")
    write_run(plan_name="count")

    def found(**query: Any) -> list[str]:
        return matching(*places, config, **query)

    assert found() == [first, second]
    assert found(since=before, until=between) == [first]
    assert found(since=between) == [second]
    assert found(sample="Pt_b") == [second]
    assert found(plan="scan") == [first]
    assert found(detector="det", sample="Pt_a") == [first]
    assert found(detector="other") == []


@pytest.mark.parametrize(
    ("failures", "ending", "tried"),
    mostly_slow(
        [
            ([], Ending.FILLED, 1),
            (
                [NotThereYetError("the run is not there"), RuntimeError("an accident")],
                Ending.FILLED,
                3,
            ),
            ([NotThereYetError("the run is not there")] * 3, Ending.FAILED, 3),
            ([ValueError("frames of another shape")], Ending.FAILED, 1),
            ([catalog.AlreadyFilledError("there is a node")], Ending.THERE, 1),
        ],
        quick=(2, 3, 4),
    ),
)
def test_a_run_is_tried_again_unless_that_is_in_vain(
    config: ServiceConfig,
    monkeypatch: pytest.MonkeyPatch,
    failures: list[Exception],
    ending: Ending,
    tried: int,
) -> None:
    calls: list[str] = []

    def fill(uid: str, *_: object) -> Outcome:
        calls.append(uid)
        if len(calls) <= len(failures):
            raise failures[len(calls) - 1]
        return Outcome(uid)

    monkeypatch.setattr(module, "_fill", fill)
    monkeypatch.setattr(module, "_connect", lambda _: (None, None))
    with stamina.set_testing(True, attempts=3, cap=True):
        outcome = fill_run("a", config.tiled, config.filling.settings(), "archive", tries=3)
    assert (outcome.state, len(calls)) == (ending, tried)
    assert bool(outcome.reason) == (ending is Ending.FAILED)
