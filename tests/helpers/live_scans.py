"""A scan behind a gap, settings that fill it in several windows, and a callback that many tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ophyd.sim import SynAxis

from bcdi_inpaint.live import InpaintCallback, Settings

from .scans import ANGLES, gap_over, peak_behind, rocking_documents
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .scans import Documents
    from .tiled_servers import Server


@pytest.fixture(scope="session")
def _callback(server: Server) -> Iterator[InpaintCallback]:
    with InpaintCallback(*server.beamline()) as callback:
        until(lambda: callback.status().worker is not None)
        yield callback


@pytest.fixture
def callback(_callback: InpaintCallback, settings: Settings) -> InpaintCallback:
    """One that many tests share, since starting a worker takes seconds; idle, with `settings`."""
    assert _callback.wait(60)
    _callback.settings = settings
    return _callback


@pytest.fixture
def angles() -> NDArray[np.float64]:
    """Of the frames of `stack`."""
    return ANGLES


@pytest.fixture
def gap() -> NDArray[np.bool_]:
    """What is missing in every frame of `stack`."""
    return gap_over(np.s_[14:17])


@pytest.fixture
def stack(gap: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """What the detector records of a peak."""
    return peak_behind(gap)


@pytest.fixture
def settings(server: Server, gap: NDArray[np.bool_]) -> Settings:
    """Several windows; in the end the offline result, however slow the machine."""
    return Settings(
        method="linear",
        mask=gap,
        portion=4,
        margin=2,
        final_seconds=np.inf,
        file_roots=(server.files,),
    )


@pytest.fixture
def motor() -> SynAxis:
    return SynAxis(name="eta", egu="deg")


@pytest.fixture(scope="session")
def documents() -> Callable[..., Documents]:
    """Makes the documents of a rocking scan whose frames are in the events."""
    return rocking_documents
