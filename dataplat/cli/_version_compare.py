"""`dataplat version diff | changes`: what differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_datasets,
    complete_references,
    engine_option,
    open_data,
)
from dataplat.cli._output import cell, coloured, json_text, note, number, size, table

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.lake.engine import Engine
    from dataplat.versioning.diff import Diff, LakeDiff


@command(
    "diff",
    example="dataplat version diff flights@v1 flights\n"
    "dataplat version diff flights@main~1 flights --rows -n 20\n"
    "dataplat version diff flights@v1 flights --format html -o diff.html\n"
    "dataplat version diff @v1 @main",
)
@click.argument("before", metavar="A", shell_complete=complete_references)
@click.argument("after", metavar="B", shell_complete=complete_references)
@click.option("--rows", "show_rows", is_flag=True, help="Show the rows: + added, - removed, ~ changed.")
@click.option("--columns", "show_columns", is_flag=True, help="Show in how many changed rows each column differs.")
@click.option(
    "--stats", "show_stats", is_flag=True, help="Show nulls, bounds and means of each column in both versions."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "parquet", "html"]),
    default="table",
    show_default=True,
    help="What to print or write; parquet holds all rows that differ.",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False), metavar="FILE", help="Write there instead of printing."
)
@click.option("--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="Rows of each kind.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if a row or column differs.")
@engine_option
def diff(
    before: str,
    after: str,
    show_rows: bool,
    show_columns: bool,
    show_stats: bool,
    form: str,
    output: str | None,
    limit: int,
    exit_code: bool,
    engine: str | Engine,
    lake: str | None,
    as_json: bool,
) -> int:
    """Count, or show, what differs between two versions of a dataset. Only parts that differ are read.

    Where neither A nor B names a dataset (`@v1 @main`), every dataset of the lake that differs is listed.
    """
    opened, form = open_data(lake), "json" if as_json else form
    shown = _shown(show_rows, show_columns, show_stats)
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet needs a file to write: add -o FILE")
    if before.startswith("@") and after.startswith("@"):
        if engine != "local":
            raise click.UsageError(f"--engine spark is for one dataset: name it, as in stock{before} stock{after}")
        return _whole(opened, before, after, form, output, exit_code, shown)
    found = opened.diff(before, after, engine=engine)
    if form == "parquet":
        _write_parquet(found, str(output))
    elif form == "html":
        _deliver(found.to_html(limit, f"{before} → {after}"), output)
    elif form == "json":
        _deliver(json_text(_document(found, shown, limit)), output)
    else:
        _deliver("\n".join(_lines(found, shown, limit)), output)
    return _exits.DATA_FAILED if exit_code and not found.is_empty else _exits.DONE


@command("changes", example="dataplat version changes flights --since flights@v1 --rows")
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.option("--since", required=True, metavar="REF", shell_complete=complete_references, help="The version before.")
@click.option("--rows", "show_rows", is_flag=True, help="Show the rows.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="Rows of each kind.")
@branch_option
def changes(
    name: str, since: str, show_rows: bool, limit: int, lake: str | None, as_json: bool, branch: str | None
) -> None:
    """Show the rows that came and went since a version, up to the newest of the branch."""
    found = open_data(lake).changes(name, since=since, to=branch_in_force(branch))
    shown = {"rows"} if show_rows else set()
    _deliver(json_text(_document(found, shown, limit)) if as_json else "\n".join(_lines(found, shown, limit)), None)


_KINDS = ("added", "removed", "changed")


def _shown(rows: bool, columns: bool, stats: bool) -> set[str]:
    return {name for name, wanted in (("rows", rows), ("columns", columns), ("stats", stats)) if wanted}


def _whole(
    opened: Lake, before: str, after: str, form: str, output: str | None, exit_code: bool, shown: set[str]
) -> int:
    """List the datasets of a lake that differ."""
    if form in {"parquet", "html"} or shown:
        asked = f"--format {form}" if form in {"parquet", "html"} else f"--{min(shown)}"
        raise click.UsageError(f"{asked} is for one dataset: name it, as in stock{before} stock{after}")
    found = opened.compare(before, after)
    _deliver(json_text(found.to_dict()) if form == "json" else _listing(found), output)
    return _exits.DATA_FAILED if exit_code and not found.is_empty else _exits.DONE


def _listing(found: LakeDiff) -> str:
    if found.is_empty:
        return "no dataset differs"
    rows = [
        (
            one.dataset,
            f"renamed from {one.before}" if one.kind == "renamed" else one.kind,
            *(number(getattr(one, kind)) for kind in _KINDS),
            "; ".join(one.schema_changes),
        )
        for one in found.datasets
    ]
    return table(("dataset", "what", *_KINDS, "schema"), rows, right=_KINDS)


def _document(found: Diff, shown: set[str], limit: int) -> dict[str, Any]:
    """Return what `--json` prints."""
    from dataclasses import asdict

    document = found.to_dict()
    if "rows" in shown:
        document["rows"] = {kind: found.head(kind, limit).to_pylist() for kind in _KINDS}
    if "columns" in shown:
        document["columns"] = [asdict(column) for column in found.columns]
    if "stats" in shown:
        document["stats"] = [asdict(column) for column in found.stats]
    return document


def _lines(found: Diff, shown: set[str], limit: int) -> Iterator[str]:
    """Yield what people read."""
    summary = found.summary
    for change in found.schema_changes:
        yield str(change)
    counts = [(kind, getattr(summary, kind)) for kind in _KINDS]
    told = ", ".join(f"{number(count)} {kind}" for kind, count in counts)
    yield f"rows: {told}" if any(count for _, count in counts) else "no row differs"
    if "columns" in shown:
        yield _columns(found)
    if "stats" in shown:
        yield _stats(found)
    if "rows" in shown:
        yield from row_lines(found, limit)
        _say_rest(summary, limit)


def _columns(found: Diff) -> str:
    rows = [
        (one.name, one.before or "", one.after or "", number(one.cells), f"{one.share:.1%}", ", ".join(one.changes))
        for one in found.columns
    ]
    return table(("column", "before", "after", "cells", "of changed", "schema"), rows, right=("cells", "of changed"))


def _stats(found: Diff) -> str:
    """Return two lines a column, of which the second says what the later version has; equal ones are one line."""
    rows = []
    for one in found.stats:
        sides = [("both", one.after)] if not one.differs else [("before", one.before), ("after", one.after)]
        for side, known in sides:
            if known is not None:
                mean = "" if known.mean is None else f"{known.mean:.6g}"
                bounds = ["" if bound is None else cell(bound, 30) for bound in (known.low, known.high)]
                counts = [number(count) for count in (known.rows, known.nulls, known.nans)]
                rows.append((one.name, side, *counts, *bounds, mean))
    headers = ("column", "version", "rows", "nulls", "NaN", "least", "greatest", "mean")
    return table(headers, rows, right=("rows", "nulls", "NaN", "mean"))


def row_lines(found: Diff, limit: int) -> Iterator[str]:
    """Yield `+`, `-` and `~` lines; of a changed row its key and the cells that differ."""
    for kind, sign, colour in (("removed", "-", "red"), ("added", "+", "green")):
        for row in found.head(kind, limit).to_pylist():
            yield coloured(f"{sign} " + "  ".join(f"{name}={cell(value)}" for name, value in row.items()), colour)
    for row in found.head("changed", limit).to_pylist():
        yield coloured(f"~ {_changed_cells(row)}", "yellow")


def _changed_cells(row: dict[str, Any]) -> str:
    *key, (_, changed), (_, before), (_, after) = row.items()
    named = "  ".join(f"{name}={cell(value)}" for name, value in key)
    cells = "  ".join(f"{name}: {cell(before.get(name))} -> {cell(after.get(name))}" for name in changed)
    return f"{named}  {cells}"


def _say_rest(summary: Any, limit: int) -> None:
    rest = [(kind, getattr(summary, kind) - limit) for kind in _KINDS if getattr(summary, kind) > limit]
    if rest:
        note("not shown: " + ", ".join(f"{number(count)} {kind}" for kind, count in rest) + "; show more with --limit")


def _write_parquet(found: Diff, output: str) -> None:
    import pyarrow.parquet as pq

    rows = found.to_arrow()
    pq.write_table(rows, output, compression="zstd")
    click.echo(f"{number(rows.num_rows)} rows that differ in {output}, {size(Path(output).stat().st_size)}")


def _deliver(text: str, output: str | None) -> None:
    """Print, or write to a file and say so."""
    if output is None:
        click.echo(text)
        return
    Path(output).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    note(f"written: {output}, {size(Path(output).stat().st_size)}")
