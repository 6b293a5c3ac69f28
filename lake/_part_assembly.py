"""Puts encoded row groups together to parts, in the order of the rows, hashing on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from dataplat.lake._part_encode import RowGroup
from dataplat.lake._part_footer import MAGIC, join_footers
from dataplat.lake._stats import combined
from dataplat.lake.objects import Stage
from dataplat.lake.part import Part
from dataplat.lake.stores._durable import explained

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX: Final = ".parquet"
_IN_MEMORY: Final = 4 << 20  # bytes up to which a part is handed over as bytes, not as a file


class Assembly:
    """One part in the making. Row groups come in order; pages go to memory, then to a file of the stage."""

    def __init__(self, stage: Stage, schema: pa.Schema) -> None:
        self._stage = stage
        self._schema = schema
        self._hash = hashlib.sha256(MAGIC)
        self._held: list[bytes | memoryview] = [MAGIC]
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._groups: list[RowGroup] = []
        self._offsets: list[int] = []
        self.rows = 0
        self.size = len(MAGIC)

    def append(self, group: RowGroup) -> None:
        """Add one row group."""
        self._offsets.append(self.size)
        self._write(group.pages)
        self._groups.append(replace(group, pages=memoryview(b"")))
        self.rows += group.rows

    def finish(self) -> Part:
        """Write the footer, hand the object to the stage and return its part."""
        end = join_footers([group.footer for group in self._groups], self._offsets)
        self._write(end)
        object_id = self._hand_over()
        return Part(
            id=object_id,
            rows=self.rows,
            size=self.size,
            footer=hashlib.sha256(end).hexdigest(),
            digest=reduce(add, (group.digest for group in self._groups)),
            stats=combined(((group.rows, group.stats) for group in self._groups), self._schema),
        )

    def abandon(self) -> None:
        """Remove what was written so far."""
        if self._file is not None and self._path is not None:
            with suppress(OSError):  # what was still to be written may not fit any more
                self._file.close()
            self._path.unlink(missing_ok=True)
            self._file = None

    def _write(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)
        if self._file is None and self.size <= _IN_MEMORY:
            self._held.append(data)
            return
        if self._path is None:
            self._path = self._stage.new_file(SUFFIX)
        with _explained(self._path):
            if self._file is None:
                self._file = self._path.open("wb")
                self._file.writelines(self._held)
                self._held = []
            self._file.write(data)

    def _hand_over(self) -> str:
        object_id = self._hash.hexdigest()
        if self._file is None or self._path is None:
            return self._stage.put(b"".join(self._held), SUFFIX)
        with _explained(self._path):
            self._file.close()
        self._file = None
        self._stage.put_file(self._path, object_id, SUFFIX)
        return object_id


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what an error in writing means: a full disk is no defect."""
    try:
        yield
    except OSError as error:
        raise explained(error, f"write {path}") from error
