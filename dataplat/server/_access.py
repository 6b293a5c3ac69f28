"""The access log: a line of JSON a request, written many at a time. It says who asked what, never a value or a key.

What is asked of a worker that is killed, and was not yet written, is not in it: half a second at most.
"""

from __future__ import annotations

import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from dataplat.errors import ConfigError

_ENCODE: Final = msgspec.json.Encoder().encode_lines
MOST: Final = 16_384
"""Lines that wait; where nobody takes them, further ones are counted and left out."""


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A request: when, what, how it ended, its id, of which service, how many entities, and whose key.

    The time is in seconds, and one of RFC 3339 in the log.
    """

    at: float | str
    method: str
    path: str
    status: int
    ms: float
    request_id: str
    service: str = ""
    entities: int | None = None
    key: str = ""


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
        if len(self._waiting) < MOST:
            self._waiting.append(line)
        else:
            self._left_out += 1

    def flush(self) -> None:
        """Write what waits; a log that cannot be written stops no request."""
        if self._file is None or not (self._waiting or self._left_out):
            return
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            at = float(line.at)
            line.at = f"{_second(int(at))}.{int(at % 1 * 1000):03d}Z"
            line.ms = round(line.ms, 3)
        text = _ENCODE(waiting)
        if self._left_out:
            text += b'{"left_out":%d}\n' % self._left_out
            self._left_out = 0
        try:
            os.write(self._file, text)
        except OSError:
            self._left_out += len(waiting)


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
