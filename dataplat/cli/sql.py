"""`dataplat sql`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dataplat.cli import _exits
from dataplat.cli._options import branch_in_force, branch_option, command, complete_datasets, message_option, open_data
from dataplat.cli._output import note, number, plain, rows_of
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from dataplat._query import Query
    from dataplat.ingest._request import Mode

_EXAMPLE = """
dataplat sql 'select carrier, avg(dep_delay) from "flights@v1" group by 1 order by 2 desc'
dataplat sql 'select * from flights join weather using (time_hour, origin)' --into training
"""


@command("sql", example=_EXAMPLE)
@click.argument("query", metavar="QUERY")
@click.option("--into", metavar="NAME", shell_complete=complete_datasets, help="Land the result as this dataset.")
@click.option("--mode", type=click.Choice(["append", "replace"]), default="replace", show_default=True)
@click.option("--limit", "-n", type=click.IntRange(min=0), default=40, show_default=True, help="Rows to show.")
@branch_option
@message_option
def sql(
    query: str,
    into: str | None,
    mode: Mode,
    limit: int,
    lake: str | None,
    as_json: bool,
    branch: str | None,
    message: str | None,
) -> int:
    """Run QUERY (DuckDB's SQL; - reads it from standard input) over versions.

    A dataset's name stands for its newest version on the branch; other references are quoted: "flights@v1". With
    --into the result is a version whose lineage names the versions that it was made from.
    """
    text = sys.stdin.read() if query == "-" else query
    branch = branch_in_force(branch)
    asked = open_data(lake).sql(text, branch=branch)
    if into:
        from dataplat.cli.ingest import report

        with ProgressLine() as line:
            result = asked.commit(into=into, mode=mode, message=message or "", branch=branch, progress=line)
        return report(result, as_json=as_json)
    if as_json:
        _print_rows(asked)
    else:
        _print_table(asked, limit)
    return _exits.DONE


def _print_table(asked: Query, limit: int) -> None:
    """Print the first rows; a row beyond them is asked for only to know that there are more."""
    import pyarrow as pa

    batches, rows = [], 0
    for batch in asked.batches():
        batches.append(batch)
        rows += batch.num_rows
        if rows > limit:
            break
    found = pa.Table.from_batches(batches, schema=batches[0].schema if batches else asked.schema)
    click.echo(rows_of(found, limit))
    if rows > limit:
        note(f"the first {number(limit)} rows; more with --limit, all with --json, or land them with --into NAME")


def _print_rows(asked: Query) -> None:
    """Print all rows as one JSON list, a row a line, batch by batch."""
    import json

    click.echo("[", nl=False)
    between = "\n"
    for batch in asked.batches():
        for row in batch.to_pylist():
            click.echo(between + json.dumps(plain(row), ensure_ascii=False, allow_nan=False), nl=False)
            between = ",\n"
    click.echo("\n]")
