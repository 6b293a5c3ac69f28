"""A directory of any files (images, audio, documents) as a dataset: one row per file."""

from __future__ import annotations

import functools
import mimetypes
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from dataplat.connectors.files._folder import Listing, list_files
from dataplat.connectors.files._read_files import Taken, read_files
from dataplat.connectors.source import Blob, Item, Position, Progress, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH_BYTES = 16 << 20
BATCH_ROWS = 8_192
_TICK_NS: Final = 20_000_000
"""File systems stamp changes by the tick of a clock, of 10 ms or less: a file that is younger may change unseen."""

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("media_type", pa.string()),
        ("sha256", pa.string()),
        ("modified", pa.timestamp("ns", "UTC")),
        ("content", pa.binary()),
        ("object", pa.string()),
    ]
)
"""`path` is relative with `/`; either `content` holds the bytes, or `object` the id of the object that does."""


class TreeSource:
    """The files below a directory; its position under `tree:<absolute path>` is a digest of their listing.

    Every regular file is taken, hidden ones too; of a link to a file the bytes it leads to. A link to a folder or to
    nothing is an error. Only a lake's own folder is left out, and the plan says so.
    """

    def __init__(self, name: str, path: Path, listing: Listing | None = None) -> None:
        self._name = name
        self._path = path
        self._fresh = listing  # made when the directory was opened, a moment ago: the first plan goes by it
        self._files = Listing(str(path), [], [], [], ())
        self._numbers: dict[str, int] = {}
        self._held: set[int] = set()

    @property
    def name(self) -> str:
        """The directory as it was named."""
        return self._name

    @property
    def is_text(self) -> bool:
        """Rows carry types of their own."""
        return False

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the listing as one split, skipped where no name, size or time has changed; and what is left out."""
        self._files, self._fresh = self._fresh or list_files(self._path), None
        self._numbers, self._held = {}, set()
        source = f"tree:{self._path.as_posix()}"
        held, now = positions.get(source), self._files.position()
        reason = "already ingested (same names, sizes and times)" if held == now else None
        listing = Split(source, self._name, held, sum(self._files.sizes), reason, now)
        return [listing, *(Split("", str(path), skipped=why) for path, why in self._files.left_out)]

    def schema(self) -> pa.Schema:
        """Return the columns of a tree."""
        return SCHEMA

    @property
    def known_columns(self) -> tuple[str, ...]:
        """What tells whether a file is the one that was read, and how its row would look now."""
        return ("path", "size", "media_type", "modified")

    def hold(self, rows: pa.RecordBatch) -> NDArray[np.bool_]:
        """Return which rows of an earlier version are those of files as they lie here; these files are not read.

        By path, size and time of change. Of rows with one path, the first is taken.
        """
        import numpy as np

        self._numbers = self._numbers or {name: number for number, name in enumerate(self._files.names)}
        taken = np.zeros(rows.num_rows, np.bool_)
        times = rows.column("modified").cast(SCHEMA.field("modified").type).cast(pa.int64()).to_pylist()
        columns = (rows.column(name).to_pylist() for name in ("path", "size", "media_type"))
        for row, (path, size, media_type, modified) in enumerate(zip(*columns, times, strict=True)):
            number = self._numbers.get(path)
            if (
                number is not None
                and number not in self._held
                and (size, modified) == (self._files.sizes[number], self._files.times[number])
                and media_type == _media_type(path)
            ):
                taken[row] = True
                self._held.add(number)
        return taken

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield batches of at most 16 MB of content, each large file's `Blob` before the batch with its row."""
        files, rows = self._files, list[Taken]()
        todo = [number for number in range(len(files.names)) if number not in self._held]
        done = sum(files.sizes) - sum(files.sizes[number] for number in todo)
        held = 0
        _wait_for_the_next_tick(max((files.times[number] for number in todo), default=0))
        for taken in read_files(files, todo):
            number, sha256, content = taken
            if content is None:
                yield Blob(Path(files.root, files.names[number]), sha256, files.sizes[number])
            rows.append(taken)
            held += len(content or b"")
            done += files.sizes[number]
            if held >= BATCH_BYTES or len(rows) >= BATCH_ROWS:
                yield _batch(files, rows)
                rows, held = [], 0
                if on_progress is not None:
                    on_progress(done, split.nbytes)
        if rows:
            yield _batch(files, rows)
        if on_progress is not None:
            on_progress(done, split.nbytes)

    def position(self, split: Split) -> Position | None:
        """Return the digest of the listing that was read."""
        return split.position


def _wait_for_the_next_tick(newest: int) -> None:
    """Let a file that changed just now get older, so that a change after it was read has another time."""
    left = newest + _TICK_NS - time.time_ns()
    if 0 < left <= _TICK_NS:
        time.sleep(left / 1e9)


def _batch(files: Listing, rows: list[Taken]) -> pa.RecordBatch:
    numbers, digests, contents = zip(*rows, strict=True)
    names = [files.names[number] for number in numbers]
    columns = (
        names,
        [files.sizes[number] for number in numbers],
        [_media_type(name) for name in names],
        digests,
        [files.times[number] for number in numbers],
        contents,
        [sha256 if content is None else None for _, sha256, content in rows],
    )
    arrays = [pa.array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _media_type(path: str) -> str:
    """Return what a file's name says of its content."""
    name = path.rpartition("/")[2]
    parts = name.rsplit(".", 2)
    if name.startswith(".") or ":" in name or len(parts) < 2:
        return _guessed(name)
    return _guessed("x." + ".".join(parts[-2:]) if len(parts) > 2 else f"x.{parts[1]}")  # the last two suffixes decide


@functools.lru_cache(maxsize=4096)
def _guessed(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
