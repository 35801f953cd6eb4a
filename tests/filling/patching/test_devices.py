"""With which precision networks are computed."""

from __future__ import annotations

import time

import torch

from bcdi_inpaint.filling.patching.devices import autocast, channels_last


def seconds(*, mixed: bool) -> float:
    """Of a small convolution, the better of two."""
    layer = torch.nn.Conv3d(32, 32, 3, padding=1).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    given = channels_last(torch.ones(1, 32, 8, 16, 16))
    found = []
    with torch.inference_mode(), autocast(torch.device("cpu"), enabled=mixed):
        for _ in range(3):
            start = time.perf_counter()
            layer(given)
            found.append(time.perf_counter() - start)
    return min(found[1:])


def test_mixed_precision_is_never_emulated() -> None:
    # Emulated it takes hundreds of times as long; the rest is the load of the machine.
    assert seconds(mixed=True) < 20 * seconds(mixed=False)
