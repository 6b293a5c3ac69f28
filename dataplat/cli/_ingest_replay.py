"""`dataplat ingest replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_datasets,
    message_option,
    open_data,
)
from dataplat.cli._output import coloured, counted, note, number, print_json, short
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from dataplat.ingest import ReplayResult

_EXAMPLE = """
dataplat ingest replay events --plan
dataplat ingest replay events --from-rejects "schema_id = 7" --registry http://localhost:8081
dataplat ingest replay events --from-rejects "\\"column\\" = 'price'" --schema events.json -m "price is mended"
"""
_FORMATS = ["json", "text", "bytes", "avro", "protobuf", "json-schema", "debezium", "registry"]


@command("replay", example=_EXAMPLE)
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.option(
    "--from-rejects",
    metavar="WHERE",
    help="Which of NAME.rejects, as a SQL condition on its columns (topic, partition, offset, schema_id, column, error); "
    "else all.",
)
@click.option(
    "--format",
    "source_format",
    metavar="NAME",
    type=click.Choice(_FORMATS),
    help=f"What messages are: {', '.join(_FORMATS)} (what that says). The default is json, with --registry registry.",
)
@click.option("--registry", metavar="URL", help="The schema registry that has the schemas of the messages.")
@click.option("--schema", metavar="FILE", help="Types instead of guessing, or (of Avro messages) FILE.avsc.")
@click.option(
    "--older", is_flag=True, help="Land also what may be older than the state that the dataset has of its key."
)
@click.option("--plan", "only_plan", is_flag=True, help="Say what would happen, and touch nothing.")
@branch_option
@message_option
def replay(name: str, lake: str | None, as_json: bool, branch: str | None, only_plan: bool, **options: Any) -> int:
    """Land the records in NAME.rejects that can be read now, and take them out of it.

    For when what rejected them is mended: the registry knows the schema, the column has a wider type, the format is the
    right one. Both are one commit, so each record lands once, wherever it is killed and whoever replays at the same
    time. Only records of streams can be replayed; files are mended and ingested again.

    In a dataset with a key, a record stays where it is not known to be newer than what the dataset holds of its key
    (that is known where rows keep _partition and _offset), unless --older says to land it. Ends with 1 where records
    were tried and none could land.
    """
    from dataplat.cli.ingest import read_schema

    given = {
        "source_format": options["source_format"],
        "registry": options["registry"],
        "schema": read_schema(options["schema"]),
        "older": options["older"],
        "message": options["message"],
        "branch": branch_in_force(branch),
        "plan": only_plan,
    }
    with ProgressLine() as line:
        result = open_data(lake).replay(name, options["from_rejects"], progress=line, **given)
    if as_json:
        print_json(result.to_dict())
    else:
        _say(result, planned=only_plan)
    return _exits.DATA_FAILED if result.tried and not result.landed else _exits.DONE


def _say(result: ReplayResult, *, planned: bool) -> None:
    where = f"{result.dataset}@{result.branch}"
    verb = "would land" if planned else "landed"
    click.echo(
        f"{coloured(where, 'bold')}  {number(result.landed)} of {counted(result.tried, 'rejected record')} {verb}: "
        f"+{number(result.rows_added)} -{number(result.rows_deleted)} rows"
    )
    if result.version is not None and result.commit is not None:
        click.echo(f"version {short(result.version.id)}  commit {short(result.commit)}")
    if result.still_rejected:
        note(f"{counted(result.still_rejected, 'record')} cannot be read yet")
    if result.older:
        note(f"{counted(result.older, 'record')} may be older than what the dataset holds; to land them: --older")
    for one in result.waiting:
        note(f"  {one}")
    if result.of_files:
        note(f"{counted(result.of_files, 'reject')} of files cannot be replayed: mend the file, and ingest it again")
    for text in result.notes:
        note(text)
