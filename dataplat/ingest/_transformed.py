"""A source whose rows are changed as a contract asks before anything sees them."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dataplat.connectors.source import Item, Position, Progress, Rejects, Split, rejects_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.connectors.source import Source
    from dataplat.validation._pandas_transform import PandasTransform
    from dataplat.validation._transform import Transform, Uncoercible


class Transformed:
    """Another source's rows, coerced and filled; rows with a value that cannot be coerced are rejects, as JSON."""

    def __init__(self, source: Source, transform: Transform | PandasTransform) -> None:
        self._source = source
        self._transform = transform

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def is_text(self) -> bool:
        """Whether the source is text."""
        return self._source.is_text

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the source's plan."""
        return self._source.plan(positions)

    def schema(self) -> pa.Schema:
        """Return the schema of the rows as they are to land."""
        return self._transform.arrow_schema(self._source.schema())

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield what the source yields, its rows changed."""
        import pyarrow as pa

        rows = 0
        items = self._source.read(split, on_progress)
        for item in _at_once(items, split) if self._transform.whole else items:
            if not isinstance(item, pa.RecordBatch):
                yield item
                continue
            batch: pa.RecordBatch = item
            changed, bad = self._transform.apply(batch)
            if bad:
                yield _rejects(batch, bad, split, rows)
            yield changed
            rows += batch.num_rows

    def position(self, split: Split) -> Position | None:
        """Return the source's position."""
        return self._source.position(split)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def _at_once(items: Iterable[Item], split: Split) -> Generator[Item, None, None]:
    """Yield the rows of a split as one batch, after all else; raise `ContractError` where they do not fit in memory."""
    import pyarrow as pa

    from dataplat.errors import ContractError
    from dataplat.validation.rules import Context

    batches: list[pa.RecordBatch] = []
    size, limit = 0, Context().memory_limit
    for item in items:
        if not isinstance(item, pa.RecordBatch):
            yield item
            continue
        batch: pa.RecordBatch = item
        size += batch.nbytes
        if size > limit:
            raise ContractError(
                f"a parser of the contract sees all rows at once, and those of {split.label} are more than the memory "
                f"limit of {limit:,} bytes: make it element_wise, or land smaller files"
            )
        batches.append(batch)
    if batches:
        yield from pa.Table.from_batches(batches).combine_chunks().to_batches()


def _rejects(batch: pa.RecordBatch, bad: list[Uncoercible], split: Split, before: int) -> Rejects:
    import pyarrow as pa

    first = {each.row: each for each in reversed(bad)}  # a row is one reject, with its first wrong value
    rows = sorted(first)
    raw = batch.take(pa.array(rows, pa.int64())).to_pylist()
    columns = {
        "source": [split.source or split.label] * len(rows),
        "line": [None] * len(rows),
        "row": [before + row + 1 for row in rows],
        "offset": [None] * len(rows),
        "column": [first[row].column for row in rows],
        "error": [first[row].error for row in rows],
        "raw": [json.dumps(each, default=str, ensure_ascii=False).encode() for each in raw],
    }
    return Rejects(pa.RecordBatch.from_pydict(columns, schema=rejects_schema()))
