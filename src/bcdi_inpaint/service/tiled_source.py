"""The source to Tiled: runs are seen when they have finished there.

The stream only says that something has changed; the runs are then read from the catalogue. So no run depends
on a message: if messages are repeated, lost or reordered, or the server has no stream, runs are found later.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import httpx

from bcdi_inpaint.catalog.listing import look_up
from bcdi_inpaint.live.errors import Cause, cause_of, reason
from bcdi_inpaint.live.guard import GuardedLogger

from .seen_runs import NoRunError, documents_of
from .sources import Source

if TYPE_CHECKING:
    from tiled.client.container import Container
    from tiled.client.stream import Subscription

    from .sources import Intake

logger = GuardedLogger(__name__)

MAX_MESSAGE = 2**28
"""Bytes; a larger message ends a subscription for good, and Tiled's default is 1 MB."""
LOOK_ANYWAY = 60.0
"""Seconds between looks although the stream says that nothing has changed."""
LONGEST_WAIT = 60.0
"""Seconds between attempts to reach the stream, or Tiled itself."""


class TiledSource(Source):
    """Looks at the `look_back` latest runs whenever the stream says so, or every `poll_seconds` without one."""

    name = "tiled"

    def __init__(
        self, raw: Container, intake: Intake, *, poll_seconds: float, look_back: int
    ) -> None:
        looking, subscribing = f"looking at {raw.uri} failed", f"subscribing to {raw.uri} failed"
        steps = {looking: self._look_or_wait, subscribing: self._subscribe_or_wait}
        super().__init__(steps, poll_seconds)
        self._raw = raw
        self._intake = intake
        self._poll_seconds = poll_seconds
        self._look_back = look_back
        self._odd: set[str] = set()
        """Keys of those with which something is wrong."""
        self._done: set[str] = set()
        """Keys of runs, of those that are looked at, with which there is nothing more to do."""
        self._changed = threading.Event()
        self._subscription: Subscription | None = None
        self._trouble = "has not looked yet"
        self._failures = 0
        self._pause = poll_seconds

    @property
    def trouble(self) -> str:
        """Why no run comes in at the moment; empty while all is well."""
        return self._trouble

    @property
    def _was_connected(self) -> bool:
        """Whether the latest subscription has reached the stream, be it ended by now."""
        stream = self._subscription
        return stream is not None and stream._connected_event.is_set()  # noqa: SLF001

    @property
    def _streaming(self) -> bool:
        """Whether the server tells when something has changed; asked anew, as a stream may end at any moment."""
        stream = self._subscription
        ended = stream is None or stream._disconnect_event.is_set()  # noqa: SLF001
        return self._was_connected and not ended

    def close(self) -> None:
        """Shut it."""
        self._closing.set()
        self._changed.set()
        subscription = self._subscription
        if subscription is not None:
            # It looks at this event ten times a second; closing its socket from here would make
            # it believe in a lost connection.
            subscription._disconnect_event.set()  # noqa: SLF001
        super().close()

    def _look_or_wait(self) -> None:
        """Look once, and wait until it is time to look again."""
        self._changed.clear()
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 (the next look sees the same runs)
            self._failures += 1
            if not self._trouble:
                logger.warning("can't look at %s: %s", self._raw.uri, reason(error))
            self._trouble = reason(error)
            self._closing.wait(min(self._poll_seconds * self._failures, LONGEST_WAIT))
        else:
            self._failures = 0
            self._trouble = ""
            self._changed.wait(LOOK_ANYWAY if self._streaming else self._poll_seconds)

    def _look(self) -> None:
        """Check the latest runs."""
        keys = list(self._raw.keys().tail(self._look_back))
        self._done.intersection_update(keys)
        self._odd.intersection_update(keys)
        failed = [
            error
            for key in keys
            if key not in self._done
            and not self._closing.is_set()
            and (error := self._look_at(key)) is not None
        ]
        refused = [error for error in failed if isinstance(error, httpx.HTTPError)]
        if len(refused) > 1 and len(refused) == len(set(keys) - self._done):
            raise refused[-1]  # hardly caused by each of the runs

    def _look_at(self, key: str) -> Exception | None:
        """Check one run; what is wrong with it, for which it is checked again later.

        Raises
        ------
        Exception
            If Tiled can't be reached.
        """
        try:
            if self._intake.run(*documents_of(look_up(self._raw, key))):
                self._done.add(key)
        except NoRunError as error:
            self._done.add(key)
            logger.warning("node %s is passed over, which is no run: %s", key, error)
        except Exception as error:
            if cause_of(error) is Cause.OUTAGE:
                raise
            if key not in self._odd:
                self._odd.add(key)
                logger.warning("can't look at run %s: %s", key, reason(error))
            return error
        return None

    def _subscribe_or_wait(self) -> None:
        """Subscribe once, and wait before the next attempt."""
        began, self._subscription = time.monotonic(), None
        try:
            self._subscribe()
        except Exception as error:  # noqa: BLE001 (without a stream we look)
            level = logging.INFO if self._was_connected else logging.DEBUG
            logger.log(level, "no stream of %s: %s", self._raw.uri, reason(error))
        if self._was_connected and not self._closing.is_set():
            logger.info("the stream of %s has ended; looking instead", self._raw.uri)
        self._changed.set()
        lasted = time.monotonic() - began
        longer = min(2 * self._pause, LONGEST_WAIT)
        self._pause = self._poll_seconds if lasted > LONGEST_WAIT else longer
        self._closing.wait(self._pause)

    def _subscribe(self) -> None:
        """Listen until the stream ends."""
        self._subscription = subscription = self._raw.subscribe()
        # Weak references are all that the subscription keeps: these are methods of ours.
        subscription.child_created.add_callback(self._notice)
        subscription.child_metadata_updated.add_callback(self._notice)
        threading.Thread(target=self._await_stream, args=(subscription,), daemon=True).start()
        subscription.start(start=None, max_size=MAX_MESSAGE)

    def _await_stream(self, subscription: Subscription) -> None:
        while not subscription._disconnect_event.is_set():  # noqa: SLF001
            if subscription._connected_event.wait(0.5):  # noqa: SLF001
                logger.info("listening to the stream of %s", self._raw.uri)
                self._changed.set()  # what came before the connection did
                return

    def _notice(self, update: object) -> None:  # noqa: ARG002 (Tiled passes it)
        self._changed.set()
