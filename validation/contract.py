"""A contract: a pandera schema and rules that data must meet before it reaches a branch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandera.polars
import polars as pl
import pyarrow as pa

from dataplat.errors import ContractError
from dataplat.lake.engine import Engine, Local
from dataplat.validation._beside import Beside
from dataplat.validation._compile import Plan, compile_plan
from dataplat.validation._contradictions import refuse_contradictions
from dataplat.validation._dataset import DatasetChecker
from dataplat.validation._environment import asked_in, not_asked
from dataplat.validation._failures import Failures
from dataplat.validation._identity import contract_id
from dataplat.validation._judge import Came, Judge
from dataplat.validation._memory import Memory
from dataplat.validation._pandas import PandasSchema, arrow_type, is_pandas
from dataplat.validation._pandas_transform import PandasTransform, judging
from dataplat.validation._rows import FAULTS, check_rows, fault_text
from dataplat.validation._rules import ask_rules
from dataplat.validation._spread import once
from dataplat.validation._transform import Transform, parted
from dataplat.validation.report import CheckOutcome, Report, Severity
from dataplat.validation.rules import Context, Rule
from dataplat.validation.subject import Subject, TableSubject
from dataplat.validation.verdict import BatchVerdict


class Contract:
    """A pandera polars schema and rules about the whole, with a stable `id`, evaluated on batches and on datasets.

    Row checks (built-ins, `element_wise` ones) are asked of each row, once; checks that need all rows (`unique`,
    other custom checks, rules) of the dataset. A check that could not be evaluated fails the contract.
    Verdicts are pandera's own (`lazy=True`, polars backend, values included).

    Args:
        schema: a `DataFrameSchema` or `DataFrameModel` of `pandera.polars`; None: rules alone. One for pandas is run by
            pandera on pandas, over all rows at once: nothing of it is proven or remembered by part.
        checks: rules about the whole, such as `dataplat.unique("flight_id")`.
        name: what reports call it; the schema's own name if not given.
        environment: `train`, `serve` or another word: where it is asked (None: everywhere). Columns and rules may say
            so themselves (`pa.Field(metadata={"environment": "train"})`, `environment=` of a rule).
        severity: what failures are, `error` or `warn`, where a check says nothing itself.

    Raises:
        ContractError: the schema drops rows unseen (`drop_invalid_rows`) or has parsers for polars, or no value could ever meet it;
            what stands in `checks` is no rule.

    What changes data (`coerce`, `default`, `add_missing_columns`, `strict="filter"`, parsers for pandas) is the `transform`: `ingest` applies
    it to rows as they come, and the verdict is on what landed. Elsewhere data is only judged.
    """

    __slots__ = (
        "_given",
        "_pandas",
        "_plans",
        "checks",
        "environment",
        "id",
        "name",
        "schema",
        "severity",
        "transform",
    )

    def __init__(
        self,
        schema: Any = None,
        checks: Iterable[Rule] = (),
        *,
        name: str | None = None,
        environment: str | None = None,
        severity: Severity = "error",
    ) -> None:
        self.name: str = name or _name_of(schema)
        self._pandas: PandasSchema | None = None
        self.transform: Transform | PandasTransform | None
        if is_pandas(schema):
            self._given = _as_pandas(self.name, schema)
            changing = PandasTransform(self.name, self._given)
            self._pandas = PandasSchema(judging(self._given))
            self.schema, self.transform = _as_schema(self.name, None), changing if changing.changes else None
        else:
            self._given = _as_schema(self.name, schema)
            self.schema, self.transform = parted(self._given)
        _refuse_changes(self.name, self._given, parsers=self._pandas is None)
        self.checks = _as_rules(self.name, checks)
        if severity not in {"error", "warn"}:
            raise ContractError(f"contract {self.name}: severity is error or warn, not {severity!r}")
        self.environment = environment
        self.severity: Severity = severity
        refuse_contradictions(self.name, self.schema)
        beside = [rule.describe() for rule in self.checks], environment, severity
        self.id = contract_id(self.name, self._given, beside)
        self._plans: dict[Any, Plan] = {}

    def __repr__(self) -> str:
        checks = sum(len(column.checks) for column in self.schema.columns.values()) + len(self.schema.checks or ())
        checks += len(self.checks)
        return f"<Contract {self.name} {self.id[:12]}: {len(self.schema.columns)} columns, {checks} checks>"

    def named(self, name: str) -> Contract:
        """Return the same contract under another name."""
        return Contract(self._given, self.checks, name=name, environment=self.environment, severity=self.severity)

    @property
    def given(self) -> Any:
        """The pandera schema as it was declared, with what it changes in data; `schema` is what judges on polars."""
        return self._given

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it speaks of (patterns left out)."""
        return tuple(str(name) for name, column in self._given.columns.items() if not column.regex)

    def types(self) -> dict[str, pa.DataType]:
        """Return the Arrow type that it asks for by column that has to be there, if there is one: a hint for reading text."""
        columns = {name: self._given.columns[name] for name in self.columns if self._given.columns[name].required}
        kind_of = arrow_type if self._pandas is not None else _arrow_type
        types = {name: kind_of(column.dtype) for name, column in columns.items() if column.dtype is not None}
        return {name: kind for name, kind in types.items() if kind is not None}

    def check_batch(self, batch: pa.RecordBatch, key: Sequence[str] = ()) -> BatchVerdict:
        """Evaluate schema and row checks on `batch`; its examples name the `key` columns."""
        return check_rows(self._plan(batch.schema), batch, [name for name in key if name in batch.schema.names])

    def judge(
        self,
        subject: Subject,
        *,
        context: Context | None = None,
        strict: bool = False,
        environment: str | None = None,
        came: Came | None = None,
        sample: float | None = None,
        engine: Engine | None = None,
    ) -> Report:
        """Evaluate everything on a version, a file or a table, the cheapest way that is certain, and sum up.

        Args:
            subject: what is judged.
            context: what rules may look at beside it.
            strict: what was not asked, or of a sample only, fails.
            environment: where the data is: what the contract asks in other environments is not asked.
            came: of blocks whose rows are known to pass all row checks, whence that is known.
            sample: the share of row groups that row checks read, 0 to 1, the same ones each time; checks that need all
                rows are not asked. None: all.
            engine: who reads rows (None: this process). The report is the same; of another one parts are read by its
                tasks, each for itself, and by one task where a check needs all rows together.

        Raises:
            ContractError: `sample` is no share.
        """
        if sample is not None and not 0 < sample <= 1:
            raise ContractError(f"a sample is a share of the rows, above 0 and up to 1, and not {sample!r}")
        start = time.perf_counter()
        plan = self._plan(subject.schema, environment)
        key = [name for name in subject.key if name in subject.schema.names]
        memory = Memory(subject.memos, engine or Local())
        context = replace(context or Context(), memory=memory)
        judge = Judge(plan, subject, key, memory, sample=sample)
        if came is not None:
            judge.came = came
        rows = judge.run()
        pandas = None if self._pandas is None else self._pandas.asked_in(self.environment, environment)
        if sample is None:
            whole = DatasetChecker(plan, subject, key, context.memory_limit, memory).run()
            limit = context.memory_limit
            whole += [] if pandas is None else once(memory, pandas.judge, subject, key, self.severity, limit)
            whole += ask_rules(self.checks, subject, context, environment, (self.environment, self.severity), memory)
        else:
            of_pandas = [] if pandas is None else pandas.declared()
            whole = [_too_many(each, subject.rows) for each in (*plan.dataset, *of_pandas, *self.checks)]
        whole += self._elsewhere(plan, pandas, subject, environment)
        shape = [] if pandas is not None else [replace(outcome, rows=subject.rows) for outcome in plan.shape]
        memory.save()
        return Report(
            contract=self.name,
            contract_id=self.id,
            rows=subject.rows,
            new_rows=judge.rows_read,
            checks=(*shape, *rows, *whole),
            data=subject.title,
            version=subject.version,
            strict=strict,
            seconds=time.perf_counter() - start,
            _failures=Failures(plan, subject, tuple(key)),
            _beside=Beside(subject, self.checks, context),
        )

    def blame(self, subject: Subject, report: Report) -> dict[int, set[int]] | None:
        """Return the rows to blame for what failed as a whole: positions by number of block.

        Without them nothing of it fails, but for what only the other rows make fail. None where a failure blames no
        row: an aggregate, the columns, a check that could not be evaluated.
        """
        from dataplat.validation._blame import blamed

        limit = Context().memory_limit
        of_pandas = [] if self._pandas is None else self._pandas.declared()
        names = {(each.name, each.column, each.number) for each in of_pandas}
        theirs = [each for each in report.failed if (each.name, each.column, each.number) in names]
        found = blamed(
            self._plan(subject.schema),
            self.checks,
            subject,
            [each for each in report.failed if each not in theirs],
            limit,
        )
        if not theirs or self._pandas is None or found is None:
            return found
        more = self._pandas.blame(subject, theirs, limit)
        return (
            None
            if more is None
            else {block: found.get(block, set()) | more.get(block, set()) for block in found | more}
        )

    def validate(self, data: Any, *, key: Sequence[str] = (), strict: bool = False) -> Report:
        """Evaluate everything on a table in memory: Arrow, polars or pandas."""
        table = data if isinstance(data, pa.Table) else pa.table(data)
        return self.judge(TableSubject(table, key=key), strict=strict)

    def _plan(self, schema: pa.Schema, environment: str | None = None) -> Plan:
        plan = self._plans.get((schema, environment))
        if plan is None:
            try:
                asked = asked_in(self.schema, self.environment, environment)
                plan = compile_plan(_as_schema(self.name, asked), schema, self.severity)
            except FAULTS as error:
                raise ContractError(
                    f"contract {self.name} cannot be evaluated on columns {', '.join(schema.names)}: {fault_text(error)}"
                ) from error
            self._plans[schema, environment] = plan
        return plan

    def _elsewhere(
        self, plan: Plan, pandas: PandasSchema | None, subject: Subject, environment: str | None
    ) -> list[CheckOutcome]:
        """Return outcomes of what neither `plan` nor `pandas` asks, as it is asked in other environments only."""
        if environment is None:
            return []
        if self._pandas is not None:
            asked = [] if pandas is None else pandas.declared()
            left: list[Any] = [check for check in self._pandas.declared()[1:] if check not in asked]
        else:
            every = self._plan(subject.schema)
            ids = {check.id for check in (*plan.row, *plan.dataset)}
            left = [check for check in (*every.row, *every.dataset) if check.id not in ids]
        return not_asked(self._given, self.environment, environment, left, subject.rows)


def _too_many(check: Any, rows: int) -> CheckOutcome:
    """Return the outcome of a check that a sample cannot answer."""
    why = "it needs all rows, and this is a sample"
    return CheckOutcome(check.name, "dataset", "not asked", check.column, rows=rows, detail=why)


def _name_of(schema: Any) -> str:
    return str(getattr(schema, "__name__", None) or getattr(schema, "name", None) or "schema")


def _as_rules(name: str, checks: Any) -> tuple[Rule, ...]:
    found: tuple[Any, ...] = tuple(checks) if isinstance(checks, Iterable) else (None,)
    for each in found:
        if isinstance(each, type) or not all(hasattr(each, asked) for asked in ("check", "describe", "remembers")):
            raise ContractError(
                f"contract {name}: checks= takes rules, such as [dataplat.unique('flight_id')], not {checks!r:.200}; "
                "checks of single values stand in the schema"
            )
    return found


def _as_pandas(name: str, schema: Any) -> Any:
    try:
        return PandasSchema.of(schema).schema
    except Exception as error:
        raise ContractError(f"contract {name}: pandera cannot build its schema: {fault_text(error)}") from error


def _arrow_type(dtype: Any) -> pa.DataType | None:
    kind = getattr(dtype, "type", None)
    if kind is None or kind in {pl.Categorical, pl.Enum, pl.Object}:
        return None
    try:
        arrow = pl.Series([], dtype=kind).to_arrow().type
    except Exception:  # noqa: BLE001 - a hint only; the check itself speaks later
        return None
    return pa.string() if arrow in {pa.large_string(), pa.string_view()} else arrow


def _as_schema(name: str, schema: Any) -> pandera.polars.DataFrameSchema:
    if schema is None:
        return pandera.polars.DataFrameSchema()
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


def _refuse_changes(name: str, schema: Any, *, parsers: bool) -> None:
    """Refuse what would let rows go unseen, and `parsers`, which pandera itself does not run on polars."""
    found = ["drop_invalid_rows"] if getattr(schema, "drop_invalid_rows", False) else []
    found += ["parsers"] if parsers and getattr(schema, "parsers", None) else []
    for column in schema.columns.values():
        found += [f"drop_invalid_rows of column {column.name!r}"] if getattr(column, "drop_invalid_rows", False) else []
        found += [f"parsers of column {column.name!r}"] if parsers and getattr(column, "parsers", None) else []
    if found:
        raise ContractError(
            f"contract {name} has {'; '.join(found)}, which dataplat does not run: rows that fail go to quarantine with "
            "the reason, and what parsers do belongs into the query or script before"
        )
