"""`dataplat version diff | changes`: what differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_datasets,
    complete_references,
    open_data,
)
from dataplat.cli._output import cell, coloured, note, number, print_json


@command(
    "diff",
    example="dataplat version diff flights@v1 flights\ndataplat version diff flights@main~1 flights --rows -n 20",
)
@click.argument("before", metavar="A", shell_complete=complete_references)
@click.argument("after", metavar="B", shell_complete=complete_references)
@click.option("--rows", "show_rows", is_flag=True, help="Show the rows: + added, - removed, ~ changed.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="Rows of each kind.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if a row or column differs.")
def diff(before: str, after: str, show_rows: bool, limit: int, exit_code: bool, lake: str | None, as_json: bool) -> int:
    """Count, or show, the rows that differ between two versions. Only parts that differ are read."""
    found = open_data(lake).diff(before, after)
    _print(found, show_rows=show_rows, limit=limit, as_json=as_json)
    summary = found.summary
    differs = summary.added or summary.removed or summary.changed or found.schema_changes
    return _exits.DATA_FAILED if exit_code and differs else _exits.DONE


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
    _print(found, show_rows=show_rows, limit=limit, as_json=as_json)


def _print(found: Any, *, show_rows: bool, limit: int, as_json: bool) -> None:
    summary = found.summary
    if as_json:
        rows = {kind: getattr(found, kind).slice(0, limit).to_pylist() for kind in _KINDS} if show_rows else {}
        print_json({**found.to_dict(), **({"rows": rows} if show_rows else {})})
        return
    for change in found.schema_changes:
        click.echo(str(change))
    counts = [(kind, getattr(summary, kind)) for kind in _KINDS]
    told = ", ".join(f"{number(count)} {kind}" for kind, count in counts)
    click.echo(f"rows: {told}" if any(count for _, count in counts) else "no row differs")
    if show_rows:
        for line in row_lines(found, limit):
            click.echo(line)
        _say_rest(summary, limit)


_KINDS = ("added", "removed", "changed")


def row_lines(found: Any, limit: int) -> Iterator[str]:
    """Yield `+`, `-` and `~` lines; of a changed row its key and the cells that differ."""
    for kind, sign, colour in (("removed", "-", "red"), ("added", "+", "green")):
        for row in getattr(found, kind).slice(0, limit).to_pylist():
            yield coloured(f"{sign} " + "  ".join(f"{name}={cell(value)}" for name, value in row.items()), colour)
    for row in found.changed.slice(0, limit).to_pylist():
        yield coloured(f"~ {_changed_cells(row)}", "yellow")


def _changed_cells(row: dict[str, Any]) -> str:
    before, after, changed = row.pop("before"), row.pop("after"), row.pop("changed")
    key = "  ".join(f"{name}={cell(value)}" for name, value in row.items())
    cells = "  ".join(f"{name}: {cell(before.get(name))} -> {cell(after.get(name))}" for name in changed)
    return f"{key}  {cells}"


def _say_rest(summary: Any, limit: int) -> None:
    rest = [(kind, getattr(summary, kind) - limit) for kind in _KINDS if getattr(summary, kind) > limit]
    if rest:
        note("not shown: " + ", ".join(f"{number(count)} {kind}" for kind, count in rest) + "; show more with --limit")
