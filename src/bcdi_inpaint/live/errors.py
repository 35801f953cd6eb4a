"""What causes a failure to fill a run, which decides whether and how often it is tried again."""

from __future__ import annotations

import enum
import errno
from typing import TYPE_CHECKING

import httpx

from bcdi_inpaint.base_error import BcdiInpaintError
from bcdi_inpaint.catalog import AlreadyFilledError, ClaimedError, ClaimLostError
from bcdi_inpaint.scans import printable

from .status import FailReason

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_NOW = {401, 408, 429, 502, 503, 504}
"""HTTP statuses of a server, or of its proxy, that is starting, stopping, too busy, or without its keys."""
MAY_PASS = {403, 404, 500}
"""Statuses for a broken run, but also while the database is locked or the server is being set up."""


SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
"""Errors of a system without free file descriptors or disk space."""


class Cause(enum.Enum):
    """What has caused a failure."""

    RUN = "run"
    """The run, or a defect of this package: tried again a few times, then marked as failed."""
    OUTAGE = "outage"
    """Not the run: Tiled is down or can't store, this machine has no file descriptor or disk space left, or another
    service is filling the run. Tried again without end."""
    ABSENT = "absent"
    """The run or its files are not there yet, or Tiled can't or won't read them. Tried again for some time."""


_KINDS = {
    FailReason.DATA: {"ValueError", "NoImagesError", "MemoryError"},
    FailReason.FILES: {
        *("OSError", "PermissionError", "OutsideRootsError"),
        *("FileNotFoundError", "BlockingIOError", "NotThereYetError"),
    },
    FailReason.TILED: {"ClientError", "HTTPStatusError", "TagsRefusedError"},
}
"""Names of exceptions."""


class CannotFollowError(BcdiInpaintError, RuntimeError):
    """A run can't be filled while it goes on; it may be once it has finished."""


class NotThereYetError(BcdiInpaintError, RuntimeError):
    """The run is not in the catalogue, or has not finished there."""


ABSENT = (NotThereYetError, FileNotFoundError, BlockingIOError)
"""A run or a file that is not there, or is locked by who writes it."""


def cause_of(error: Exception) -> Cause:
    """What has caused `error`."""
    causes = list(_causes(error))
    if any(isinstance(cause, OSError) and cause.errno in SHORT for cause in causes):
        return Cause.OUTAGE
    if any(isinstance(cause, ABSENT) for cause in causes):
        return Cause.ABSENT
    match error:
        case CannotFollowError() | AlreadyFilledError() | ClaimedError() | ClaimLostError():
            return Cause.OUTAGE
        case httpx.TransportError():
            return Cause.OUTAGE
        case httpx.HTTPStatusError() if error.response.status_code in NOT_NOW or _storing(error):
            return Cause.OUTAGE
        case httpx.HTTPStatusError() if error.response.status_code in MAY_PASS:
            return Cause.ABSENT
        case _:
            return Cause.RUN


def reason(error: Exception) -> str:
    """`error` in one line, without control characters."""
    try:
        text = printable(" ".join(str(error).split()))
    except Exception:  # noqa: BLE001 (an exception may be as odd as what raised it)
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def kind_of(reason: str) -> FailReason:
    """The kind of a failure, from its reason."""
    name = reason.partition(":")[0]
    if not name.isidentifier():
        return FailReason.WORKER
    return next((kind for kind, names in _KINDS.items() if name in names), FailReason.DEFECT)


def is_expected(error: Exception) -> bool:
    """Whether `error` is about the run, its files or Tiled, and not a defect of this package."""
    return cause_of(error) is not Cause.RUN or isinstance(error, ValueError | OSError | ImportError)


def _storing(error: httpx.HTTPStatusError) -> bool:
    """Whether the server failed to store what it was sent: its disk is full, or its database."""
    return error.response.is_server_error and error.request.method != "GET"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
