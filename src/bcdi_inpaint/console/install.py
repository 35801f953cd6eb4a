"""The one line that a beamline adds to its profile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .handle import Inpaint
from .magic import register

if TYPE_CHECKING:
    from bluesky import RunEngine
    from IPython.core.interactiveshell import InteractiveShell
    from tiled.client.container import Container

    from bcdi_inpaint.live import Limits, Settings
    from bcdi_inpaint.scans import RockingScanRule

_INSTALLED: WeakKeyDictionary[RunEngine, Inpaint] = WeakKeyDictionary()
"""So that running a startup file again doesn't fill everything twice."""


def install(
    RE: RunEngine,  # noqa: N803 (its name everywhere)
    raw: Container,
    processed: Container,
    *,
    folder: Path | None = None,
    settings: Settings | None = None,
    rule: RockingScanRule | None = None,
    limits: Limits | None = None,
    tuning_seconds: float = 55.0,
) -> Inpaint:
    """Fill the rocking scans of a RunEngine while they are measured; in IPython, add ``%inpaint``.

    Works without IPython and without a screen, as in a queueserver's worker. Called again for the
    same RunEngine, it takes the place of what it installed before.

    Parameters
    ----------
    RE
        Whose scans are filled.
    raw, processed
        Tiled clients of the catalogue of runs and of the container of filled scans
        (`bcdi_inpaint.catalog.open_processed` opens or makes it).
    folder
        Where toggles are remembered (``inpaint.toml``), and the log and pictures are written;
        programs that are given the same folder share their toggles. By default that of the
        IPython profile, or else of the user.
    settings
        What toggles leave open: where detector files may be read, and so on.
    rule, limits
        As `bcdi_inpaint.live.InpaintCallback` takes them.
    tuning_seconds
        Time for fine-tuning the network on a scan.

    Returns
    -------
    Inpaint
        Toggles and status as Python calls.

    Raises
    ------
    ValueError
        If a client belongs to a server inside this process, which the worker can't reach.
    """
    shell = _shell()
    if RE in _INSTALLED:
        _INSTALLED.pop(RE).close(0.0)
    _INSTALLED[RE] = inpaint = Inpaint(
        RE,
        raw,
        processed,
        folder=folder or _own_folder(shell),
        settings=settings,
        rule=rule,
        limits=limits,
        tuning_seconds=tuning_seconds,
    )
    if shell:
        register(shell, inpaint)
    return inpaint


def _shell() -> InteractiveShell | None:
    """The IPython shell that we are in, if any; IPython is not loaded for that."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _own_folder(shell: InteractiveShell | None) -> Path:
    import platformdirs

    if shell is not None and shell.profile_dir is not None:
        return Path(shell.profile_dir.location, "inpaint")
    return platformdirs.user_state_path("bcdi-inpaint")
