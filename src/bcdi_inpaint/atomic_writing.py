"""Files that appear under their names only when they are completely written."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system says when there is no room for a file."""


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """A name beside a file to write to; it takes the file's place when the block ends well.

    Raises
    ------
    OSError
        At once if nothing can be written there, not when the work is done.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = part.stat().st_mode
    except OSError as error:
        raise OSError(f"{target} can't be written: {error.strerror}") from error
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())  # after a power cut, too, it is the old file or the new one
        part.chmod(mode)  # some libraries write what nobody else can read
        part.replace(target)
    except OSError as error:
        # numpy writes whole arrays, and says in words alone that it could not.
        if error.errno in FULL or "requested and" in str(error):
            raise OSError(f"{target} can't be written: {error.strerror or error}") from error
        raise
    finally:
        part.unlink(missing_ok=True)
