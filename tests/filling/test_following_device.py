"""Every tensor follows its device: checked without one, by tensors that pretend to be elsewhere."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map, tree_map_only

from bcdi_inpaint.filling.estimation import estimate
from bcdi_inpaint.filling.kriging import krige
from bcdi_inpaint.filling.patching import bands as patching
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.lab.simulate import simulate_scan

ELSEWHERE = torch.device("meta")
MAY_MIX = {"_to_copy", "copy_", "index", "index_put", "index_put_"}
"""Operations that take tensors of two devices (indices may be on the CPU)."""


class Elsewhere(torch.Tensor):
    """A tensor that says it is on `ELSEWHERE` and holds its values on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Self:
        there: Self = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=ELSEWHERE,
        )
        there.held = held
        return there

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise AssertionError(f"{func} outside of the pretended device")


class PretendedDevice(TorchDispatchMode):
    """Computes on the CPU, and refuses what a real device would."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors: list[torch.Tensor] = []
        tree_map_only(torch.Tensor, tensors.append, (args, kwargs))
        there = [t for t in tensors if isinstance(t, Elsewhere)]
        here = [t for t in tensors if not isinstance(t, Elsewhere) and t.dim()]
        name = func.overloadpacket.__name__
        if there and here and name not in MAY_MIX:
            raise AssertionError(f"{func} got tensors on {ELSEWHERE} and on the CPU")
        if kwargs.get("device") is not None:
            stays = torch.device(kwargs["device"]).type == "cpu"
            kwargs["device"] = torch.device("cpu")
        else:
            stays = not isinstance(tensors[0], Elsewhere) if tensors else True
        known = {id(t.held): t for t in there}
        result = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if stays:
            return result

        def there_too(tensor: torch.Tensor) -> torch.Tensor:
            return known[id(tensor)] if id(tensor) in known else Elsewhere(tensor)

        return tree_map_only(torch.Tensor, there_too, result)


def _held(value: Any) -> Any:
    # A conjugate is a flag that operations below a mode don't see.
    return value.held.resolve_conj() if isinstance(value, Elsewhere) else value


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    counts = simulate_scan(
        5, (40, 40, 40), peak_counts=1e6, strain="none", aliens=0, peak_offset=(0, 0, 0)
    ).counts
    mask = np.zeros(counts.shape, bool)
    mask[:, :, 26:30] = True
    return np.where(mask, 0, counts).astype(np.float32), mask


@pytest.mark.parametrize("twin", [True, False])
def test_a_fill_by_the_network_stays_on_its_device(
    scan: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, twin: bool
) -> None:
    stack, mask = scan
    torch.manual_seed(0)
    network = PatchingNetwork((4, 4, 4, 4)).eval()
    told = estimate(stack, mask, twin=twin)
    box = tuple(slice(0, n) for n in stack.shape)
    around = told.around(stack, mask, (box[0], box[1], box[2]))
    assert (around.twin is not None) == twin
    here = patching.fill_with(network, stack, mask, around, torch.device("cpu"))
    # Torch warns where mixed precision is asked for on a device that isn't there.
    monkeypatch.setattr(patching, "autocast", lambda _: torch.autocast("cpu", enabled=False))
    with PretendedDevice():
        there = {name: Elsewhere(value) for name, value in network.state_dict().items()}
        moved = _Functional(network, there)  # type: ignore[arg-type]
        found = patching.fill_with(moved, stack, mask, around, ELSEWHERE)
    np.testing.assert_array_equal(found.rate, here.rate)
    np.testing.assert_array_equal(found.sigma, here.sigma)


class _Functional(torch.nn.Module):
    """A network whose weights are elsewhere."""

    def __init__(self, network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self._network, self._weights = [network], weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(self._network[0], self._weights, (x,))
        return result


def test_kriging_stays_on_its_device_and_draws_there(scan: tuple[np.ndarray, np.ndarray]) -> None:
    stack, mask = (torch.from_numpy(array) for array in scan)
    around = estimate(*scan).around(*scan, (slice(0, 40), slice(0, 40), slice(0, 40)))
    with PretendedDevice():
        there = around.to(ELSEWHERE)
        field = krige(
            stack.to(ELSEWHERE), mask.to(ELSEWHERE), there.texture, there.twin, 4, draw=True
        )
        assert field.value.device == ELSEWHERE
        assert field.error is not None
        assert field.error.device == ELSEWHERE


def test_the_pretended_device_refuses_what_a_real_one_would() -> None:
    with PretendedDevice():
        there = torch.ones(3).to(ELSEWHERE)
        assert there.device == ELSEWHERE
        assert (there + 1).device == ELSEWHERE
        assert torch.zeros(2, device=ELSEWHERE).device == ELSEWHERE
        assert there.cpu().tolist() == [1, 1, 1]
        with pytest.raises(AssertionError, match="and on the CPU"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
