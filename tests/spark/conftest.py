"""Values of every type that Spark knows, and rows written as the tasks of an engine write them."""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.ingest import IngestResult

MOMENT = dt.datetime(2026, 11, 28, 12, 30, 15, 123456)  # noqa: DTZ001  (of no zone: a family of its own)
VALUES: dict[pa.DataType, list[Any]] = {
    pa.bool_(): [True, False, None],
    pa.int8(): [-128, 127, None],
    pa.int16(): [-32768, 32767, None],
    pa.int32(): [-(2**31), 2**31 - 1, None],
    pa.int64(): [-(2**63), 2**63 - 1, None],
    pa.uint8(): [0, 255, None],
    pa.uint16(): [0, 65535, None],
    pa.uint32(): [0, 2**32 - 1, None],
    pa.float16(): [1.5, float("inf"), None],
    pa.float32(): [1.5, float("-inf"), None],
    pa.float64(): [0.1, -0.0, None],
    pa.decimal128(38, 10): [Decimal("1234567890.0123456789"), Decimal("-0.1"), None],
    pa.decimal128(5, 0): [Decimal(99999), Decimal(-1), None],
    pa.string(): ["", "a\0ü😀", None],
    pa.binary(): [b"", b"\0\xff", None],
    pa.binary(3): [b"abc", b"\0\0\0", None],
    pa.date32(): [dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
    pa.time32("ms"): [dt.time(0), dt.time(23, 59, 59, 999000), None],
    pa.time64("us"): [dt.time(0), dt.time(23, 59, 59, 999999), None],
    pa.time64("ns"): [dt.time(0), dt.time(23, 59, 59, 999999), None],
    pa.timestamp("ms"): [MOMENT.replace(microsecond=0), MOMENT.replace(year=1, microsecond=0), None],
    pa.timestamp("us"): [MOMENT, MOMENT.replace(year=9999), None],
    pa.timestamp("ns"): [MOMENT, MOMENT.replace(year=1970), None],
    pa.timestamp("us", "UTC"): [MOMENT.replace(tzinfo=dt.UTC), dt.datetime(1, 1, 1, tzinfo=dt.UTC), None],
    pa.timestamp("ms", "Europe/Berlin"): [MOMENT.replace(microsecond=0, tzinfo=dt.UTC), None, None],
    pa.duration("us"): [dt.timedelta(days=-1, microseconds=1), dt.timedelta(0), None],
    pa.duration("s"): [dt.timedelta(days=30), dt.timedelta(0), None],
    pa.null(): [None, None, None],
    pa.list_(pa.int64()): [[1, None], [], None],
    pa.list_(pa.uint8(), 2): [[1, 255], [0, None], None],
    pa.struct([("a", pa.uint16()), ("b", pa.list_(pa.timestamp("ns")))]): [
        {"a": 65535, "b": [MOMENT, None]},
        {"a": None, "b": None},
        None,
    ],
    pa.map_(pa.string(), pa.struct([("x", pa.float64())])): [[("k", {"x": 1.0}), ("l", None)], [], None],
}


@pytest.fixture(params=VALUES, ids=str)
def kind(request: pytest.FixtureRequest) -> pa.DataType:
    """Return each type in its turn."""
    kind: pa.DataType = request.param
    return kind


@pytest.fixture
def values(kind: pa.DataType) -> list[Any]:
    """Return values of the type, the least and the greatest where it has such, and null."""
    return VALUES[kind]


@pytest.fixture
def every_type() -> pa.Table:
    """Return a table of a column of each type."""
    return pa.table({f"c{at}": pa.array(values, kind) for at, (kind, values) in enumerate(VALUES.items())})


InTasks: TypeAlias = "Callable[..., IngestResult]"


def _sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301  (made here)


@pytest.fixture
def in_tasks() -> InTasks:
    """Return a function that writes tables, one by each task, as Spark's data source does: plan, tasks, commit.

    The tasks run in this process, each in its turn; what is sent to them and back is pickled.
    """
    from dataplat._spark._write import Asked
    from dataplat.ingest._distributed import DistributedStep, plan_tasks
    from dataplat.ingest._draft import carry_out
    from dataplat.ingest._progress import Meter
    from dataplat.ingest._task import write_task

    def write(
        lake: Lake,
        tables: Sequence[pa.Table],
        into: str,
        *,
        overwrite: bool = False,
        meanwhile: Callable[[], object] = lambda: None,
        **options: str,
    ) -> IngestResult:
        asked = _sent(Asked.of(into, options, overwrite=overwrite))
        request = asked.full()
        plan = _sent(plan_tasks(lake, request, tables[0].schema, asked.contract, deletes=asked.deletes))
        tasks = [
            _sent(write_task(lake.store, plan, f"task {at}", table.to_batches())) for at, table in enumerate(tables)
        ]
        meanwhile()
        step = DistributedStep(request, Meter(), plan=plan, tasks=tasks, deletes=asked.deletes)
        result: IngestResult = carry_out(lake, request.branch, request.message or "", step)
        return result

    return write
