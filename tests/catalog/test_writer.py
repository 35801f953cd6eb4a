"""Behaviour of the writer, against a real Tiled server."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bcdi_inpaint.catalog import (
    AlreadyFilledError,
    ClaimedError,
    ClaimLostError,
    claim,
    claims,
    node,
    write,
)
from bcdi_inpaint.catalog.claims import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from tiled.client.container import Container

    from bcdi_inpaint.filling.result import Inpainted
    from bcdi_inpaint.scans.rocking_scan import RockingScan
    from tests.helpers.filled_scans import MakeScan

    Pair = tuple[RockingScan, Inpainted]


def test_a_written_node_holds_the_arrays_bit_for_bit(
    written: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    assert [(s.name, s.version) for s in written.specs] == [
        ("BCDIInpainted", "1.0"),
        ("composite", None),
    ]
    assert set(written) == {"intensity", "sigma", "mask", "eta", "quicklook"}
    for name in ("intensity", "sigma", "mask"):
        child = written[name]
        expected = getattr(filled, name)
        assert child.dims == ("frame", "row", "col")
        assert child.dtype == expected.dtype
        np.testing.assert_array_equal(child.read(), expected)
    np.testing.assert_array_equal(written["eta"].read(), scan.angles)
    assert written["intensity"].metadata["units"] == "counts"
    assert written["eta"].metadata["units"] == "deg"
    assert written["quicklook"].dtype == np.uint8
    assert written["quicklook"].shape[2] == 3


def test_counts_beyond_2_to_24_stay_exact(processed: Container, make_scan: MakeScan) -> None:
    scan, filled = make_scan(dtype=np.float64)
    filled.intensity[0, 0, 0] = 2**24 + 1
    node = write(processed, scan, filled)
    assert node["intensity"].dtype == np.float64
    assert node["intensity"].read()[0, 0, 0] == 2**24 + 1


@pytest.mark.slow
def test_blocks_run_along_the_frames(processed: Container, scan_and_fill: Pair) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    blocks = fill.allocate(filled.intensity.shape, frames_per_block=5)
    assert blocks.chunks == ((5, 5, 2), (24,), (20,))
    steps = [(10, 12), (0, 5), (5, 10)]  # any order
    for start, stop in steps:
        fill.write_frames(start, *(a[start:stop] for a in volumes(filled)))
    node = fill.finish(filled, angles=scan.angles)
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)


def volumes(filled: Inpainted) -> tuple[np.ndarray, ...]:
    return filled.intensity, filled.sigma, filled.mask


@pytest.mark.slow
def test_a_node_is_visible_but_incomplete_while_it_is_written(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    fill.allocate(filled.intensity.shape, frames_per_block=6)
    fill.write_frames(0, *(a[:6] for a in volumes(filled)), seconds_behind=0.25)
    seen = processed[fill.key]
    assert seen.metadata["complete"] is False
    assert seen.metadata["frames"] == 6
    assert seen.metadata["seconds_behind"] == 0.25
    assert seen.metadata["claim_expires"] > time.time()
    np.testing.assert_array_equal(seen["intensity"].read()[:6], filled.intensity[:6])
    fill.write_frames(6, *(a[6:] for a in volumes(filled)))
    fill.finish(filled)
    done = processed[fill.key].metadata
    assert done["complete"] is True
    assert done["frames"] == 12
    assert done["claimed_by"] == ""
    assert "seconds_behind" not in done


@pytest.mark.slow
def test_more_frames_than_expected_and_larger_counts_are_allocated_again(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    fill.allocate((6, 24, 20))
    fill.write_frames(0, *(a[:6] for a in volumes(filled)))
    fill.allocate(filled.intensity.shape, np.float64)
    fill.write_frames(0, filled.intensity.astype(np.float64), filled.sigma, filled.mask)
    node = fill.finish(filled, angles=scan.angles)
    assert node["intensity"].dtype == np.float64
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)
    np.testing.assert_array_equal(node["sigma"].read(), filled.sigma)


def test_only_blocks_that_changed_are_sent_again(processed: Container, scan_and_fill: Pair) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    fill.allocate(filled.intensity.shape, frames_per_block=6)
    fill.write_frames(0, *volumes(filled))
    sent = []
    on_request = processed.context.http_client.event_hooks["request"]
    on_request.append(lambda request: request.method == "PUT" and sent.append(request))
    fill.allocate(filled.intensity.shape, frames_per_block=6)
    fill.write_frames(0, *volumes(filled))
    assert not sent
    changed = filled.intensity.copy()
    changed[7] += 1
    fill.write_frames(0, changed, filled.sigma, filled.mask)
    on_request.pop()
    assert len(sent) == 1
    node = fill.finish(filled)
    np.testing.assert_array_equal(node["intensity"].read(), changed)


def test_an_owner_takes_over_what_it_claimed_itself(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, _ = scan_and_fill
    before = claim(processed, scan.metadata, method="kriging", owner="service")
    after = claim(processed, scan.metadata, method="kriging", owner="service")
    assert before.key not in processed
    with pytest.raises(ClaimedError, match="is being written by service"):
        claim(processed, scan.metadata, method="kriging", owner="another")
    assert after.key in processed


def test_a_node_with_unwritten_frames_can_not_be_completed(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    fill.allocate(filled.intensity.shape, frames_per_block=6)
    fill.write_frames(0, *(a[:6] for a in volumes(filled)))
    with pytest.raises(RuntimeError, match="no frame 6 yet"):
        fill.finish(filled)
    assert processed[fill.key].metadata["complete"] is False


@pytest.mark.parametrize(
    ("start", "length", "what"), [(2, 6, "no whole blocks"), (0, 3, "no whole blocks")]
)
def test_frames_that_are_no_whole_blocks_are_refused(
    processed: Container, scan_and_fill: Pair, start: int, length: int, what: str
) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    fill.allocate(filled.intensity.shape, frames_per_block=6)
    with pytest.raises(ValueError, match=what):
        fill.write_frames(start, *(a[start : start + length] for a in volumes(filled)))


def test_one_of_two_services_gets_the_claim(processed: Container, scan_and_fill: Pair) -> None:
    scan, _ = scan_and_fill
    first = claim(processed, scan.metadata, method="kriging")
    with pytest.raises(ClaimedError, match=r"is being written by .*expires in"):
        claim(processed, scan.metadata, method="kriging")
    claim(processed, scan.metadata, method="patching")  # another fill
    first.abandon()
    claim(processed, scan.metadata, method="kriging")


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_claim_that_nobody_renews_ends_although_the_clock_jumped(
    hours: int,
    processed: Container,
    scan_and_fill: Pair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Backward: of the machine that asks; forward: of the one whose service is gone."""
    scan, _ = scan_and_fill
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + max(hours, 0) * 3600)
    claim(processed, scan.metadata, method="kriging", lease=1)
    monkeypatch.setattr(time, "time", lambda: now + min(hours, 0) * 3600)
    steady: Any = SimpleNamespace(time=time.time, monotonic=lambda: steady.now, now=0.0)
    monkeypatch.setattr(claims, "time", steady)
    watch = Watch(patience=10.0)
    for _ in range(2):
        with pytest.raises(ClaimedError):
            claim(processed, scan.metadata, method="kriging", watch=watch)
    steady.now = 11.0
    claim(processed, scan.metadata, method="kriging", watch=watch).abandon()


def test_a_claim_that_is_renewed_stands(processed: Container, scan_and_fill: Pair) -> None:
    scan, _ = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    watch = Watch(patience=0.2)
    for _ in range(4):
        with pytest.raises(ClaimedError):
            claim(processed, scan.metadata, method="kriging", watch=watch)
        time.sleep(0.15)
        fill.renew()


def test_a_claim_is_renewed_although_the_clock_jumped_back(
    processed: Container, scan_and_fill: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, _ = scan_and_fill
    monkeypatch.setattr(node, "STATUS_EVERY", 0.0)
    fill = claim(processed, scan.metadata, method="kriging")
    fill.renew_when_due()
    past = time.time() - 7200
    monkeypatch.setattr(time, "time", lambda: past)
    fill.renew_when_due()
    assert processed[fill.key].metadata["claim_expires"] < past + 7200


@pytest.mark.slow
def test_what_a_crash_left_is_replaced_once_its_claim_has_expired(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    crashed = claim(processed, scan.metadata, method="kriging", lease=-1)
    crashed.allocate(filled.intensity.shape)
    node = write(processed, scan, filled)
    assert list(processed) == [node.item["id"]]
    with pytest.raises(ClaimLostError, match="taken it over"):
        crashed.write_frames(0, *volumes(filled))
    with pytest.raises(ClaimLostError):
        crashed.renew()


@pytest.mark.slow
def test_redoing_supersedes(processed: Container, scan_and_fill: Pair) -> None:
    scan, filled = scan_and_fill
    keys = [write(processed, scan, filled).item["id"] for _ in range(3)]
    assert len(set(keys)) == 3
    assert [processed[key].metadata["superseded_by"] for key in keys] == [keys[1], keys[2], ""]
    assert [processed[key].metadata["complete"] for key in keys] == [True] * 3
    with pytest.raises(AlreadyFilledError, match="complete already"):
        write(processed, scan, filled, redo=False)


def test_the_complete_node_stays_current_until_the_redo_is_complete(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    first = write(processed, scan, filled)
    redo = claim(processed, scan.metadata, method="kriging", redo=True)
    assert first.refresh().metadata["superseded_by"] == ""
    redo.abandon()
    assert list(processed) == [first.item["id"]]


def test_an_interrupted_write_leaves_nothing(processed: Container, scan_and_fill: Pair) -> None:
    def interrupt(what: str, done: float, total: float = 1.0) -> None:
        raise KeyboardInterrupt

    scan, filled = scan_and_fill
    with pytest.raises(KeyboardInterrupt):
        write(processed, scan, filled, progress=interrupt)
    assert list(processed) == []


def test_a_failed_fill_says_why_and_can_be_tried_again(
    processed: Container, scan_and_fill: Pair
) -> None:
    scan, filled = scan_and_fill
    fill = claim(processed, scan.metadata, method="kriging")
    fill.allocate(filled.intensity.shape)
    fill.fail("CUDA error: out of memory")
    failed = processed[fill.key]
    assert list(failed) == []
    assert failed.metadata["failed"] == "CUDA error: out of memory"
    assert failed.metadata["complete"] is False
    again = claim(processed, scan.metadata, method="kriging")
    assert again.metadata.failures == 1
    again.fail("again")
    assert processed[again.key].metadata["failures"] == 2
    assert list(processed) == [again.key]


@pytest.mark.slow
def test_nodes_of_a_newer_version_are_replaced_as_any_other(
    processed: Container, scan_and_fill: Pair
) -> None:
    first = write(processed, *scan_and_fill)
    first.update_metadata({"a_field_of_tomorrow": 1})
    second = write(processed, *scan_and_fill)
    assert first.refresh().metadata["superseded_by"] == second.item["id"]


def test_a_fill_of_another_shape_is_refused(processed: Container, make_scan: MakeScan) -> None:
    scan, _ = make_scan()
    _, filled = make_scan(shape=(10, 24, 20))
    with pytest.raises(ValueError, match="the scan has shape"):
        write(processed, scan, filled)
    assert list(processed) == []


def test_a_scan_without_a_run_is_refused(processed: Container, make_scan: MakeScan) -> None:
    with pytest.raises(ValueError, match="raw_uid is empty"):
        write(processed, *make_scan(raw_uid=""))


def test_names_with_slashes_become_one_key(processed: Container, make_scan: MakeScan) -> None:
    node = write(processed, *make_scan(data_key="det/1:image", motor="gon/ry"))
    assert "gon_ry" in set(node)
    assert node.metadata["motor"] == "gon/ry"
    assert list(processed) == [node.item["id"]]


def test_without_a_motor_there_are_no_angles(processed: Container, make_scan: MakeScan) -> None:
    scan, filled = make_scan(motor="")
    assert set(write(processed, scan, filled)) == {"intensity", "sigma", "mask", "quicklook"}


def test_progress_counts_frames(processed: Container, scan_and_fill: Pair) -> None:
    seen: list[tuple[float, ...]] = []
    write(processed, *scan_and_fill, progress=lambda _, *count: seen.append(count))
    assert seen == [(12, 12)]


@pytest.mark.slow
def test_volumes_may_lie_in_a_file_that_tiled_reads(
    processed: Container, make_scan: MakeScan, detector_files: Path
) -> None:
    scan, filled = make_scan()
    seen: list[tuple[float, ...]] = []
    node = write(
        processed,
        scan,
        filled,
        folder=detector_files,
        progress=lambda _, *count: seen.append(count),
    )
    assert seen == [(12, 12)]
    assert [path.name for path in detector_files.iterdir()] == [f"{node.item['id']}.h5"]
    for name in ("intensity", "sigma", "mask"):
        expected = getattr(filled, name)
        assert node[name].dtype == expected.dtype
        assert node[name].dims == ("frame", "row", "col")
        np.testing.assert_array_equal(node[name].read(), expected)
    np.testing.assert_array_equal(node["intensity"][5], filled.intensity[5])
    assert node.metadata["complete"]


def test_an_interrupted_write_leaves_no_file(
    processed: Container, scan_and_fill: Pair, detector_files: Path
) -> None:
    def interrupt(what: str, done: float, total: float = 1.0) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(processed, *scan_and_fill, folder=detector_files, progress=interrupt)
    assert list(processed) == []
    assert list(detector_files.iterdir()) == []
