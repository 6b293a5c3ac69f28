"""Facts, questions and answers as Arrow tables, and as bytes: what is remembered in files, and what engines move.

Columns are of four kinds: `.high` and such, `key.entity`, `column.name`, and of answers `value.name`, `status.name`, `age.name`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.feature_store.definitions import FeatureView
from dataplat.feature_store.kernel.answer import Answer, one
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.facts import Facts

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

_FACTS: Final = ("high", "low", "e")
_TIES: Final = b"ties"


def facts_to_table(made: Facts, *, keys: bool = True) -> pa.Table:
    """Return facts as one table; without `keys` it has their digests alone, which is all that is searched for."""
    import pyarrow as pa

    columns: dict[str, Any] = {f".{name}": pa.array(getattr(made, name)) for name in _FACTS}
    if made.k is not made.e:
        columns[".k"] = pa.array(made.k)
    if made.keyless is not None:
        columns[".keyless"] = pa.array(made.keyless)
    if made.gone is not None:
        columns[".gone"] = pa.array(made.gone)
    if made.event is not None:
        columns |= {f".event{lane}": pa.array(np.ascontiguousarray(made.event[:, lane])) for lane in (0, 1)}
    if keys:
        columns |= {f"key.{name}": made.keys.column(name) for name in made.keys.schema.names}
    columns |= {f"column.{name}": made.columns.column(name) for name in made.columns.schema.names}
    return pa.table(columns)


def facts_from_table(table: pa.Table, view: FeatureView) -> Facts:
    """Return the facts of a view that a table holds."""
    names = table.schema.names

    def words(name: str) -> Any:
        column = table.column(name)
        return column.chunk(0).to_numpy(zero_copy_only=name != ".keyless") if column.num_chunks else np.asarray(column)

    def these(prefix: str, wanted: list[str]) -> pa.Table:
        there = [name for name in wanted if f"{prefix}.{name}" in names]
        return table.select([f"{prefix}.{name}" for name in there]).rename_columns(there)

    event = np.column_stack((words(".event0"), words(".event1"))) if ".event0" in names else None
    e = words(".e")
    return Facts(
        words(".high"),
        words(".low"),
        words(".keyless") if ".keyless" in names else None,
        e,
        words(".k") if ".k" in names else e,
        words(".gone") if ".gone" in names else None,
        event,
        these("key", [entity.name for entity in view.view.entities]),
        these("column", list(view.view.columns)),
    )


def ask_to_table(ask: Ask, rows: Ints) -> pa.Table:
    """Return questions, and the row of the spine that each is of, as a table."""
    import pyarrow as pa

    columns: dict[str, Any] = {".high": ask.high, ".low": ask.low, ".t": ask.t, ".row": rows}
    if ask.keyless is not None:
        columns[".keyless"] = ask.keyless
    return pa.table({name: pa.array(words) for name, words in columns.items()})


def ask_from_tables(tables: list[pa.Table]) -> tuple[Ask, Ints]:
    """Return the questions of tables, and the rows that they are of."""

    def joined(name: str) -> Any:
        return np.concatenate([np.asarray(table.column(name)) for table in tables])

    keyless = None
    if any(".keyless" in table.schema.names for table in tables):
        keyless = np.concatenate(
            [
                np.asarray(table.column(".keyless"))
                if ".keyless" in table.schema.names
                else np.zeros(table.num_rows, bool)
                for table in tables
            ]
        )
    return Ask(joined(".high"), joined(".low"), keyless, joined(".t")), joined(".row")


def answer_to_table(told: Answer, rows: Ints, *, ages: bool = True) -> pa.Table:
    """Return cells, and the row of the spine that each is of, as a table; its ties are in the metadata."""
    import pyarrow as pa

    columns: dict[str, Any] = {".row": pa.array(rows)}
    columns |= {f"value.{name}": column for name, column in told.columns.items()}
    columns |= {f"status.{name}": pa.array(codes, pa.int8()) for name, codes in told.statuses.items()}
    if ages:
        columns |= {f"age.{name}": pa.array(each) for name, each in told.ages.items()}
    return pa.table(columns).replace_schema_metadata({_TIES: str(told.ties).encode()})


def answer_from_table(table: pa.Table) -> tuple[Answer, Ints]:
    """Return the cells of a table, and the rows that they are of."""
    found = Answer(ties=int((table.schema.metadata or {}).get(_TIES, b"0")))
    for name, column in zip(table.schema.names, table.columns, strict=True):
        kind, _, feature = name.partition(".")
        if kind == "value":
            found.columns[feature] = one(column)
        elif kind == "status":
            found.statuses[feature] = np.asarray(column)
        elif kind == "age":
            found.ages[feature] = np.asarray(column)
    return found, np.asarray(table.column(".row"))


def packed(table: pa.Table) -> bytes:
    """Return a table as bytes."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=max(table.num_rows, 1))
    found: bytes = sink.getvalue().to_pybytes()
    return found


def unpacked(data: bytes) -> pa.Table:
    """Return the table that bytes hold."""
    import pyarrow as pa

    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()
