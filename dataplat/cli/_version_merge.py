"""`dataplat version merge | conflicts | cherry-pick | revert`: bring branches together, or undo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import (
    F,
    command,
    complete_branches,
    complete_datasets,
    complete_points,
    message_option,
    open_data,
)
from dataplat.cli._output import cell, counted, note, number, print_json, room, short, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataplat._merge import MergeResult

_LIMITS = (60, 40, 30, 22, 16, 12, 8)
"""How long a cell of a conflict may be, the longest that fits; a side is never left out."""

_POLICIES = click.Choice(["ours", "theirs", "newest"])


def branch_that_moves(flag: str) -> Callable[[F], F]:
    """Add the branch that moves, as the option `flag`."""
    return click.option(
        flag, metavar="BRANCH", default="main", show_default=True, shell_complete=complete_branches,
        help="The branch that moves.",
    )  # fmt: skip


into_option = branch_that_moves("--into")
commit_argument = click.argument("commit", metavar="COMMIT", shell_complete=complete_points)
resolve_option = click.option(
    "--resolve", type=click.Path(dir_okay=False), metavar="FILE", help="As of `version conflicts`."
)
policy_option = click.option("--policy", type=_POLICIES, help="What settles conflicts; ours is the branch that moves.")
plan_option = click.option("--plan", "dry", is_flag=True, help="Say what would happen, and touch nothing.")
dataset_option = click.option(
    "--dataset", "datasets", metavar="NAME", multiple=True, shell_complete=complete_datasets,
    help="Merge only this dataset (may be repeated).",
)  # fmt: skip


@command("merge", example="dataplat version merge exp --plan\ndataplat version merge exp --into main --policy theirs")
@click.argument("source", metavar="FROM", shell_complete=complete_points)
@into_option
@dataset_option
@policy_option
@click.option("--contract", "-c", metavar="FILE:NAME", help="What the merged dataset has to meet.")
@plan_option
@message_option
def merge(
    source: str,
    into: str,
    datasets: tuple[str, ...],
    policy: Any,
    contract: str | None,
    dry: bool,
    message: str | None,
    lake: str | None,
    as_json: bool,
) -> int:
    """Bring what FROM has into a branch, by rows and columns, all datasets in one commit.

    Where both changed one thing otherwise nothing moves, unless a policy settles it: see `version conflicts`. A plan asks
    the contracts that the branch is held to, and ends with 1 where one would refuse the merge.
    """
    opened = open_data(lake)
    if dry:
        result = opened.plan_merge(source, into, list(datasets) or None, policy, contract=contract)
    else:
        result = opened.merge(source, into, list(datasets) or None, policy, message=message or "", contract=contract)
    _report(result, dry=dry, as_json=as_json)
    return _exits.DATA_FAILED if result.refused else _exits.DONE


@command(
    "conflicts",
    example="dataplat version conflicts exp --format csv -o conflicts.csv\n"
    "dataplat version conflicts exp --resolve conflicts.csv",
)
@click.argument("source", metavar="[FROM]", required=False, shell_complete=complete_points)
@into_option
@dataset_option
@click.option(
    "--resolve", type=click.Path(dir_okay=False), metavar="FILE",
    help="Finish the merge with the table whose column `resolution` is filled: ours, theirs, base or value:<JSON>.",
)  # fmt: skip
@click.option(
    "--format", "kind", type=click.Choice(["table", "json", "csv", "parquet"]), default="table", show_default=True,
    help="How to write the table.",
)  # fmt: skip
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Where to.")
@message_option
def conflicts(
    source: str | None,
    into: str,
    datasets: tuple[str, ...],
    resolve: str | None,
    kind: str,
    output: Path | None,
    message: str | None,
    lake: str | None,
    as_json: bool,
) -> None:
    """Show what both branches changed, each otherwise, or finish the merge with what was decided.

    Without FROM it is the last merge into the branch that stopped.
    """
    from dataplat._merge import stopped_or

    opened = open_data(lake)
    reference, names = stopped_or(opened, source, into, datasets)
    if resolve is not None:
        result = opened.merge(reference, into, names, resolve=resolve, message=message or "")
        _report(result, dry=False, as_json=as_json)
        return
    found = opened.plan_merge(reference, into, names).conflicts
    _write(found, "json" if as_json else kind, output)


def _write(found: Any, kind: str, output: Path | None) -> None:
    """Write the table of conflicts to a file or to standard output."""
    if kind == "parquet" and output is None:
        raise click.UsageError("Parquet goes to a file: name one with -o")
    if output is None:
        if kind == "json":
            print_json(found.to_pylist())
        elif kind == "csv":
            click.echo(_csv(found), nl=False)
        else:
            click.echo(_shown(found.drop_columns(["resolution"])) if found.num_rows else "no conflicts")
        return
    if kind == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(found, output)
    elif kind == "json":
        import json

        output.write_text(json.dumps(found.to_pylist(), ensure_ascii=False, indent=2) + "\n", "utf-8")
    else:
        output.write_text(_csv(found) if kind == "csv" else _shown(found) + "\n", "utf-8", newline="")
    note(f"wrote {counted(found.num_rows, 'conflict')} to {output}")


def _shown(found: Any) -> str:
    """Return the table for people: of whole rows the columns that differ, all sides, cut as the terminal is narrow."""
    from dataplat.versioning.merge import in_short

    sides = ("base", "ours", "theirs")
    rows = [
        row | dict(zip(sides, in_short(row["kind"], *(row[side] for side in sides)), strict=True))
        for row in found.to_pylist()
    ]
    names = found.column_names
    for limit in _LIMITS:
        cells = [[cell(row[name], limit) for name in names] for row in rows]
        widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
        if sum(widths) + 2 * (len(names) - 1) <= room():
            break
    return table(names, cells)


def _csv(found: Any) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.column_names)
    writer.writerows([["" if cell is None else cell for cell in row.values()] for row in found.to_pylist()])
    return text.getvalue()


@command("cherry-pick", example="dataplat version cherry-pick exp~1 --onto main")
@commit_argument
@branch_that_moves("--onto")
@policy_option
@resolve_option
@message_option
def cherry_pick(
    commit: str, onto: str, policy: Any, resolve: str | None, message: str | None, lake: str | None, as_json: bool
) -> None:
    """Do on a branch what one COMMIT did to its datasets: `exp`, `exp~1`, `id:…`."""
    result = open_data(lake).cherry_pick(commit, onto, policy, resolve, message or "")
    _report(result, dry=False, as_json=as_json)


@command("revert", example="dataplat version revert main~1 -m 'those prices were wrong'")
@commit_argument
@branch_that_moves("--on")
@policy_option
@resolve_option
@message_option
def revert(
    commit: str, on: str, policy: Any, resolve: str | None, message: str | None, lake: str | None, as_json: bool
) -> None:
    """Undo on a branch what one COMMIT did to its datasets; what came since stays."""
    result = open_data(lake).revert(commit, on, policy, resolve, message or "")
    _report(result, dry=False, as_json=as_json)


def _report(result: MergeResult, *, dry: bool, as_json: bool) -> None:
    if as_json:
        print_json(result.to_dict())
        return
    if result.note:
        click.echo(result.note)
        return
    if result.datasets:
        heads = ("dataset", "what", "added", "removed", "changed", "of both")
        click.echo(table(heads, [_line(dataset) for dataset in result.datasets], heads[2:]))
    for dataset in result.datasets:
        for change in dataset.columns:
            click.echo(f"{dataset.dataset}: {change}")
    left = sum(not row for row in result.conflicts.column("resolution").to_pylist())
    settled = result.conflicts.num_rows - left
    if settled:
        click.echo(f"{counted(settled, 'conflict')} settled")
    if left:
        click.echo(f"{counted(left, 'conflict')} to settle: dataplat version conflicts")
    if result.refused:
        click.echo(f"this would be refused: {result.refused}")
    done = "nothing was touched: this is a plan" if dry else f"{result.branch} is at commit {short(result.commit)}"
    click.echo(done)


def _line(dataset: Any) -> tuple[str, ...]:
    name = f"{dataset.dataset} (was {dataset.renamed_from})" if dataset.renamed_from else dataset.dataset
    counts = (dataset.rows_added, dataset.rows_removed, dataset.rows_changed, dataset.rows_merged)
    return (name, dataset.action, *map(number, counts))
