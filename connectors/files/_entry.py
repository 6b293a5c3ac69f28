"""One readable thing: a file, or a member of a zip file."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dataplat.connectors.files._stream import HashingFile, damage, decompressed
from dataplat.errors import SourceError


@dataclass(frozen=True, slots=True)
class Entry:
    """A file at `path`, or its zip `member`; `compression` is None or how the bytes of it are compressed."""

    path: Path
    format: str
    compression: str | None = None
    member: str | None = None
    shown: str | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        name = self.shown or str(self.path)
        return f"{name}:{self.member}" if self.member else name

    @contextmanager
    def stream(self, raw: HashingFile | None = None) -> Iterator[IO[bytes]]:
        """Open the uncompressed bytes; `raw` is the file opened already, to be read on."""
        if self.member is not None:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                yield stream
            return
        file = raw or HashingFile(self.path)
        try:
            yield decompressed(file, self.compression) if self.compression else file  # type: ignore[misc]
        finally:
            if raw is None:
                file.close()

    @contextmanager
    def seekable(self) -> Iterator[Path]:
        """Give the path of a plain file: the file itself, or a temporary copy of what it holds compressed."""
        if self.compression is None and self.member is None:
            yield self.path
            return
        with tempfile.NamedTemporaryFile(suffix=f".{self.format}") as copy:
            with self.stream() as stream:
                _copy(stream, copy.file, self.label)
            copy.flush()
            yield Path(copy.name)


def _copy(stream: IO[bytes], target: IO[bytes], label: str) -> None:
    done = 0
    while True:
        try:
            chunk = stream.read(io.DEFAULT_BUFFER_SIZE << 6)
        except damage() as error:
            raise SourceError(
                f"{label} is truncated or damaged: it cannot be read beyond byte {done:,} of its content: {error}"
            ) from error
        if not chunk:
            return
        target.write(chunk)
        done += len(chunk)
