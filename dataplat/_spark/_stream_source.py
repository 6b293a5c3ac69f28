"""New versions of a dataset as a stream: the rows that each commit brought, in the order of the branch.

    spark.readStream.format("dataplat").option("lake", URL).option("from", "latest").load("flights")

An offset names the last commit whose rows were all read, and how far the parts of the next one were. Compactions, and whatever
else changes no rows, are passed over. Only parts that a commit added are read: what rows went is not in the stream, so a
commit that takes rows away ends it, unless it is told to go on, or to tell of these, too (`_stream_changes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxBytes,
    ReadMaxFiles,
    ReadMaxRows,
    ReadMinRows,
    SupportsTriggerAvailableNow,
)

from dataplat._spark._read import Parts, grouped
from dataplat._spark._stream_changes import Came, Differing, columns_of
from dataplat._spark._stream_steps import Brought, Line, Offset, Tells
from dataplat.errors import ConfigError, SourceError
from dataplat.lake.scan import project

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from dataplat._spark._source import Settings
    from dataplat.lake.part import Part

LIMITS: Final[Mapping[str, Any]] = {
    "maxrowspertrigger": ReadMaxRows,
    "maxpartspertrigger": ReadMaxFiles,
    "maxbytespertrigger": ReadMaxBytes,
    "minrowspertrigger": ReadMinRows,
}
FOLLOW: Final = ("from", "changes", *LIMITS)
"""Options that only a stream takes."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Where a stream begins, what it does about rows that go, and how much it reads at once; it can be sent."""

    begin: str
    tells: Tells
    limit: tuple[str, int] | None

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Follow:
        """Check options.

        Raises:
            ConfigError: An option makes no sense.
        """
        tells: Any = options.get("changes") or "fail"
        if tells not in get_args(Tells):
            raise ConfigError(f"unknown changes {tells!r}: it is one of {', '.join(get_args(Tells))}")
        limits = [(name, options[name]) for name in LIMITS if options.get(name)]
        if len(limits) > 1:
            raise ConfigError(f"Spark takes one limit for a trigger, not both {limits[0][0]} and {limits[1][0]}")
        for name, value in limits:
            if not value.isdecimal() or not int(value):
                raise ConfigError(f"{name} is {value!r}, and not a number of at least 1")
        limit = (limits[0][0], int(limits[0][1])) if limits else None
        return cls(options.get("from") or "earliest", tells, limit)


class StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads what commits bring, in tasks."""

    def __init__(self, settings: Settings, follow: Follow, schema: StructType, pinned: str | None) -> None:
        self.settings, self.follow, self.spark_schema = settings, follow, schema
        lake = settings.open()
        self.stored: pa.Schema = lake[pinned or settings.dataset].manifest.schema
        self.names = columns_of(schema.names) if follow.tells == "rows" else schema.names
        project(self.stored, self.names)  # all are there, or an error that says which is not
        columns = [self.stored.field(name) for name in self.names]
        self.line: Line | None = Line.of(lake, settings.dataset, columns, follow.tells)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"line": None}  # a task reads the parts that it was given

    @property
    def _line(self) -> Line:
        assert self.line is not None
        return self.line

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802  (Spark's name)
        """Return where a new query begins."""
        return asdict(self._line.begin(self.follow.begin))

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802  (Spark's name)
        """Return how much is read at once."""
        if self.follow.limit is None:
            return ReadAllAvailable()
        name, value = self.follow.limit
        limit: ReadLimit = LIMITS[name](value)
        return limit

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802  (Spark's name)
        """Read no further than what is there now."""
        self._line.stop_here()

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802  (Spark's name)
        """Return how far to read from `start`.

        Raises:
            SourceGap: The branch has no longer the commit that was read last.
            SourceError: A commit took rows away, or changed columns; what came before it was read.
        """
        begin = Offset(**start)
        end, read = begin, Amount()
        for offset, parts in self._ways(begin):
            more = read.plus(parts)
            if read.parts and more.exceeds(limit):
                return asdict(end)
            end, read = offset, more
        if isinstance(limit, ReadMinRows) and read.rows < limit.min_rows and self._line.end is None:
            return start
        return asdict(end)

    def _ways(self, begin: Offset) -> Iterator[tuple[Offset, Sequence[Part]]]:
        """Yield how far one could read from `begin`, and the parts that come in between, if any do."""
        come = False
        for step in self._line.since(begin):
            try:
                brought = self._line.brought(step, begin)
            except SourceError:
                if come:
                    return  # the next trigger has nothing before it, and says so
                raise
            come = come or bool(brought.parts)
            if brought.versions is None:
                for part in brought.parts[:-1]:
                    yield step.after(part), [part]
            yield step.after(None), brought.parts if brought.versions else brought.parts[-1:]

    def reportLatestOffset(self) -> dict[str, Any] | None:  # noqa: N802  (Spark's name)
        """Return where the branch stands, for the query's progress."""
        return asdict(self._line.now())

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[InputPartition]:
        """Return groups of the parts that came between two offsets, and versions that are to be compared."""
        brought = self._line.between(Offset(**start), Offset(**end))
        if self.follow.tells == "rows":
            return [each for some in brought for each in _told(some)]
        return [Parts(some) for some in grouped([part for each in brought for part in each.parts])]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition."""
        from pyspark.sql.pandas.types import to_arrow_schema

        from dataplat.connectors.spark.types import handed
        from dataplat.lake.scan import scan

        objects = self.settings.open().objects
        wanted = to_arrow_schema(self.spark_schema, timezone="UTC")
        if isinstance(partition, Came | Differing):
            rows = partition.rows(objects, self.stored, self.names)
        else:
            rows = scan(objects, getattr(partition, "parts", []), self.stored, columns=self.names)
        for batch in rows:
            yield handed(batch, wanted)


def _told(brought: Brought) -> Iterator[InputPartition]:
    """Yield partitions whose rows say what became of them."""
    if brought.versions is not None:
        yield Differing(*brought.versions, brought.step.time)
    else:
        yield from (Came(some, brought.step.time) for some in grouped(brought.parts))


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is to be read."""

    parts: int = 0
    rows: int = 0
    bytes: int = 0

    def plus(self, parts: Sequence[Part]) -> Amount:
        """Return the amount with some parts more."""
        rows, size = sum(part.live for part in parts), sum(part.size for part in parts)
        return Amount(self.parts + len(parts), self.rows + rows, self.bytes + size)

    def exceeds(self, limit: ReadLimit) -> bool:
        """Return whether it is more than may be read."""
        if isinstance(limit, ReadMaxRows):
            return self.rows > limit.max_rows
        if isinstance(limit, ReadMaxFiles):
            return self.parts > limit.max_files
        return isinstance(limit, ReadMaxBytes) and self.bytes > limit.max_bytes
