"""Bands are filled in parallel, to the same bits, within bounds, and nobody else notices."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest
import torch

from bcdi_inpaint.filling import inpaint, pipeline
from bcdi_inpaint.filling.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bcdi_inpaint.filling.result import Inpainted

Band = TypeVar("Band")
Filled = TypeVar("Filled")


@pytest.fixture(params=[2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    asking.start()
    asking.join()
    return found[0]


def test_results_come_in_order_and_the_threads_are_shared(threads: int) -> None:
    together = threading.Barrier(2, timeout=10)

    def work(number: int) -> tuple[int, int]:
        together.wait()  # nobody passes alone
        return number, torch.get_num_threads()

    assert list(in_parallel(work, range(6), 2)) == [(n, threads // 2) for n in range(6)]
    assert torch.get_num_threads() == threads_of_a_new_thread() == threads


def test_only_a_few_are_held_at_once(threads: int) -> None:
    done: list[int] = []
    taken = in_parallel(done.append, range(20), 2)
    for number in range(20):
        next(taken)
        assert len(done) <= number + 3


def test_an_error_comes_through_and_leaves_the_threads_as_they_were(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda number: 1 // (number - 3), range(20), 2))
    assert torch.get_num_threads() == threads_of_a_new_thread() == threads


def one_after_the_other(
    do: Callable[[Band], Filled], bands: Sequence[Band], at_once: int
) -> Iterator[Filled]:
    """`in_parallel` without its pool: each band with the threads that it would have there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(threads // min(at_once, threads, len(bands)))
    try:
        yield from map(do, bands)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("method", ["kriging", "patching"])
def test_bands_together_have_the_bits_of_one_after_the_other(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = np.random.default_rng(0).poisson(3.0, (16, 40, 44))
    mask = np.zeros((40, 44), bool)
    mask[10:14] = mask[:, 20:24] = True

    def filled(threads: int) -> Inpainted:
        torch.set_num_threads(threads)
        return inpaint(stack, mask, method, self_check=False)

    before = torch.get_num_threads()
    try:
        alone, *together = filled(1), filled(2), filled(2)
        monkeypatch.setattr(pipeline, "in_parallel", one_after_the_other)
        in_turn = filled(2)
    finally:
        torch.set_num_threads(before)
    for other in together:
        np.testing.assert_array_equal(other.intensity, in_turn.intensity)
        np.testing.assert_array_equal(other.sigma, in_turn.sigma)
    # A transform by two threads has other last bits than by one, on some processors; these may change how
    # the network's input is rounded where it computes in bfloat16.
    close = {"kriging": 1e-5, "patching": 2**-6}[method]
    np.testing.assert_allclose(alone.intensity, in_turn.intensity, rtol=close)
    np.testing.assert_allclose(alone.sigma, in_turn.sigma, rtol=close)
