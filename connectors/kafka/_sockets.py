"""What kafka-python forgets and shows: sockets that came to nothing, and passwords in its debugging log."""

from __future__ import annotations

import logging
import selectors
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

_WHILE: Final = 1.0
"""Seconds after which a socket that nobody waits for, and that is not connected, is taken to be forgotten."""
_TALKATIVE: Final = ("kafka.admin.client", "kafka.net.connection", "kafka.protocol.parser")
"""Loggers that write requests and settings out, at level DEBUG."""


class ClosingSelector(selectors.DefaultSelector):
    """Closes the sockets that it was told of and that came to nothing: refused ones, and those not connected at the end.

    The library lets go of them unclosed. It is told which selector to use by its setting `selector`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left: dict[Any, float] = {}

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file object; see `selectors`."""
        self._left.pop(fileobj, None)
        return super().register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """Watch it no more; see `selectors`."""
        key = super().unregister(fileobj)
        now = time.monotonic()
        self._left[fileobj] = now
        for left, since in list(self._left.items()):
            if now - since > _WHILE:
                del self._left[left]
                _close_unconnected(left)
        return key

    def close(self) -> None:
        """Let all go, and close what is still waited for."""
        watched = [key.fileobj for key in (self.get_map() or {}).values()]
        super().close()
        for fileobj in (*watched, *self._left):
            _close_unconnected(fileobj)
        self._left.clear()


def _close_unconnected(fileobj: Any) -> None:
    try:
        fileobj.getpeername()
    except (OSError, AttributeError):
        if hasattr(fileobj, "close"):
            fileobj.close()


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG


_QUIET: Final = _Quiet()


def hide_passwords() -> None:
    """Let the library write no requests and settings to the log, which it does at level DEBUG: passwords are in them."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_QUIET)
