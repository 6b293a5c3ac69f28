"""The access log: a line of JSON a request, written many at a time. It says who asked what, never a value or a key.

What is asked of a worker that is killed, and was not yet written, is not in it: half a second at most.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

from dataplat.errors import ConfigError

EVERY: Final = 0.5
"""Seconds after which lines are written."""
_MOST: Final = 4096
"""Lines that wait; where nobody takes them, further ones are counted and left out."""


class AccessLog:
    """Lines that wait to be written, and where they go.

    Args:
        target: a file, `-` for standard error, or nothing.

    Raises:
        ConfigError: The file cannot be opened.
    """

    def __init__(self, target: str) -> None:
        self._waiting: list[tuple[float, str, str, int, float, int, str, str, str]] = []
        self.left_out = 0
        try:
            opened = os.open(Path(target).expanduser(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640) if target not in ("", "-") else None
        except OSError as error:
            raise ConfigError(f"access_log {target}: {error.strerror}") from error
        self._file = sys.stderr.fileno() if target == "-" else opened
        self.on = self._file is not None

    def note(
        self, method: str, path: str, status: int, seconds: float, entities: int, service: str, caller: str, request_id: str
    ) -> None:
        """Remember a request; it is written by the next `flush`."""
        if len(self._waiting) >= _MOST:
            self.left_out += 1
            return
        self._waiting.append((time.time(), method, path, status, seconds, entities, service, caller, request_id))

    def flush(self) -> None:
        """Write what waits; a log that cannot be written stops no request."""
        if self._file is None or not (self._waiting or self.left_out):
            return
        waiting, self._waiting = self._waiting, []
        text = b"".join(_line(*each) for each in waiting)
        if self.left_out:
            text += b'{"left_out":%d}\n' % self.left_out
            self.left_out = 0
        try:
            os.write(self._file, text)
        except OSError:
            self.left_out += len(waiting)


def _line(
    at: float, method: str, path: str, status: int, seconds: float, entities: int, service: str, caller: str, request_id: str
) -> bytes:
    import msgspec

    told: dict[str, object] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z",
        "method": method,
        "path": path,
        "status": status,
        "ms": round(seconds * 1000, 3),
    }
    if service:
        told["service"], told["entities"] = service, entities
    if caller:
        told["key"] = caller
    return msgspec.json.encode(told | {"request_id": request_id}) + b"\n"
