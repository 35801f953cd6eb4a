"""A small rocking scan: what a detector records, the plan, and the documents that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bluesky.plans import scan
from event_model import compose_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Documents = list[tuple[str, Any]]

ANGLES = np.linspace(-0.2, 0.2, 20)
"""Of the frames of `peak_behind`."""


def gap_over(cols: slice) -> NDArray[np.bool_]:
    """What is missing in every frame of `peak_behind`: some columns."""
    gap = np.zeros((24, 32), bool)
    gap[:, cols] = True
    return gap


def peak_behind(gap: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Poisson counts ``(frame, row, col)`` of a Gaussian peak, 0 in the gap."""
    z, y, x = np.meshgrid(
        *(np.linspace(-size, size, n) for size, n in ((2, len(ANGLES)), (3, 24), (4, 32))),
        indexing="ij",
    )
    rate = 2000 * np.exp(-(x**2) - y**2 - z**2) + 0.5
    counts = np.random.default_rng(1).poisson(rate).astype(np.uint16)
    counts[:, gap] = 0
    return counts


def rock(detector: Any, motor: Any, angles: NDArray[np.float64] = ANGLES, **metadata: Any) -> Any:
    """The plan of a step scan."""
    return scan([detector], motor, angles[0], angles[-1], len(angles), md=metadata)


def rocking_documents(
    stack: NDArray[Any], angles: NDArray[np.float64] = ANGLES, data_key: str = "det", **start: Any
) -> Documents:
    """Documents of a rocking scan whose frames are in the events."""
    metadata = {
        "plan_name": "scan",
        "motors": ["eta"],
        "num_points": len(stack),
        "hints": {"dimensions": [[["eta"], "primary"]]},
        **start,
    }
    begun, descriptor, _, stop = compose_run(metadata=metadata)
    frame = {
        "dtype": "array",
        "dtype_numpy": stack.dtype.str,
        "shape": list(stack.shape[1:]),
        "source": "SIM",
    }
    angle = {"dtype": "number", "shape": [], "source": "SIM", "units": "deg"}
    described, event, _ = descriptor(name="primary", data_keys={data_key: frame, "eta": angle})
    events = [
        event(data={data_key: counts, "eta": float(value)}, timestamps={data_key: 0, "eta": 0})
        for counts, value in zip(stack, angles, strict=True)
    ]
    return [
        ("start", begun),
        ("descriptor", described),
        *(("event", one) for one in events),
        ("stop", stop()),
    ]


def feed(documents: Iterable[tuple[str, Any]], *callbacks: Callable[[str, Any], object]) -> str:
    """Give documents to callbacks as a RunEngine does; the uid of the first, if it has one."""
    documents = list(documents)
    for name, doc in documents:
        for callback in callbacks:
            callback(name, doc)
    uid: str = documents[0][1].get("uid", "")
    return uid
