"""What a user asked to be landed, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack

from dataplat.connectors.kafka import is_kafka
from dataplat.connectors.spark import is_spark
from dataplat.connectors.tables import is_table
from dataplat.errors import ConfigError
from dataplat.ingest._stream_options import STREAM_NAMES, StreamOptions, stream_options

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from dataplat.connectors.tables import Revision
    from dataplat.lake.engine import Engine
    from dataplat.validation import Contract

MODES = ("append", "upsert", "replace")
ON_ERROR = ("reject", "fail")

Mode: TypeAlias = Literal["append", "upsert", "replace"]
OnError: TypeAlias = Literal["reject", "fail"]
Columns: TypeAlias = "str | Sequence[str] | None"
SchemaLike: TypeAlias = "pa.Schema | Mapping[str, Any] | Sequence[Mapping[str, Any]]"


class IngestOptions(TypedDict, total=False):
    """How rows are landed: the flags of `dataplat ingest`, with underscores.

    `where` is the slice that a replace replaces; `key` and `sort` are columns (a list, or text with commas);
    `order` says which of several rows of one key is newest; `contract` is a pandera polars model or schema, a
    `Contract`, or "FILE:NAME"; `schema` an Arrow schema, `{column: type}`, its JSON form or (of messages) that of an
    Avro record; `null` the words that mean null; `lineage` (dataset, version id) pairs, and `sql` the query, that the
    rows were made from. With `history` every state of a Delta or Iceberg table becomes a version. With `engine="spark"`
    tasks of Spark read files and write parts, in the session that runs or one at `master`.

    What only a stream takes, from `follow` on, is as `StreamOptions` says; there `source_format` is what messages are.
    """

    mode: Mode
    where: str | pl.Expr | None
    key: Columns
    sort: Columns
    order: str | None
    contract: Any
    branch: str
    message: str | None
    schema: SchemaLike | None
    null: str | Sequence[str]
    on_error: OnError
    source_format: str | None
    lineage: Sequence[tuple[str, str]]
    sql: str | None
    history: bool
    engine: str | Engine
    master: str | None
    follow: bool
    every: float
    rows: int | None
    bytes: int | None
    budget: int
    timeout: float
    registry: str | None
    keep: Sequence[str]
    on_gap: Literal["fail", "mark"]
    max_rejects: float | None
    isolation: Literal["read_committed", "read_uncommitted"]
    client: Literal["kafka-python", "confluent"]
    partitions: Sequence[int] | None
    metrics: int | None
    options: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """One ingest: where rows come from, where they go, and how."""

    source: Any
    into: str
    mode: Mode = "append"
    where: str | pl.Expr | None = None
    key: tuple[str, ...] | None = None
    sort: tuple[str, ...] | None = None
    order: str | None = None
    contract: Contract | None = None
    branch: str = "main"
    message: str | None = None
    schema: pa.Schema | None = None
    null: tuple[str, ...] = ()
    on_error: OnError = "reject"
    source_format: str | None = None
    lineage: tuple[tuple[str, str], ...] = ()
    sql: str | None = None
    history: bool = False
    revision: Revision | None = None
    stream: StreamOptions | None = None
    engine: str | Engine = "local"
    master: str | None = None
    contract_file: str | None = None

    @property
    def replaces_all(self) -> bool:
        """Whether the new rows become the dataset, and not only a slice of it."""
        return self.mode == "replace" and self.where is None

    @property
    def is_for_spark(self) -> bool:
        """Whether tasks of Spark do it."""
        return self.engine != "local" or is_spark(self.source)

    @property
    def is_stdin(self) -> bool:
        """Whether rows come from standard input."""
        return isinstance(self.source, str) and self.source == "-"  # a frame would compare each of its values

    @property
    def reads_once(self) -> bool:
        """Whether the source can be read only once: standard input, Arrow readers."""
        return self.is_stdin or hasattr(self.source, "read_next_batch")

    def __post_init__(self) -> None:
        for what, names in (("key", self.key), ("sort", self.sort)):
            if names is not None and len(set(names)) < len(names):
                message = f"the {what} names a column twice: {', '.join(names)}"
                raise ConfigError(message)
        if self.mode not in MODES:
            message = f"unknown mode {self.mode!r}: it is one of {', '.join(MODES)}"
            raise ConfigError(message)
        if self.on_error not in ON_ERROR:
            message = f"unknown on_error {self.on_error!r}: it is one of {', '.join(ON_ERROR)}"
            raise ConfigError(message)
        if self.where is not None and self.mode != "replace":
            raise ConfigError("where goes with mode='replace': it names the slice that the rows replace")
        if self.history and not is_table(self.source):
            raise ConfigError(f"only tables have a history to land (delta://, iceberg://, dvc://), not {self.source!r}")
        if self.master is not None and not self.is_for_spark:
            raise ConfigError("master goes with engine='spark': it says where Spark runs")
        if self.order is not None and self.mode != "upsert":
            raise ConfigError("order goes with mode='upsert': it says which of several rows of one key is newest")


def columns(given: Columns) -> tuple[str, ...] | None:
    """Return column names given as a list, or as text with commas, as a tuple."""
    if given is None:
        return None
    names = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip() for name in names) or None


def as_schema(given: SchemaLike | None) -> pa.Schema | None:
    """Return an Arrow schema from one, from `{column: type}`, from the JSON form of a schema, or from an Avro record."""
    import pyarrow as pa

    from dataplat.lake.schema import canonical_schema, schema_from_json

    if given is None:
        return None
    if isinstance(given, pa.Schema):
        return canonical_schema(given)
    if isinstance(given, Mapping) and given.get("type") == "record" and isinstance(given.get("fields"), list):
        from dataplat.connectors.codecs._avro_wire import avro_columns

        return avro_columns(given)
    if isinstance(given, Mapping):
        return schema_from_json([{"name": name, "type": kind} for name, kind in given.items()])
    return schema_from_json([dict(field) for field in given])


def _of_changes(given: dict[str, Any]) -> None:
    """Have change events upserted; raise `ConfigError` where something else is asked for."""
    if given.setdefault("mode", "upsert") != "upsert":
        raise ConfigError(
            f"change events (format debezium) are upserted and deleted by key, so mode {given['mode']!r} makes no sense: "
            "leave it out. To keep every event as a row, land them with format json"
        )
    if "order" in given:
        raise ConfigError("of several change events of one key the last one in the topic counts: leave order out")


def request_of(source: Any, into: str, **options: Unpack[IngestOptions]) -> IngestRequest:
    """Return the request for what a user gave; raise `ConfigError` for an option that is not there."""
    unknown = sorted(options.keys() - IngestOptions.__annotations__.keys())
    if unknown:
        known = ", ".join(sorted(IngestOptions.__annotations__))
        raise ConfigError(f"ingest has no option {unknown[0]!r}: there are {known}")
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "contract" in given:
        from dataplat.validation import Contract, load_contract

        contract = given["contract"]
        given["contract_file"] = contract if isinstance(contract, str) else None
        given["contract"] = contract if isinstance(contract, Contract) else load_contract(contract)
    if "schema" in given:
        given["schema"] = as_schema(given["schema"])
    if given.get("mode", "append") == "append" and is_table(source):
        given["mode"] = "replace"  # the state of a table is all of its rows
    stream = {name: given.pop(name) for name in STREAM_NAMES & given.keys()}
    if is_kafka(source):
        given["stream"] = stream_options(given.pop("source_format", None), stream)
        if given["stream"].format == "debezium":
            _of_changes(given)
    elif stream:
        name = min(stream)
        raise ConfigError(f"{name} goes with a stream (kafka://HOST:PORT/TOPIC), not with {source!r}")
    for name in ("key", "sort"):
        given[name] = columns(given.get(name))
    if isinstance(given.get("null"), str):
        given["null"] = [given["null"]]
    for name in ("null", "lineage"):
        given[name] = tuple(given.get(name, ()))
    return IngestRequest(source, into, **given)
