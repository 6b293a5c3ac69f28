"""From parsed blocks to what a reader yields: rows in order, rejects with their place, or wider types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import pyarrow as pa

from dataplat.connectors.files._options import Typing
from dataplat.connectors.files._rejects import shift_rows
from dataplat.connectors.files._tolerant import Parsed
from dataplat.connectors.files._types import join
from dataplat.connectors.source import Rejects, SchemaWidened


class Parser(Protocol):
    """What parses blocks, in other threads."""

    def retype(self, schema: pa.Schema) -> None:
        """Parse blocks to come with these types."""
        ...


def landed(results: Iterable[Parsed], parser: Parser, typing: Typing) -> Iterator[pa.RecordBatch | Rejects]:
    """Yield rows and rejects in order; raise `SchemaWidened` where types have to widen.

    It is raised at once, since a column mostly widens early and once; with `typing.settle` only after the rest of the
    text had its say as well, so that an input of many surprises is not begun again for each of them.
    """
    rows = 0
    pending: SchemaWidened | None = None
    for parsed in results:
        if parsed.widened is not None:
            if not typing.settle:
                raise parsed.widened
            pending = parsed.widened if pending is None else _both(pending, parsed.widened)
            parser.retype(pending.schema)
        elif pending is None:
            if parsed.rejects is not None:
                yield shift_rows(parsed.rejects, rows)
            yield from parsed.batches
            rows += parsed.records
    if pending is not None:
        raise pending


def _both(first: SchemaWidened, second: SchemaWidened) -> SchemaWidened:
    """Return the types that hold what both ask for; what has no type together stays as it came first."""
    schema = first.schema
    for field in second.schema:
        at = schema.get_field_index(field.name)
        if at < 0:
            schema = schema.append(field)
        else:
            kind = join(schema.field(at).type, field.type)
            schema = schema if kind is None else schema.set(at, pa.field(field.name, kind))
    return SchemaWidened(schema, f"{first.reason}; {second.reason}")
