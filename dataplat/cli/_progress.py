"""One line on the terminal while something takes longer than a second: rows, bytes, rate, time left."""

from __future__ import annotations

import shutil
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from dataplat.cli._output import number, seconds, size

if TYPE_CHECKING:
    from dataplat.ingest import Progress

PATIENCE = 1.0
"""Seconds before the first line: what is quicker needs none."""


class ProgressLine:
    """A listener for an ingest's progress. It draws on a terminal only, and removes its line in the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.drawn:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def __call__(self, progress: Progress) -> None:
        """Draw `progress`, if somebody sees it and it has lasted a while."""
        if progress.seconds < PATIENCE or not self.stream.isatty():
            return
        width = shutil.get_terminal_size().columns - 1
        self.stream.write(f"\r\x1b[K{describe(progress)[:width]}")
        self.stream.flush()
        self.drawn = True


def describe(progress: Progress) -> str:
    """Return one report as a line: `reading  1,203,000 rows  84.1 MB of 300.0 MB  601,500 rows/s  5 s left`."""
    pieces = [progress.stage, f"{number(progress.rows)} rows"]
    if progress.bytes_total:
        pieces.append(f"{size(progress.bytes_done)} of {size(progress.bytes_total)}")
    elif progress.bytes_done:
        pieces.append(size(progress.bytes_done))
    if progress.seconds > 0:
        pieces.append(f"{number(int(progress.rows / progress.seconds))} rows/s")
    if 0 < progress.bytes_done < progress.bytes_total:
        left = progress.seconds * (progress.bytes_total - progress.bytes_done) / progress.bytes_done
        pieces.append(f"{seconds(max(1.0, round(left))).replace('.00', '')} left")
    else:
        pieces.append(seconds(progress.seconds))
    return "  ".join(pieces)
