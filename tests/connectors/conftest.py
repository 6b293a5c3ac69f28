"""Read a source as an ingestion does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: F401 (else pyarrow has no Python value for nanoseconds, once sources keep pandas out)
import pyarrow as pa
import pytest

from dataplat.connectors.files import open_source
from dataplat.connectors.source import Blob, Position, Rejects, SchemaWidened, Source, Split


@dataclass
class Landed:
    """What came out of a source."""

    source: Source
    splits: list[Split]
    schema: pa.Schema
    table: pa.Table
    rejects: list[dict[str, Any]]
    positions: dict[str, Position | None]
    blobs: list[Blob] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    @property
    def types(self) -> dict[str, str]:
        """The types by column, as Arrow writes them."""
        return {field.name: str(field.type) for field in self.schema}


def read_all(source: Source, positions: dict[str, Position | None] | None = None) -> Landed:
    """Plan, read, start over where types widen, as `connectors/source.py` asks."""
    splits = source.plan(positions or {})
    wanted = [split for split in splits if split.skipped is None]
    schema = source.schema() if wanted else pa.schema([])
    widened: list[str] = []
    while True:
        batches, rejects, blobs = [], [], []
        try:
            for split in wanted:
                for item in source.read(split):
                    if isinstance(item, Rejects):
                        assert len(item) > 0
                        rejects += item.batch.to_pylist()
                    elif isinstance(item, Blob):
                        blobs.append(item)
                    else:
                        assert item.schema.equals(schema)
                        item.validate(full=True)
                        batches.append(item)
            break
        except SchemaWidened as signal:
            widened.append(signal.reason)
            before, schema = schema, signal.schema
        assert schema.equals(source.schema())
        assert not schema.equals(before)
    table = pa.Table.from_batches(batches, schema=schema)
    positions = {split.source: source.position(split) for split in splits}
    return Landed(source, splits, schema, table, rejects, positions, blobs, widened)


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., Landed]:
    """Return a function that writes bytes to a file, reads it as a source, and returns what came out."""

    def land(content: bytes | str, name: str = "in.csv", **options: Any) -> Landed:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_all(open_source(path, **options))

    return land


@pytest.fixture
def read_source() -> Callable[..., Landed]:
    """Return a function that reads an open source to its end."""
    return read_all
