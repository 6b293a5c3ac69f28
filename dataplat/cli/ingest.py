"""`dataplat ingest`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_datasets,
    master_option,
    message_option,
    open_data,
    split_columns,
)
from dataplat.cli._output import coloured, counted, near, note, number, print_json, seconds, short, size
from dataplat.cli._progress import ProgressLine
from dataplat.cli._stream_options import stopping_in_order, stream_arguments, stream_options
from dataplat.connectors.kafka import is_kafka
from dataplat.connectors.kafka._memory import give_freed_memory_back

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.ingest import IngestResult
    from dataplat.validation import Report

_EXAMPLE = """
dataplat ingest flights.csv.zip --into flights --key flight_id
dataplat ingest 'day/*.parquet' --into flights --mode replace --where "day = 7" -m "corrected"
dataplat ingest 's3://bucket/day/*.csv' --into flights --plan
dataplat ingest delta://tables/flights --into flights --history
cat events.ndjson | dataplat ingest - --into events --format ndjson
dataplat ingest kafka://localhost:9092/orders --into orders --follow --every 5s
dataplat ingest 'days/*.csv' --into flights --engine spark --master 'local[4]'
dataplat ingest 'spark://jdbc?url=jdbc:postgresql://db/shop&dbtable=orders&user=me' --into orders
"""
_FORMATS = ["csv", "tsv", "ndjson", "json", "parquet", "arrow", "avro", "excel", "tree"]
_FORMATS += ["text", "bytes", "protobuf", "json-schema", "debezium", "registry"]


@command("ingest", example=_EXAMPLE)
@click.argument("source", metavar="SOURCE")
@click.option("--into", required=True, metavar="NAME", shell_complete=complete_datasets, help="The dataset.")
@click.option(
    "--mode",
    type=click.Choice(["append", "upsert", "replace"]),
    help="append (the default) adds rows; upsert replaces rows of equal key; replace makes the rows the dataset, or its "
    "--where slice. Change events are upserted.",
)
@click.option("--where", metavar="EXPR", help="With replace: the slice, as a SQL condition on columns.")
@click.option("--key", metavar="COLS", help="Columns that name a row, with commas between: day,flight.")
@click.option("--sort", metavar="COLS", help="Columns to lay new parts out by, so that reads can skip parts.")
@click.option("--order", metavar="COL", help="With upsert: of several rows of one key the one highest here wins.")
@click.option("--contract", metavar="FILE:NAME", help="A pandera model or schema that the dataset must meet.")
@click.option(
    "--schema",
    metavar="FILE",
    help="Types instead of guessing: what `version schema REF --json` prints. Of Avro messages: FILE.avsc.",
)
@click.option("--null", "null_words", metavar="WORDS", help="Words that mean null, with commas between: NA,-.")
@click.option(
    "--format",
    "source_format",
    metavar="NAME",
    type=click.Choice(_FORMATS),
    help="Of files: csv, tsv, ndjson, json, parquet, arrow, avro, excel; tree: the files of a folder themselves. Of "
    "messages: json, text, bytes, avro, protobuf, json-schema, debezium, registry (what that says).",
)
@click.option(
    "--on-error",
    type=click.Choice(["reject", "fail"]),
    default="reject",
    show_default=True,
    help="reject: bad records go to NAME.rejects, the rest lands; fail: nothing lands.",
)
@stream_options
@click.option("--history", is_flag=True, help="Of a Delta or Iceberg table: make every state that is left a version.")
@click.option(
    "--engine",
    type=click.Choice(["local", "spark"]),
    default="local",
    show_default=True,
    help="Who reads and writes: this process, or tasks of Spark (of files, and of what Spark reads itself).",
)
@master_option
@click.option("--plan", "only_plan", is_flag=True, help="Say what would happen, and touch nothing.")
@branch_option
@message_option
def ingest(
    source: str, into: str, lake: str | None, as_json: bool, only_plan: bool, branch: str | None, **options: Any
) -> int:
    """Land SOURCE as a new version of the dataset NAME.

    SOURCE is a file (CSV, TSV, NDJSON, JSON, Parquet, Arrow, Avro, Excel; each also packed by gzip, zstd, bz2,
    xz or zip), a glob in quotes, a folder, each also at s3://, gs:// or hdfs://, or - for standard input. Files that
    were landed before are left out.
    Or it is a table that others version, each state of which replaces the one before: delta://PATH[@VERSION],
    iceberg://PATH[@SNAPSHOT], dvc://REPO/PATH[@REVISION] (every Git revision, where none is named); A..B is a range.
    Or it is a stream, kafka://HOST:PORT/TOPIC: what is read and how far it was read are one commit, so that a crash
    loses nothing and doubles nothing. Without --follow it is read to the end that it has now.
    Or it is what Spark reads: spark://FORMAT/PATH?option=value (orc, jdbc, …), spark://table/NAME.
    """
    if is_kafka(source):
        give_freed_memory_back()
    opened = open_data(lake)
    arguments = _arguments(options, branch_in_force(branch))
    with _telling_how_to_branch(arguments["branch"]):
        return _ingest(opened, source, into, arguments, as_json=as_json, only_plan=only_plan)


def _ingest(opened: Lake, source: str, into: str, arguments: dict[str, Any], *, as_json: bool, only_plan: bool) -> int:
    if only_plan:
        plan = opened.plan_ingest(source, into, **arguments)
        if as_json:
            print_json(plan.to_dict())
        else:
            click.echo(near("\n".join(plan.lines())))
        return _exits.DONE
    with ProgressLine() as line, stopping_in_order() if is_kafka(source) else nullcontext() as stop:
        result = opened.ingest(source, into, progress=line, stop=stop, **arguments)
    return report(result, as_json=as_json)


@contextmanager
def _telling_how_to_branch(branch: str) -> Iterator[None]:
    """Add to the error of a missing branch how to make it: who lands there may well want it."""
    from dataplat.errors import BranchNotFound

    try:
        yield
    except BranchNotFound as error:
        said = str(error)
        end = "" if said.endswith("?") else "."
        raise BranchNotFound(f"{said}{end} To make it: dataplat version branch create {branch}") from error


def _arguments(options: dict[str, Any], branch: str) -> dict[str, Any]:
    """Return the flags as the arguments of `Lake.ingest`."""
    words = options["null_words"]
    return {
        "mode": options["mode"],
        "where": options["where"],
        "key": split_columns(options["key"]),
        "sort": split_columns(options["sort"]),
        "order": options["order"],
        "contract": options["contract"],
        "schema": read_schema(options["schema"]),
        "null": tuple(words.split(",")) if words else (),
        "on_error": options["on_error"],
        "source_format": options["source_format"],
        "history": options["history"],
        "engine": options["engine"],
        "master": options["master"],
        **stream_arguments(options),
        "branch": branch,
        "message": options["message"],
    }


def read_schema(path: str | None) -> Any:
    """Read an Arrow schema from the JSON that `version schema --json` prints; raise `ConfigError` if it is none."""
    if path is None:
        return None
    import json

    from dataplat.errors import ConfigError
    from dataplat.lake.schema import schema_from_json

    try:
        fields = json.loads(Path(path).read_text("utf-8"))
        if isinstance(fields, dict) and fields.get("type") == "record":
            return fields  # of Avro
        return schema_from_json(fields["columns"] if isinstance(fields, dict) else fields)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"--schema {path}: cannot be read ({error}); write what `dataplat version schema REF --json` prints: "
            f'a list of {{"name": …, "type": …, "nullable": …}}'
        ) from error


def report(result: IngestResult, *, as_json: bool) -> int:
    """Print what an ingest did, and return the exit code it ends in."""
    code = exit_code(result)
    if as_json:
        print_json(result.to_dict())
        return code
    version = result.version
    where = f"{result.dataset}@{result.branch}"
    if result.nothing_to_do:
        click.echo(f"nothing to do for {where}")
    elif version is None or result.commit is None:
        click.echo(f"nothing landed in {where}")
    else:
        changes = f"+{number(result.rows_added)} -{number(result.rows_deleted)} rows"
        click.echo(f"{coloured(where, 'bold')}  {changes}, now {number(version.rows)}")
        click.echo(f"version {short(version.id)}  commit {short(result.commit)}")
        click.echo(f"{size(result.new_bytes)} written in {seconds(result.seconds)}")
    for text in result.notes:
        note(text)
    if result.report is not None:
        _say_contract(result.report)
    if result.rows_rejected:
        look = f"dataplat version head {result.dataset}.rejects@{result.branch}"
        note(f"{counted(result.rows_rejected, 'record was', 'records were')} rejected; look: {look}")
    if result.rows_suppressed:
        note(f"{counted(result.rows_suppressed, 'row was', 'rows were')} erased before, and did not land")
    if result.rows_quarantined:
        look = f"dataplat quarantine show {(result.quarantine or '').rpartition('/')[2]}"
        note(f"{counted(result.rows_quarantined, 'row is', 'rows are')} in quarantine; look: {look}")
    return code


def _say_contract(found: Report) -> None:
    """Say how many checks passed, and show those that did not."""
    passed = sum(check.status == "passed" for check in found.checks)
    click.echo(f"contract {found.contract}: {number(passed)} of {counted(len(found.checks), 'check')} passed")
    for check in found.checks:
        if check.status != "passed":
            note(f"  {check.line()}")


def exit_code(result: IngestResult) -> int:
    """Return 1 where data was refused and nothing of it landed, else 0."""
    refused = result.rows_rejected or result.rows_quarantined
    return _exits.DATA_FAILED if refused and not result.rows_added else _exits.DONE
