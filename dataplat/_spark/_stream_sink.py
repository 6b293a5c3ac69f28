"""Batches of a streaming query as versions: tasks write parts, the driver commits each batch once.

    frame.writeStream.format("dataplat").option("lake", URL).option("checkpointLocation", PLACE).start("flights")

A commit says which batch of which query it holds, as the position of a source. Positions are carried forward by every
later commit, whoever makes it, so one look at the head tells whether a batch that Spark runs again is there already.
Spark tells a sink the number of a batch, and its tasks the id of the query, which lies in the checkpoint and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql.datasource import DataSourceStreamArrowWriter, WriterCommitMessage

from dataplat._spark._write import Writer, refuse_unmet
from dataplat.errors import PositionConflict, SourceError, SourceGap
from dataplat.ingest._distributed import DistributedStep

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from dataplat._spark._source import Settings
    from dataplat.ingest._draft import Draft
    from dataplat.ingest._result import IngestResult
    from dataplat.ingest._task import TaskPlan, TaskRows

BATCHES: Final = ("checkpointlocation", "stream", "takeover")
"""Options that only a stream takes."""

NOTHING: Final = "none"
"""What is taken over where nothing of the query is in the dataset, and yet it is not at its beginning."""

_QUERY_ID: Final = "sql.streaming.queryId"  # what Spark calls it among the properties of a task
_TRIES: Final = 5


@dataclass
class WroteOfBatch(WriterCommitMessage):
    """What one task wrote, for which query, and (said by the first task) how it was told to write."""

    rows: TaskRows
    query: str
    plan: TaskPlan | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of one query; `stream` is the name under which its dataset knows what feeds it."""

    query: str
    number: int
    stream: str = ""

    def __str__(self) -> str:
        return f"batch {self.number} of Spark's query {self.query}"

    @property
    def source(self) -> str:
        """The source whose position it is."""
        return f"spark-stream:{self.stream}" if self.stream else "spark-stream"

    @property
    def position(self) -> dict[str, Any]:
        """The position once it is committed."""
        return {"query": self.query, "batch": self.number}

    def is_new(self, held: Mapping[str, Any] | None, takeover: str | None, dataset: str) -> bool:
        """Return whether it is to land on a dataset that holds the position `held`; if not, it is there already.

        Raises:
            SourceGap: The dataset holds batches of another query, or none of those before it.
        """
        if held is None:
            if self.number and takeover != NOTHING:
                raise SourceGap(_without_beginning(self, dataset))
            return True
        if held["query"] == self.query:
            return self.number > int(held["batch"])
        if takeover != held["query"]:
            raise SourceGap(_of_another(self, held, dataset))
        return True


@dataclass(slots=True)
class BatchStep(DistributedStep):
    """A batch as a step of a transaction: nothing is to be done where the dataset holds it already."""

    batch: Batch = field(kw_only=True)
    takeover: str | None = None

    def run(self, draft: Draft) -> IngestResult:
        """Plan what the batch changes; the first batch of a query says that it began, even where it has no rows.

        Raises:
            SourceGap: Another query fed the dataset, or it lacks the batches before this one.
        """
        from dataplat.ingest._result import IngestResult

        into, batch = self.request.into, self.batch
        held = draft.target(into).positions().get(batch.source)
        is_new = batch.is_new(held, self.takeover, into)
        began = held is not None and held["query"] == batch.query
        empty = not self.request.replaces_all and not any(rows.rows_in for rows in self.tasks)
        if not is_new or (empty and began):
            self.added, self.lands, self.refused = 0, False, False
            note = "has no rows" if is_new else f"is in {into} already"
            return IngestResult(into, draft.branch, None, None, notes=(f"batch {batch.number} {note}",))
        self.positions = {batch.source: batch.position}
        return DistributedStep.run(self, draft)  # no super(): the class was made anew for its slots


class StreamWriter(DataSourceStreamArrowWriter):
    """Writes the rows of batches as parts, and commits each batch once."""

    def __init__(self, writer: Writer, stream: str, takeover: str | None) -> None:
        self.writer, self.stream, self.takeover = writer, stream, takeover

    @classmethod
    def of(cls, settings: Settings, options: Mapping[str, str], schema: StructType, *, overwrite: bool) -> StreamWriter:
        """Check what is asked for, before a task of a batch starts.

        Args:
            settings: where the rows go.
            options: as a user gave them.
            schema: of the rows.
            overwrite: whether each batch holds all rows (output mode `complete`).

        Raises:
            ConfigError: An option makes no sense.
            SchemaMismatch: The rows do not fit the dataset.
        """
        writer = Writer.of(settings, options, schema, overwrite=overwrite)
        return cls(writer, options.get("stream") or "", options.get("takeover"))

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WroteOfBatch:
        """Write the rows of a task."""
        from pyspark import TaskContext

        task = TaskContext.get()
        query = None if task is None else task.getLocalProperty(_QUERY_ID)
        if task is None or not query:
            raise SourceError(f"Spark does not say of which query this batch is ({_QUERY_ID}), so it cannot land once")
        rows = self.writer.write(iterator).rows
        return WroteOfBatch(rows, query, None if task.partitionId() else self.writer.plan)

    def commit(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803  (Spark's name)
        """Commit what all tasks of a batch wrote, unless the dataset holds the batch already.

        Raises:
            SourceGap: Another query fed the dataset, or it lacks the batches before this one.
            ContractFailed: The dataset would not meet its contract; the rows wait in quarantine, and the batch is to be done.
        """
        from dataplat.ingest._draft import carry_out

        wrote = [each for each in messages if isinstance(each, WroteOfBatch)]
        if not wrote:
            return  # no task, no rows: Spark starts one at least
        lake = self.writer.settings.open()
        for attempt in range(_TRIES):
            step = self._step(wrote, batchId)
            try:
                result = carry_out(lake, step.request.branch, step.request.message or str(step.batch), step)
            except PositionConflict:  # another driver of this query was faster: it is there now, or is refused
                if attempt == _TRIES - 1:
                    raise
            else:
                refuse_unmet(step, result)
                return

    def _step(self, wrote: Sequence[WroteOfBatch], number: int) -> BatchStep:
        from dataplat.ingest._progress import Meter

        asked = self.writer.asked
        return BatchStep(
            asked.full(),
            Meter(),
            plan=next((each.plan for each in wrote if each.plan is not None), self.writer.plan),
            tasks=[each.rows for each in wrote],
            deletes=asked.deletes,
            batch=Batch(wrote[0].query, number, self.stream),
            takeover=self.takeover,
        )

    def abort(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803  (Spark's name)
        """Leave what was written to a collection: nothing names it."""


def _without_beginning(batch: Batch, dataset: str) -> str:
    return (
        f"batch {batch.number} of query {batch.query} came, and {dataset} holds none of the batches before it: the "
        "checkpoint was used with another lake, branch or dataset, or this one was replaced, dropped or renamed since. "
        "Nothing was committed. Start with a new checkpointLocation to have all rows, or, if rows from this batch on are "
        f'what you want, with .option("takeover", "{NOTHING}")'
    )


def _of_another(batch: Batch, held: Mapping[str, Any], dataset: str) -> str:
    of = f"{dataset}{f', as stream {batch.stream},' if batch.stream else ''}"
    return (
        f"{of} holds batches 0 to {held['batch']} of query {held['query']}, and this is batch {batch.number} of query "
        f"{batch.query}: rows that both read would be there twice, and nothing was committed. If the checkpoint of the "
        "other was lost or this one should go on in its place, let this query begin where the other ended and set "
        f'.option("takeover", "{held["query"]}"): the other can then commit no more. If both are to feed it, give this '
        'one a name of its own with .option("stream", NAME)'
    )
