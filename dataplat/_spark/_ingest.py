"""Ingests that tasks of Spark do: files by dataplat's own readers, anything else by Spark's.

    lake.ingest("days/*.csv", into="flights", engine="spark")
    lake.ingest("spark://jdbc?url=jdbc:…&dbtable=orders", into="orders")

Files are shared out among tasks, each of which does for its own what a local ingest does for all: the same types, rejects,
positions and rows. The driver commits once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from dataplat.connectors.files._files import FileSource
from dataplat.connectors.source import SchemaWidened, Split
from dataplat.connectors.spark import is_spark
from dataplat.connectors.spark.address import SparkAddress
from dataplat.connectors.spark.jars import extras_of
from dataplat.connectors.spark.types import landed
from dataplat.errors import ConfigError, DataplatError, EngineError
from dataplat.ingest._distributed import DistributedStep, plan_tasks
from dataplat.ingest._draft import Draft, carry_out
from dataplat.ingest._ingest import ingest, left_out, plan_ingest, prepare
from dataplat.ingest._plan import IngestPlan
from dataplat.ingest._progress import Meter
from dataplat.ingest._schema import landed_schema
from dataplat.ingest._target import Target, check_named_columns
from dataplat.ingest._task import ContractText, TaskPlan, TaskRows, write_splits, write_task
from dataplat.lake.schema import plain_schema, schema_to_json

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from dataplat._lake import Lake
    from dataplat.connectors.source import Position
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._result import IngestResult
    from dataplat.lake.engine import Engine
    from dataplat.lake.objects import Objects

RUN = 64 << 20
"""Bytes of files that one task reads, if one file has no more."""
_FILES = 256
"""Files that one task reads at most: each opens its own."""


def ingest_by_spark(lake: Lake, request: IngestRequest, progress: Listener | None = None) -> IngestResult:
    """Have tasks read and write, and commit what they wrote.

    Raises:
        ConfigError: Spark cannot do this, or the lake is in memory.
        EngineError: Spark gave up.
    """
    _refuse_what_tasks_cannot(request)
    meter = Meter(progress)
    if is_spark(request.source):
        address = SparkAddress.parse(request.source)
        frame = address.read(_session(request, address), request.schema)
        plan = plan_tasks(lake, request, landed(frame.schema), _contract(request))
        return _commit(lake, request, meter, plan, rows_of_frame(lake.objects, plan, frame, address.label))
    target, source, splits = _prepared(lake, request)
    todo = [split for split in splits if split.skipped is None]
    if not todo and target.manifest is not None:  # nothing is read, and why is for the local one to say
        return ingest(lake, replace(request, engine="local", master=None), progress)
    plan, found = _rows_of_files(lake, request, source, todo)
    positions = {split.source: split.position for split in splits if split.source and split.skipped is not None}
    positions |= {name: place for each in found for name, place in each.positions.items()}
    # of others that landed the same files meanwhile the commit learns by where these began
    begun = {split.source: split.start for split in splits if split.source} if request.mode == "append" else {}
    result = _commit(lake, request, meter, plan, [each.rows for each in found], positions, begun)
    skipped = left_out([split for split in splits if split.skipped is not None])
    return replace(result, notes=(*skipped, *result.notes))


def plan_by_spark(lake: Lake, request: IngestRequest) -> IngestPlan:
    """Return what `ingest_by_spark` would do; of what Spark reads itself with the rows and bytes that it expects."""
    _refuse_what_tasks_cannot(request)
    if not is_spark(request.source):
        _prepared(lake, request)
        return plan_ingest(lake, replace(request, engine="local", master=None))
    address = SparkAddress.parse(request.source)
    frame = address.read(_session(request, address), request.schema)
    draft = Draft(lake, request.branch)
    try:
        target = draft.target(request.into)
        schema = landed_schema(target.schema, landed(frame.schema), whole=request.replaces_all, gone=target.gone)
        check_named_columns(request, target.base(request, schema_to_json(schema)), schema)
    finally:
        draft.stage.discard()
    rows, nbytes = _expected(frame)
    label = address.label if rows is None else f"{address.label}, about {rows:,} rows"
    return IngestPlan(request, (Split("", label, nbytes=nbytes),), target.manifest, plain_schema(schema))


def _refuse_what_tasks_cannot(request: IngestRequest) -> None:
    source = request.source
    if request.where is not None:
        raise ConfigError("a slice (where) is replaced by this machine alone: leave the engine out")
    if request.stream is not None:
        raise ConfigError(
            "a stream is landed by this machine, or by a streaming query of Spark's: "
            'frame.writeStream.format("dataplat"). What a topic holds now: spark://kafka?kafka.bootstrap.servers=…&subscribe=…'
        )
    if request.history or request.revision is not None:
        raise ConfigError("states of a table are landed by this machine alone: leave the engine out")
    if not isinstance(source, str) and not hasattr(source, "__fspath__"):
        raise ConfigError(
            "Spark lands files and what it reads itself (spark://…); a table in memory lands by this machine"
        )
    if request.is_stdin:
        raise ConfigError("standard input is read by this machine alone: leave the engine out")
    if request.contract is not None and request.contract_file is None:
        raise ConfigError("tasks of Spark get a contract as the text of its file: name it FILE:NAME")


def _session(request: IngestRequest, address: SparkAddress | None = None) -> SparkSession:
    from dataplat._spark._session import session

    urls = [] if address is None else [address.path, f"{address.format}://"]  # tasks reach the lake by Python
    return session(request.master, extras=[extra for url in urls for extra in extras_of(url)])


def _engine(lake: Lake, request: IngestRequest) -> Engine:
    from dataplat._engine import engine_of
    from dataplat._spark._engine import SparkEngine
    from dataplat.lake.stores import Address

    if request.engine != "spark":
        return engine_of(request.engine, lake)
    Address.of(lake.store)  # a lake in memory is an error now
    return SparkEngine(_session(request))


def _commit(
    lake: Lake,
    request: IngestRequest,
    meter: Meter,
    plan: TaskPlan,
    rows: Sequence[TaskRows],
    positions: dict[str, Any] | None = None,
    begun: dict[str, Any] | None = None,
) -> IngestResult:
    step = DistributedStep(request, meter, plan=plan, tasks=rows, positions=positions or {}, begun=begun or {})
    done: IngestResult = carry_out(lake, request.branch, request.message or "", step)
    return done


def _contract(request: IngestRequest) -> ContractText | None:
    return None if request.contract_file is None else ContractText.read(request.contract_file)


# --------------------------------------------------------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class Read:
    """What one task read of its files, and where each of them ends."""

    rows: TaskRows
    positions: dict[str, Position | None]


@dataclass(frozen=True, slots=True)
class Wider:
    """A value of the file `label` does not fit the types so far; `schema` holds it."""

    schema: pa.Schema
    label: str


Found: TypeAlias = "Read | Wider"


def _prepared(lake: Lake, request: IngestRequest) -> tuple[Target, FileSource, list[Split]]:
    draft = Draft(lake, request.branch)
    try:
        target, source, splits = prepare(draft, request)
    finally:
        draft.stage.discard()
    if not isinstance(source, FileSource):
        raise ConfigError(
            f"{request.source} is landed by this machine alone: leave the engine out, or let Spark read it "
            "(spark://FORMAT/PATH)"
        )
    return target, source, splits


def _rows_of_files(
    lake: Lake, request: IngestRequest, source: FileSource, splits: Sequence[Split]
) -> tuple[TaskPlan, list[Read]]:
    """Have tasks write what is in files; anew, with wider types, where a value of any of them asks for that."""
    engine, contract = _engine(lake, request), _contract(request)
    runs = list(_runs(splits))
    while True:
        plan = plan_tasks(lake, request, source.schema(), contract)
        found: list[Found] = list(engine.map(partial(read_run, lake.objects, plan, source), runs))
        wider = [each for each in found if isinstance(each, Wider)]
        if not wider:
            return plan, [each for each in found if isinstance(each, Read)]
        for each in wider:
            source.widen(each.schema, each.label)


def read_run(objects: Objects, plan: TaskPlan, source: FileSource, splits: Sequence[Split]) -> Found:
    """Read some files and write their rows, in whatever process this is."""
    label = splits[0].label
    try:
        rows = write_splits(objects.store, plan, source, splits)
    except SchemaWidened as widened:
        return Wider(widened.schema, label)
    return Read(rows, {split.source: source.position(split) for split in splits if split.source})


def _runs(splits: Sequence[Split]) -> Iterator[list[Split]]:
    """Yield splits in their order, as many together as one task reads."""
    some: list[Split] = []
    for split in splits:
        nbytes = sum(each.nbytes or 0 for each in some) + (split.nbytes or 0)
        if some and (nbytes > RUN or len(some) == _FILES):
            yield some
            some = []
        some.append(split)
    if some:
        yield some


# --------------------------------------------------------------------------------------------------- what Spark reads


def rows_of_frame(objects: Objects, plan: TaskPlan, frame: DataFrame, label: str) -> list[TaskRows]:
    """Have the tasks that read a frame write its rows; return what each wrote, in the order of its partitions.

    Raises:
        DataplatError: What `write_task` raised in a task.
        EngineError: Spark gave up.
    """
    import pickle

    from dataplat._spark._engine import _last_words

    work = partial(write_frame, objects, plan, label)
    try:
        answer = frame.mapInArrow(work, "at int, body binary").toArrow().sort_by("at")
    except Exception as error:
        raise EngineError(f"Spark could not land {label}: {_last_words(error)}") from error
    found = [pickle.loads(body) for body in answer.column("body").to_pylist()]  # noqa: S301 - of our own tasks
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found


def write_frame(
    objects: Objects, plan: TaskPlan, label: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Write the rows of a task of Spark's; yield what became of them, or what was wrong with them."""
    import pickle

    import pyarrow as pa
    from pyspark import TaskContext

    task = TaskContext.get()
    at = 0 if task is None else task.partitionId()
    try:
        answer: object = write_task(objects.store, plan, f"{label}[{at}]", batches)
    except DataplatError as error:
        answer = error
    yield pa.record_batch({"at": pa.array([at], pa.int32()), "body": pa.array([pickle.dumps(answer)], pa.binary())})


def _expected(frame: DataFrame) -> tuple[int | None, int | None]:
    """Return how many rows and bytes Spark expects, where it tells (Spark Connect does not)."""
    rows, nbytes = None, None
    with suppress(Exception):
        plan: Any = frame._jdf  # noqa: SLF001
        stats = plan.queryExecution().optimizedPlan().stats()
        nbytes = int(str(stats.sizeInBytes()))
        rows = int(str(stats.rowCount().get())) if stats.rowCount().isDefined() else None
    return rows, None if nbytes is None or nbytes >= 1 << 62 else nbytes
