"""A question in SQL."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dataplat.errors import ContractError
from dataplat.validation.report import EXAMPLES_PER_CHECK, CheckOutcome, Example, Severity
from dataplat.validation.rules._asked import Asked, Settled

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject

_DATA: Final = "data"
_PLACE: Final = "{data}"
_LONGEST: Final = 200
_NAME: Final = 60


@dataclass(frozen=True)
class SqlCheck(Asked):
    """A SELECT over the data gives no row, or one true."""

    word: ClassVar[str] = "sql_check"
    reads_parts: ClassVar[bool] = False

    sql: str
    title: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if _PLACE not in self.sql:
            raise ContractError(
                f"sql_check: {_PLACE} stands for the data, and this query does not read it: {self.sql!r}"
            )
        _tree(self._text)

    @property
    def name(self) -> str:
        """What it was called, else the query."""
        text = self.title or f"{self.word}({' '.join(self.sql.split())})"
        return text if len(text) <= _NAME else text[: _NAME - 1] + "…"

    @property
    def column(self) -> None:
        """It is about no column alone."""

    @property
    def _text(self) -> str:
        return self.sql.replace(_PLACE, _DATA)

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome; the rows of the columns that the query names are read, and spilt where memory is short."""
        columns = _columns(_tree(self._text), subject.schema.names)
        with (
            tempfile.TemporaryDirectory(prefix="dataplat-sql-") as folder,
            _connect(folder, context.memory_limit) as engine,
        ):
            engine.register("__rows", _reader(subject, columns))
            engine.execute(f"create table {_DATA} as select * from __rows")
            engine.unregister("__rows")
            engine.execute("set enable_external_access = false")
            engine.execute("set lock_configuration = true")
            found = engine.sql(self._text).to_arrow_reader(65_536)
            return self._judged(subject, found)

    def _judged(self, subject: Subject, found: pa.RecordBatchReader) -> CheckOutcome:
        import pyarrow as pa

        settled: Settled = (("scanned", subject.rows),)
        names = found.schema.names
        one = len(names) == 1 and pa.types.is_boolean(found.schema.types[0])
        failing = 0
        first: list[dict[str, Any]] = []
        for batch in found:
            failing += batch.num_rows
            first += batch.slice(0, EXAMPLES_PER_CHECK - len(first)).to_pylist()
        if one and failing == 1:
            (value,) = first[0].values()
            ok = value is True
            return self.outcome(subject, ok=ok, detail="" if ok else f"it is {_spelt(value)}", settled=settled)
        shown = tuple(Example(None, _spelt(row)) for row in first)
        return self.outcome(subject, ok=not failing, failing=failing, examples=shown, settled=settled)


def sql_check(
    sql: str,
    *,
    name: str | None = None,
    severity: Severity | None = None,
    environment: str | None = None,
) -> SqlCheck:
    """A SELECT that finds the failing rows (none: it passes), or says in one boolean whether the data is right.

    `dp.sql_check("select * from {data} where arrived < departed")`; `{data}` stands for the data. One row with one boolean
    is the verdict, null is not true. DuckDB runs it, in a bounded memory beyond which it spills to a temporary folder, on the
    columns that the query names. It reads nothing else: no file, no other table. It is asked of all rows of each new
    version, as nobody can say what a query makes of a part; its answer for a version is remembered, so it must not look at
    the clock or at random numbers.

    Args:
        sql: one SELECT statement, in DuckDB's SQL.
        name: what reports call it; None: the query.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: it is not one SELECT, or does not read `{data}`.
    """
    return SqlCheck(sql, name, severity=severity, environment=environment)


def _tree(text: str) -> Any:
    """Return what DuckDB's parser makes of one SELECT; raise `ContractError` for anything else."""
    import duckdb

    with duckdb.connect() as engine:
        [(answer,)] = engine.execute("select json_serialize_sql(?::varchar)", [text]).fetchall()
    tree = json.loads(answer)
    if tree["error"]:
        foreign = tree.get("error_type") == "not implemented"
        what = "is not one SELECT alone" if foreign else f"cannot be read ({tree['error_message']})"
        raise ContractError(f"sql_check: a query that {what}: {text!r}")
    writes = any(str(node.get("type")).endswith("_QUERY_NODE") for node in _nodes(tree))  # in a WITH
    if len(tree["statements"]) != 1 or writes:
        raise ContractError(f"sql_check: a query that is not one SELECT alone: {text!r}")
    return tree


def _columns(tree: Any, names: list[str]) -> list[str]:
    """Return the columns that a query may use: all where that cannot be told, one, if none, to count rows by."""
    by_word = {name.casefold(): name for name in names}
    found: set[str] = set()
    for node in _nodes(tree):
        parts = [part.casefold() for part in node.get("column_names", ())]
        whole_row = len(parts) == 1 and parts[0] not in by_word  # or a name that the query gives
        if node.get("type") == "STAR" or node.get("ref_type") == "NATURAL" or whole_row:
            return names
        words = [*parts, *(word.casefold() for word in node.get("using_columns", ()))]
        found.update(by_word[word] for word in words if word in by_word)
    return [name for name in names if name in found] or names[:1]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for each in tree:
            yield from _nodes(each)
    elif isinstance(tree, dict):
        yield tree
        for each in tree.values():
            yield from _nodes(each)


def _connect(folder: str, memory_limit: int) -> duckdb.DuckDBPyConnection:
    import duckdb

    engine = duckdb.connect(
        config={
            "memory_limit": f"{memory_limit // 1024}KiB",
            "temp_directory": folder,
            "max_temp_directory_size": "20GB",
            "python_enable_replacements": False,
            "threads": 1,  # so that sums of floats come out alike each time
        }
    )
    engine.execute("set TimeZone = 'UTC'")
    return engine


def _reader(subject: Subject, columns: list[str]) -> pa.RecordBatchReader:
    import pyarrow as pa

    kinds = pa.schema([(name, subject.schema.field(name).type) for name in columns])
    batches = (batch.cast(kinds) for batch in subject.scan(columns))
    return pa.RecordBatchReader.from_batches(kinds, batches)


def _spelt(value: Any) -> str:
    return "null" if value is None else str(value)[:_LONGEST]
