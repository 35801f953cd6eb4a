"""Progress: shares of parts, and the bar on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from bcdi_inpaint.progress import part, progress_bar


def test_parts_add_up_to_the_whole() -> None:
    told: list[tuple[str, float]] = []

    def progress(what: str, done: float, total: float = 1.0) -> None:
        told.append((what, done / total))

    part(progress, 0, 2, "first, ")("reading", 0.5)
    part(progress, 1, 2)("filling", 3, 6)
    assert told == [("first, reading", 0.25), ("filling", 0.75)]


def _drawn(*calls: tuple[str, float, float]) -> str:
    """The bar at its end, as it stands in a log."""
    console = Console(file=io.StringIO(), width=100, color_system=None)
    with progress_bar(console) as progress:
        for what, done, total in calls:
            progress(what, done, total)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_counts_are_shown_and_shares_are_not() -> None:
    assert "12/40" in _drawn(("filling", 12, 40))
    assert "filling" in _drawn(("filling", 12, 40))
    assert "/" not in _drawn(("tuning", 0.25, 1.0))


def test_a_stage_that_begins_anew_begins_at_nothing() -> None:
    full, empty = (
        _drawn(("reading", 1.0, 1.0)),
        _drawn(("reading", 1.0, 1.0), ("filling", 0.0, 1.0)),
    )
    assert "filling" in empty
    assert full.count("━") > empty.count("━")


def test_names_are_shown_as_they_are() -> None:
    assert "[red]gold[/red]" in _drawn(("[red]gold[/red]", 0.5, 1.0))
