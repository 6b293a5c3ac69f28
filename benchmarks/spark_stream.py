"""A topic of Kafka into a lake by Structured Streaming, beside Spark's own file sink: the same topic, the same session."""

from __future__ import annotations

from benchmarks._measure import Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of, ratio
from benchmarks.kafka import PARTITIONS, RECORDS, topic_of

OURS, PLAIN = "dataplat", "Spark's file sink, Parquet"
SINKS = {OURS: "dataplat", PLAIN: "parquet"}
REACH = 1.5


def tables(settings: Settings) -> list[Table]:
    """Measure both in `local[2]`; with fewer than ten million rows (`--large`) fewer messages, to try it."""
    records = min(RECORDS, settings.large // 5)
    with topic_of(records) as topic:
        arguments = topic.server.bootstrap, topic.name, records
        results = compare(
            [
                Side(name, lambda scratch, sink=sink: side_program("spark_stream_sides", sink, *arguments, scratch))
                for name, sink in SINKS.items()
            ],
            settings.repeat,
        )

    def line(what: str, figure: str) -> Line:
        return ratio(what, of(results, OURS, figure), of(results, PLAIN, figure), REACH)

    lines = (
        line("one batch, once all is compiled", "seconds"),
        line("ten batches, once all is compiled", "batches_s"),
        line("one batch, after the session started and did a job", "cold_s"),
        line("whole processes: a session and all three", "wall"),
    )
    title = f"Kafka by Spark to a committed lake: {records:,} JSON messages of 200 bytes, {PARTITIONS} partitions"
    return [Table(title, lines, tuple(results))]
