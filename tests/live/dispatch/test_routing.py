"""Which run a document belongs to."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bcdi_inpaint.live.dispatch.routing import Router


@pytest.fixture
def router() -> Router:
    return Router(lambda doc: doc.get("plan_name") != "count")


def documents(run: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("start", {"uid": run}),
        ("descriptor", {"uid": f"{run}/d", "run_start": run}),
        ("event", {"uid": f"{run}/e", "descriptor": f"{run}/d"}),
        ("resource", {"uid": f"{run}/r", "run_start": run}),
        ("datum", {"resource": f"{run}/r"}),
        ("stop", {"uid": f"{run}/s", "run_start": run}),
    ]


def test_documents_of_interleaved_runs_find_theirs(router: Router) -> None:
    for one, other in zip(documents("a"), documents("b"), strict=True):
        assert router.route(*one) == "a"
        assert router.route(*other) == "b"
    assert router._run_of == {}


def test_runs_that_are_not_wanted_are_not_followed(router: Router) -> None:
    start, *rest = documents("a")
    assert router.route("start", {**start[1], "plan_name": "count"}) is None
    assert [router.route(*document) for document in rest] == 5 * [None]


def test_runs_are_forgotten_but_for_those_that_are_named(router: Router) -> None:
    for run in "abc":
        for document in documents(run)[:2]:
            router.route(*document)
    router.forget_all_but({"b"})
    assert [router.route(*documents(run)[2]) for run in "abc"] == [None, "b", None]


def test_threads_may_route_at_the_same_time(router: Router) -> None:
    lost: list[Any] = []

    def follow(name: str) -> None:
        for number in range(300):
            run = f"{name}{number}"
            lost.extend(doc for doc in documents(run) if router.route(*doc) != run)

    threads = [threading.Thread(target=follow, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert router._run_of == {}
