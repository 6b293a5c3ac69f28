"""How far an ingest has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """One report: what is being done, rows so far, source bytes so far and in all (0 = unknown), seconds since the start."""

    stage: str
    rows: int
    bytes_done: int
    bytes_total: int
    seconds: float


Listener: TypeAlias = Callable[[Progress], None]


@dataclass(slots=True)
class Meter:
    """Counts rows and bytes, and tells a listener at most ten times a second.

    `landed` rows are committed already (of a stream), and stay counted when those that are read begin anew.
    """

    listener: Listener | None = None
    rows: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    stage: str = "reading"
    landed: int = 0
    _start: float = field(default_factory=time.monotonic)
    _told: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the meter was made."""
        return time.monotonic() - self._start

    def add_rows(self, rows: int) -> None:
        """Count `rows` more rows."""
        self.rows += rows
        self._tell()

    def at_byte(self, done: int, total: int) -> None:
        """Say how many bytes of the source have been read, and of how many."""
        self.bytes_done, self.bytes_total = done, total

    def enter(self, stage: str) -> None:
        """Begin another stage, and say so at once."""
        self.stage = stage
        self._tell(now=True)

    def restart(self, stage: str = "reading again") -> None:
        """Count rows from those landed again: types became wider, or somebody else changed the same rows."""
        self.rows = self.landed
        self.enter(stage)

    def _tell(self, *, now: bool = False) -> None:
        clock = time.monotonic()
        if self.listener is not None and (now or clock - self._told >= 0.1):
            self._told = clock
            self.listener(Progress(self.stage, self.rows, self.bytes_done, self.bytes_total, self.seconds))
