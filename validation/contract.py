"""A contract: a pandera schema that data must meet before it reaches a branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandera.polars
import polars as pl
import pyarrow as pa

from dataplat.errors import ContractError
from dataplat.validation._compile import Plan, check_name, compile_plan
from dataplat.validation._dataset import DatasetChecker
from dataplat.validation._identity import contract_id
from dataplat.validation._rows import check_rows, fault_text
from dataplat.validation._unique import Scan
from dataplat.validation.report import Report, Tally
from dataplat.validation.verdict import BatchVerdict

DEFAULT_MEMORY_LIMIT = 2 << 30


class Contract:
    """A pandera polars schema with a stable `id`, evaluated on batches and on datasets.

    Row checks (built-ins, `element_wise` ones) are asked of each batch, once; checks that need all rows (`unique`,
    other custom checks) of the dataset as it would be. A check that could not be evaluated fails the contract.
    Verdicts are pandera's own (`lazy=True`, polars backend, values included).

    Args:
        name: what reports call it.
        schema: a `DataFrameSchema` or `DataFrameModel` of `pandera.polars`.

    Raises:
        ContractError: the schema changes data (`coerce`, `default`, ...), or no value could ever meet it.
    """

    __slots__ = ("_plans", "id", "name", "schema")

    def __init__(self, name: str, schema: Any) -> None:
        self.name = name
        self.schema: pandera.polars.DataFrameSchema = _as_schema(name, schema)
        _refuse_transforms(name, self.schema)
        _refuse_contradictions(name, self.schema)
        self.id = contract_id(name, self.schema)
        self._plans: dict[pa.Schema, Plan] = {}

    def __repr__(self) -> str:
        checks = sum(len(column.checks) for column in self.schema.columns.values()) + len(self.schema.checks)
        return f"<Contract {self.name} {self.id[:12]}: {len(self.schema.columns)} columns, {checks} checks>"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it speaks of (patterns left out)."""
        return tuple(name for name, column in self.schema.columns.items() if not column.regex)

    def types(self) -> dict[str, pa.DataType]:
        """Return the Arrow type that it asks for by column, where there is one: a hint for reading text."""
        types = {}
        for name in self.columns:
            dtype = getattr(self.schema.columns[name].dtype, "type", None)
            if dtype is not None and dtype not in {pl.Categorical, pl.Enum, pl.Object}:
                try:
                    arrow = pl.Series([], dtype=dtype).to_arrow().type
                except Exception:  # noqa: BLE001, S112 - a hint only; the check itself speaks later
                    continue
                types[name] = pa.string() if arrow in {pa.large_string(), pa.string_view()} else arrow
        return types

    def check_batch(self, batch: pa.RecordBatch, key: Sequence[str] = ()) -> BatchVerdict:
        """Evaluate schema and row checks on `batch`; its examples name the `key` columns."""
        return check_rows(self._plan(batch.schema), batch, [name for name in key if name in batch.schema.names])

    def check_dataset(
        self,
        scan: Scan,
        schema: pa.Schema,
        *,
        key: Sequence[str] = (),
        tally: Tally | None = None,
        fresh: Scan | None = None,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
    ) -> Report:
        """Evaluate what needs all rows, on the dataset as it would be, and sum up.

        Args:
            scan: reads the named columns, in the same row order each time; may be called several times, or never.
            schema: of the dataset.
            key: columns by which examples name a row.
            tally: what row checks found on the new batches. Without it they are evaluated here, on all rows,
            fresh: or on those that this reads, where the others are known to pass them.
            memory_limit: decoded bytes that one custom check may read; beyond, it could not be checked.
        """
        plan = self._plan(schema)
        named = [name for name in key if name in schema.names]
        if tally is None:
            tally = Tally()
            read = [name for name in schema.names if name in {*plan.columns, *named}]
            for batch in (fresh or scan)(read or schema.names[:1]):
                tally.add(check_rows(plan, batch, named))
        checker = DatasetChecker(plan, scan, named, memory_limit)
        whole = checker.run()
        shape = () if tally.outcomes else plan.shape
        return Report(
            contract=self.name,
            contract_id=self.id,
            rows=max(checker.rows, tally.rows),
            new_rows=tally.rows,
            checks=(*shape, *tally.outcomes, *whole),
        )

    def validate(self, data: Any, *, key: Sequence[str] = ()) -> Report:
        """Evaluate everything on a table in memory: Arrow, polars or pandas."""
        table = data if isinstance(data, pa.Table) else pa.table(data)
        return self.check_dataset(lambda columns: iter(table.select(columns).to_batches()), table.schema, key=key)

    def _plan(self, schema: pa.Schema) -> Plan:
        plan = self._plans.get(schema)
        if plan is None:
            try:
                plan = compile_plan(self.schema, schema)
            except Exception as error:
                raise ContractError(
                    f"contract {self.name} cannot be evaluated on columns {', '.join(schema.names)}: {fault_text(error)}"
                ) from error
            self._plans[schema] = plan
        return plan


def _as_schema(name: str, schema: Any) -> pandera.polars.DataFrameSchema:
    if isinstance(schema, pandera.polars.DataFrameSchema):
        return schema
    if isinstance(schema, type) and issubclass(schema, pandera.polars.DataFrameModel):
        try:
            return schema.to_schema()
        except Exception as error:
            raise ContractError(f"contract {name}: pandera cannot build its schema: {fault_text(error)}") from error
    what = f"{type(schema).__module__}.{type(schema).__qualname__}"
    raise ContractError(
        f"contract {name} is no pandera polars model or schema but {schema!r} ({what}); "
        "declare it with `import pandera.polars as pa` and `pa.DataFrameModel` or `pa.DataFrameSchema`"
    )


def _refuse_transforms(name: str, schema: Any) -> None:
    """A contract judges data; what would change it belongs before the contract, where it is seen and recorded."""
    found = [
        f"{option}={getattr(schema, option)!r}"
        for option, plain in (("coerce", False), ("add_missing_columns", False), ("drop_invalid_rows", False))
        if getattr(schema, option, plain) != plain
    ]
    if schema.strict == "filter":
        found.append("strict='filter'")
    if getattr(schema, "parsers", None):
        found.append("parsers")
    for column in schema.columns.values():
        found += [
            f"{option}={getattr(column, option)!r} of column {column.name!r}"
            for option, plain in (("coerce", False), ("default", None), ("drop_invalid_rows", False))
            if getattr(column, option, plain) != plain
        ]
        found += [f"parsers of column {column.name!r}"] if getattr(column, "parsers", None) else []
    if found:
        raise ContractError(
            f"contract {name} would change data, not only judge it: {'; '.join(found)}; "
            "take it out, and let ingest read the types with --schema"
        )


_LOWER = {"greater_than": True, "greater_than_or_equal_to": False}
_UPPER = {"less_than": True, "less_than_or_equal_to": False}


def _refuse_contradictions(name: str, schema: Any) -> None:
    for column in schema.columns.values():
        lower = [(check, strict) for check in column.checks if (strict := _LOWER.get(_kind(check))) is not None]
        upper = [(check, strict) for check in column.checks if (strict := _UPPER.get(_kind(check))) is not None]
        for low, low_strict in lower:
            for high, high_strict in upper:
                bottom, top = low._check_kwargs["min_value"], high._check_kwargs["max_value"]  # noqa: SLF001
                if _crossed(bottom, top, touching=low_strict or high_strict):
                    raise ContractError(
                        f"contract {name}: no value of column {column.name!r} can meet both "
                        f"{check_name(low)} and {check_name(high)}"
                    )


def _kind(check: Any) -> str:
    return str(check._check_fn)  # noqa: SLF001


def _crossed(bottom: Any, top: Any, *, touching: bool) -> bool:
    try:
        return bool(bottom > top or (touching and bottom == top))
    except TypeError:  # bounds of different types: pandera will say so on data
        return False
