"""The content of many files, each with its digest, read side by side. Loads nothing heavy: `status` reads one file by it."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat.errors import SourceError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dataplat.connectors.files._folder import Listing

INLINE_BYTES = 1_000_000
"""Files up to this size lie as bytes in their rows; larger ones are objects."""
_BLOCK: Final = 1 << 20
_THREADS: Final = 2
_CHUNK_FILES: Final = 256
_CHUNK_BYTES: Final = 4 << 20
_CHUNKS_AHEAD: Final = 4


Taken: TypeAlias = "tuple[int, str, bytes | None]"
"""A file as it was read: its number, its SHA-256, its content, which of a large one is None. Of tuples a million is cheap."""


def read_files(files: Listing, todo: list[int]) -> Iterator[Taken]:
    """Yield the files of these numbers in order, each with its digest; the next are read meanwhile, two at once.

    Raises:
        SourceError: One cannot be read, or is not what the listing says of it any more.
    """
    chunks = _chunks(files, todo)
    first, second = next(chunks, None), next(chunks, None)
    if second is None:
        yield from [] if first is None else _read_chunk(files, first)
        return
    assert first is not None
    yield from _read_ahead(files, chain([first, second], chunks))


def _read_ahead(files: Listing, chunks: Iterable[list[int]]) -> Iterator[Taken]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="dataplat-files") as pool:
        waiting: deque[Future[list[Taken]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_read_chunk, files, chunk))
                if len(waiting) > _CHUNKS_AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _chunks(files: Listing, todo: list[int]) -> Iterator[list[int]]:
    """Cut what is to be read into pieces of few files and bytes; a large file ends its piece."""
    chunk: list[int] = []
    nbytes = 0
    for number in todo:
        chunk.append(number)
        nbytes += files.sizes[number]
        if len(chunk) >= _CHUNK_FILES or nbytes >= _CHUNK_BYTES:
            yield chunk
            chunk, nbytes = [], 0
    if chunk:
        yield chunk


def _read_chunk(files: Listing, numbers: list[int]) -> list[Taken]:
    taken = list[Taken]()
    for number in numbers:
        path = f"{files.root}/{files.names[number]}"
        try:
            file = os.open(path, os.O_RDONLY)
            try:
                taken.append((number, *_take(file, path, files.sizes[number], files.times[number])))
            finally:
                os.close(file)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    return taken


def _take(file: int, path: str, size: int, modified: int) -> tuple[str, bytes | None]:
    """Return the digest of an open file, and its bytes if they are few; raise `SourceError` where it changes meanwhile."""
    if size <= INLINE_BYTES:
        content = os.read(file, size + 1)
        while len(content) < size and (more := os.read(file, size + 1 - len(content))):
            content += more
        _refuse_change(file, path, size, modified, len(content))
        return hashlib.sha256(content).hexdigest(), content
    sha, done = hashlib.sha256(), 0
    while chunk := os.read(file, _BLOCK):
        sha.update(chunk)
        done += len(chunk)
    _refuse_change(file, path, size, modified, done)
    return sha.hexdigest(), None


def _refuse_change(file: int, path: str, size: int, modified: int, done: int) -> None:
    after = os.fstat(file)
    if (after.st_size, after.st_mtime_ns, done) != (size, modified, size):
        from dataplat.connectors.files._stream import changed

        raise changed(path, size, after.st_size)
