"""One pass over the input."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataplat.connectors.files import open_source
from dataplat.connectors.source import Item, Position, Progress, Split
from dataplat.ingest._pass import Pass
from dataplat.ingest._progress import Meter
from dataplat.lake.objects import Stage
from dataplat.lake.stores import MemoryStore

SCHEMA = pa.schema([("a", pa.int64())])


class FullSink:
    """A sink that takes nothing."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Fail."""
        raise OSError(28, f"no room for {batch.num_rows} rows")


class OpenSource:
    """A source that knows whether it is being read."""

    name = "open"
    is_open = False

    def plan(self, _positions: Any) -> list[Split]:
        """Return one split."""
        return [Split("", "open")]

    def schema(self) -> pa.Schema:
        """Return one column."""
        return SCHEMA

    def read(self, _split: Split, _on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield one batch, twice."""
        self.is_open = True
        try:
            yield pa.record_batch([pa.array([1])], schema=SCHEMA)
            yield pa.record_batch([pa.array([1])], schema=SCHEMA)
        finally:
            self.is_open = False

    def position(self, _split: Split) -> Position | None:
        """Return none."""
        return None


def begin(schema: pa.Schema) -> Pass:
    """Return a pass into a full disk."""
    sink: Any = FullSink()
    return Pass.begin(Stage(MemoryStore()), schema, sink, None, Meter(None), (), rejecting=True)


def test_a_source_is_closed_when_its_consumer_fails() -> None:
    """While the error is on its way, and its traceback holds every frame, nothing of the source is open."""
    source = OpenSource()
    with pytest.raises(OSError, match="no room") as failed:
        begin(SCHEMA).read(source, source.plan({}))
    assert failed.value.__traceback__ is not None
    assert not source.is_open


def test_no_thread_outlives_a_failed_pass(tmp_path: Path) -> None:
    """The threads that parse a file are gone."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n" + b"1234567\n" * 1_000_000)
    source = open_source(path)
    with pytest.raises(OSError, match="no room"):
        begin(SCHEMA).read(source, source.plan({}))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("dataplat-parse")] == []
