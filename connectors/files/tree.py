"""A directory of any files (images, audio, documents) as a dataset: one row per file."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
from collections.abc import Generator, Mapping
from pathlib import Path

import pyarrow as pa

from dataplat.connectors.files._folder import files_below
from dataplat.connectors.files._stream import CHUNK, require_unchanged
from dataplat.connectors.source import Blob, Item, Position, Progress, Split
from dataplat.errors import SourceError

INLINE_BYTES = 1_000_000
"""Files up to this size lie as bytes in their rows; larger ones are objects."""
BATCH_BYTES = 16 << 20
BATCH_ROWS = 8_192

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

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._files: list[tuple[Path, os.stat_result]] = []

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
        folder = files_below(self._path, hidden=True)
        self._files = [(file, file.stat()) for file in folder.files]
        source = f"tree:{self._path.as_posix()}"
        nbytes = sum(stat.st_size for _, stat in self._files)
        held, now = positions.get(source), self._listing()
        reason = "already ingested (same names, sizes and times)" if held == now else None
        listing = Split(source, self._name, held, nbytes, reason, now if reason else None)
        return [listing, *(Split("", str(path), skipped=why) for path, why in folder.left_out)]

    def _listing(self) -> Position:
        lines = [[self._relative(file), stat.st_size, stat.st_mtime_ns] for file, stat in self._files]
        digest = hashlib.sha256(json.dumps(lines, separators=(",", ":")).encode()).hexdigest()
        return {"files": len(lines), "bytes": sum(size for _, size, _ in lines), "listing": digest}

    def _relative(self, file: Path) -> str:
        name = file.relative_to(self._path).as_posix()
        try:
            name.encode()
        except UnicodeEncodeError:
            raise SourceError(f"the name of {name!r} below {self._path} is not UTF-8: rename it") from None
        return name

    def schema(self) -> pa.Schema:
        """Return the columns of a tree."""
        return SCHEMA

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield batches of at most 16 MB of content, each large file's `Blob` before the batch with its row."""
        rows: list[tuple[object, ...]] = []
        held = done = 0
        for file, stat in self._files:
            sha, content = self._take(file, stat)
            if content is None:
                yield Blob(file, sha, stat.st_size)
            rows.append(
                (
                    self._relative(file),
                    stat.st_size,
                    mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                    sha,
                    stat.st_mtime_ns,
                    content,
                    sha if content is None else None,
                )
            )
            held += len(content or b"")
            done += stat.st_size
            if held >= BATCH_BYTES or len(rows) >= BATCH_ROWS:
                yield _batch(rows)
                rows, held = [], 0
                if on_progress is not None:
                    on_progress(done, split.nbytes)
        if rows:
            yield _batch(rows)
        if on_progress is not None:
            on_progress(done, split.nbytes)

    def _take(self, file: Path, stat: os.stat_result) -> tuple[str, bytes | None]:
        try:
            with file.open("rb") as stream:
                if stat.st_size <= INLINE_BYTES:
                    content = stream.read()
                    require_unchanged(file, stat, os.fstat(stream.fileno()), len(content))
                    return hashlib.sha256(content).hexdigest(), content
                sha = hashlib.sha256()
                while chunk := stream.read(CHUNK):
                    sha.update(chunk)
                require_unchanged(file, stat, os.fstat(stream.fileno()))
                return sha.hexdigest(), None
        except OSError as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(f"{file} cannot be read: {error.strerror}") from error

    def position(self, split: Split) -> Position | None:
        """Return the digest of the listing that was read."""
        return split.position or self._listing()


def _batch(rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
