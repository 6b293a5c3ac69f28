"""Pulls as long as somebody wants it to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import LabelServerDenied, LabelServerError

if TYPE_CHECKING:
    from dataplat._labels._pull import PullResult
    from dataplat._labels._queue import LabelQueue

_DAY: Final = 86_400.0
_LOOKS: Final = 1.0
"""Seconds between looks at whether a webhook was heard."""


def follow(
    queue: LabelQueue,
    tell: Callable[[PullResult], None] | None,
    every: float,
    contract: Any,
    stop: threading.Event | None,
) -> None:
    """Pull until `stop` is set; see `LabelQueue.follow`."""
    stop = stop or threading.Event()
    read_all = time.monotonic()
    while not stop.is_set():
        whole = time.monotonic() - read_all >= _DAY
        if whole:
            read_all = time.monotonic()
        try:
            result = queue.pull(full=whole, contract=contract)
        except LabelServerDenied:
            raise
        except LabelServerError:
            pass  # asked again: whatever was answered is still there then
        else:
            if tell is not None:
                tell(result)
        _wait(queue, every, stop)


def _wait(queue: LabelQueue, every: float, stop: threading.Event) -> None:
    """Wait until something is heard, `every` seconds have passed, or `stop` is set."""
    from dataplat.labeling.serve import heard

    since = time.time()
    until = time.monotonic() + every
    while time.monotonic() < until and not stop.wait(min(_LOOKS, every)):
        if heard(queue.name, since):
            return
