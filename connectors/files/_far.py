"""A file far away, read ahead in pieces, in one state from its first byte to its last."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataplat.connectors.source import Position
from dataplat.errors import ObjectNotFound, SourceError, StoreError

if TYPE_CHECKING:
    from dataplat.lake.stores._far_files import FarFiles, FarState

HEAD = (1 << 20) + (64 << 10)
"""Bytes of the first piece: what is looked at to tell the format and the types."""
TAIL = 256 << 10
"""Bytes of the last piece: the footers of Parquet, Arrow and zip files."""
PIECE = 8 << 20
AHEAD = 3
"""Pieces that are fetched before they are asked for."""
HELD = 6
"""Pieces of an open file that are held at most."""
_KEPT = 64


class Kept:
    """Beginnings and ends of files, which are looked at several times; a bounded number of them."""

    def __init__(self) -> None:
        self._pieces: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int]) -> bytes | None:
        """Return a piece, if it is still there."""
        return self._pieces.get(key)

    def keep(self, key: tuple[str, int], piece: bytes) -> None:
        """Keep a piece in the place of the one that was kept first."""
        with self._lock:
            self._pieces[key] = piece
            while len(self._pieces) > _KEPT:
                self._pieces.popitem(last=False)


@dataclass(frozen=True, slots=True)
class FarFile:
    """A file at an `s3://`, `gs://` or `hdfs://` URL, in the state in which it was found."""

    url: str
    files: FarFiles = field(compare=False, repr=False)
    state: FarState = field(compare=False)
    kept: Kept = field(compare=False, repr=False)
    _fetched: set[int] = field(default_factory=set, compare=False, repr=False)

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """Its last segment."""
        return self.url.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self.state.size

    @property
    def told(self) -> int:
        """Bytes of it that came so far, each counted once."""
        return sum(stop - start for start, stop in map(self.span, list(self._fetched)))

    def position(self) -> Position:
        """Return its fingerprint: size, and ETag, generation (with MD5) or time."""
        return {"size": self.size, **self.state.marks}

    def opened(self) -> FarReader:
        """Open it for reading, in any order."""
        return FarReader(self)

    @property
    def pieces(self) -> int:
        """In how many pieces it is fetched."""
        middle = self.size - HEAD - TAIL
        return (1 if self.size else 0) if middle <= 0 else 2 + -(-middle // PIECE)

    def span(self, number: int) -> tuple[int, int]:
        """Return the bytes of a piece."""
        last = self.pieces - 1
        if last == 0:
            return 0, self.size
        if number == last:
            return self.size - TAIL, self.size
        start = HEAD + (number - 1) * PIECE if number else 0
        return start, min(start + PIECE, self.size - TAIL) if number else HEAD

    def piece_at(self, offset: int) -> int:
        """Return the number of the piece that holds a byte."""
        if self.pieces == 1 or offset < HEAD:
            return 0
        return self.pieces - 1 if offset >= self.size - TAIL else 1 + (offset - HEAD) // PIECE

    def fetch(self, number: int) -> bytes:
        """Return a piece; raise `SourceError` where the file changed, is gone or cannot be read."""
        at = (self.url, number)
        if (kept := self.kept.get(at)) is not None:
            return kept
        from dataplat.lake.stores._far_files import FileChanged

        try:
            piece = self.files.get(self.state, *self.span(number))
        except FileChanged as error:
            raise SourceError(
                f"{self.url} changed while it was read: nothing was taken from it; ingest it again when its writer is done"
            ) from error
        except ObjectNotFound as error:
            raise SourceError(f"{self.url} was removed while it was read: nothing was taken from it") from error
        except StoreError as error:
            raise SourceError(f"{self.url} cannot be read: {error}") from error
        self._fetched.add(number)
        if number in {0, self.pieces - 1}:
            self.kept.keep(at, piece)
        return piece


def seen_before(held: Position, now: Position) -> str | None:
    """Return why a far file need not be read again; None where it must be."""
    if held.get("size") != now["size"]:
        return None
    for mark, same in (("etag", "ETag"), ("generation", "generation"), ("mtime_ms", "modification time")):
        if mark in now and held.get(mark) == now[mark]:
            return f"already ingested (same size and {same})"
    return "already ingested (same content)" if "md5" in now and held.get("md5") == now["md5"] else None


class FarReader(io.RawIOBase):
    """The bytes of a far file; what is read in order is fetched ahead, a few pieces at once."""

    def __init__(self, file: FarFile) -> None:
        self._far = file
        self._at = 0
        self._last = -1
        self._held: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None
        self.done = 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._far.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence], 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self.size or not len(buffer):
            return 0
        number = self._far.piece_at(self._at)
        piece = self._piece(number)
        begin = self._at - self._far.span(number)[0]
        n = min(len(buffer), len(piece) - begin)
        memoryview(buffer)[:n] = memoryview(piece)[begin : begin + n]
        self._at += n
        self.done = max(self.done, self._at)
        return n

    def _piece(self, number: int) -> bytes:
        if number not in self._held and (number == 0 or self._far.pieces == 1):
            self._held[number] = Future()
            try:
                self._held[number].set_result(self._far.fetch(number))
            except BaseException:
                del self._held[number]
                raise
        self._submit(number)
        if number and number in {self._last, self._last + 1}:
            for later in range(number + 1, min(number + 1 + AHEAD, self._far.pieces)):
                self._submit(later)
        self._last = number
        self._held.move_to_end(number)
        for other in list(self._held):
            if len(self._held) > HELD and not number <= other <= number + AHEAD:
                self._held.pop(other).cancel()
        return self._held[number].result()

    def _submit(self, number: int) -> None:
        if number in self._held:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AHEAD + 1, thread_name_prefix="dataplat-far")
        self._held[number] = self._pool.submit(self._far.fetch, number)

    def position(self) -> Position:
        """Return the file's fingerprint: every piece was read in that state."""
        return self._far.position()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._held.clear()
        super().close()
