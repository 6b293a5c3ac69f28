"""The access log: a line of JSON a request, written many at a time. It says who asked what, never a value or a key.

What is asked of a worker that is killed, and was not yet written, is not in it: half a second at most.
"""

from __future__ import annotations

import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dataplat.errors import ConfigError

_ENCODE: Final = msgspec.json.Encoder().encode
_MOST: Final = 4096
"""Lines that wait; where nobody takes them, further ones are counted and left out."""


class Line(NamedTuple):
    """A request: when, what, how it ended, of which service and how many entities, whose key, and its id."""

    at: float
    method: str
    path: str
    status: int
    seconds: float
    entities: int
    service: str
    key: str
    request_id: str


class AccessLog:
    """Lines that wait to be written, and where they go.

    Args:
        target: a file, `-` for standard error, or nothing.

    Raises:
        ConfigError: The file cannot be opened.
    """

    def __init__(self, target: str) -> None:
        self._waiting: list[Line] = []
        self._left_out = 0
        self._file: int | None = None
        if target == "-":
            self._file = sys.stderr.fileno()
        elif target:
            try:
                self._file = os.open(Path(target).expanduser(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            except OSError as error:
                raise ConfigError(f"access_log {target}: {error.strerror}") from error
        self.on = self._file is not None

    def note(self, line: Line) -> None:
        """Remember a request; it is written by the next `flush`."""
        if len(self._waiting) < _MOST:
            self._waiting.append(line)
        else:
            self._left_out += 1

    def flush(self) -> None:
        """Write what waits; a log that cannot be written stops no request."""
        if self._file is None or not (self._waiting or self._left_out):
            return
        waiting, self._waiting = self._waiting, []
        text = b"".join(map(_written, waiting))
        if self._left_out:
            text += b'{"left_out":%d}\n' % self._left_out
            self._left_out = 0
        try:
            os.write(self._file, text)
        except OSError:
            self._left_out += len(waiting)


def _written(line: Line) -> bytes:
    told: dict[str, object] = {
        "at": f"{_second(int(line.at))}.{int(line.at % 1 * 1000):03d}Z",
        "method": line.method,
        "path": line.path,
        "status": line.status,
        "ms": round(line.seconds * 1000, 3),
    }
    if line.service:
        told["service"], told["entities"] = line.service, line.entities
    if line.key:
        told["key"] = line.key
    told["request_id"] = line.request_id
    return _ENCODE(told) + b"\n"


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
