"""Streaming queries of tests: files in, one a batch, and a lake out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class Batches:
    """A folder whose files are the batches of a stream, and queries that read them into a lake."""

    def __init__(self, spark: Any, folder: Path, schema: str = "n long, s string") -> None:
        self.spark, self.folder, self.schema = spark, folder, schema
        self.input = folder / "input"
        self.input.mkdir()
        self.lake = str(folder / "lake")

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add a batch."""
        number = len(list(self.input.iterdir()))
        made = self.input / f"{number:04}.json"
        made.write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.utime(made, (1_700_000_000 + number,) * 2)  # Spark takes files in the order of their times

    def frame(self) -> Any:
        """Return the stream."""
        return self.spark.readStream.schema(self.schema).option("maxFilesPerTrigger", 1).json(str(self.input))

    def run(
        self, into: str, checkpoint: str = "checkpoint", *, frame: Any = None, output: str = "append", **options: str
    ) -> None:
        """Let a query land what it has not yet; raise what ended it."""
        stream = (self.frame() if frame is None else frame).writeStream.format("dataplat").outputMode(output)
        stream = stream.option("lake", self.lake).option("checkpointLocation", str(self.folder / checkpoint))
        query = stream.options(**options).trigger(availableNow=True).start(into)
        query.awaitTermination()

    def forget_last(self, checkpoint: str = "checkpoint") -> int:
        """Have Spark not know that its last batch is done, as if it was killed before it wrote that; return its number."""
        commits = self.folder / checkpoint / "commits"
        last = max(int(path.name) for path in commits.iterdir() if path.name.isdecimal())
        for path in (commits / str(last), commits / f".{last}.crc"):
            path.unlink(missing_ok=True)
        return last
