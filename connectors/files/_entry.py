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

from dataplat.connectors.files._far import FarFile, FarReader
from dataplat.connectors.files._stream import HashingFile, damage, decompressed
from dataplat.errors import SourceError

_BUFFER = 64 << 10


def opened(path: Path | FarFile) -> HashingFile | FarReader:
    """Open a file to be read from its beginning."""
    return path.opened() if isinstance(path, FarFile) else HashingFile(path)


@contextmanager
def archived(path: Path | FarFile) -> Iterator[zipfile.ZipFile]:
    """Open a zip file."""
    if not isinstance(path, FarFile):
        with zipfile.ZipFile(path) as archive:
            yield archive
        return
    with io.BufferedReader(path.opened(), _BUFFER) as file, zipfile.ZipFile(file) as archive:
        yield archive


@dataclass(frozen=True, slots=True)
class Entry:
    """A file at `path`, or its zip `member`; `compression` is None or how the bytes of it are compressed."""

    path: Path | FarFile
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
    def stream(self, raw: HashingFile | FarReader | None = None) -> Iterator[IO[bytes]]:
        """Open the uncompressed bytes; `raw` is the file opened already, to be read on."""
        if self.member is not None:
            with archived(self.path) as archive, archive.open(self.member) as stream:
                yield stream
            return
        file = raw or opened(self.path)
        try:
            yield decompressed(file, self.compression) if self.compression else file  # type: ignore[misc]
        finally:
            if raw is None:
                file.close()

    @contextmanager
    def seekable(self) -> Iterator[Path | IO[bytes]]:
        """Give what can be read in any order: the path of a file, a file far away, or a copy of what one holds compressed."""
        plain = self.compression is None and self.member is None
        if plain and isinstance(self.path, FarFile):
            with io.BufferedReader(self.path.opened(), _BUFFER) as file:
                yield file
            return
        if plain and isinstance(self.path, Path):
            yield self.path
            return
        with self.copied() as path:
            yield path

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Give the path of a plain file on this machine: the file itself, or a temporary copy."""
        if self.compression is None and self.member is None and isinstance(self.path, Path):
            yield self.path
            return
        with self.copied() as path:
            yield path

    @contextmanager
    def copied(self) -> Iterator[Path]:
        """Give the path of a temporary copy of the uncompressed bytes."""
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
