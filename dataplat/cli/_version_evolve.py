"""`dataplat version evolve`: other columns, the same parts."""

from __future__ import annotations

import click

from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_columns,
    complete_datasets,
    message_option,
    open_data,
    split_columns,
)
from dataplat.cli._output import print_json, short
from dataplat.errors import BadColumn

_EXAMPLE = """\
dataplat version evolve flights --add "gate string" --rename dep=departure --drop note
dataplat version evolve flights --widen delay=int64 --required carrier --order flight,carrier --plan"""


@command("evolve", example=_EXAMPLE)
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.option(
    "--drop",
    multiple=True,
    metavar="COL",
    shell_complete=complete_columns,
    help="A column that goes; older versions keep it.",
)
@click.option(
    "--rename", multiple=True, metavar="OLD=NEW", shell_complete=complete_columns, help="Another name for a column."
)
@click.option("--add", multiple=True, metavar="'COL TYPE'", help="A new column, null in all rows.")
@click.option(
    "--widen",
    multiple=True,
    metavar="COL=TYPE",
    shell_complete=complete_columns,
    help="A type that holds all values of the one there is.",
)
@click.option(
    "--nullable",
    multiple=True,
    metavar="COL",
    shell_complete=complete_columns,
    help="A column that may be null from now on.",
)
@click.option(
    "--required",
    multiple=True,
    metavar="COL",
    shell_complete=complete_columns,
    help="A column that may not be null, and is not in any row.",
)
@click.option(
    "--order",
    metavar="COLS",
    shell_complete=complete_columns,
    help="Columns that come first, as a,b,c; the others follow.",
)
@click.option("--plan", is_flag=True, help="Show what would change, and change nothing.")
@branch_option
@message_option
def evolve(
    name: str,
    drop: tuple[str, ...],
    rename: tuple[str, ...],
    add: tuple[str, ...],
    widen: tuple[str, ...],
    nullable: tuple[str, ...],
    required: tuple[str, ...],
    order: str | None,
    plan: bool,
    lake: str | None,
    as_json: bool,
    branch: str | None,
    message: str | None,
) -> None:
    """Change the columns of a dataset; no part is written anew, and older versions read as they were.

    Steps are done in the order of the options here, and each goes by the names that the last one left.
    """
    at, opened = branch_in_force(branch), open_data(lake)
    wanted: dict[str, object] = {
        "drop": list(drop),
        "rename": _pairs(rename, "--rename", "old=new"),
        "add": list(add),
        "widen": _pairs(widen, "--widen", "column=type"),
        "nullable": list(nullable),
        "required": list(required),
        "order": split_columns(order) or [],
    }
    if not any(wanted.values()):
        raise click.UsageError("name a change: --drop, --rename, --add, --widen, --nullable, --required or --order")
    planned = opened.plan_evolve(name, branch=at, **wanted)  # type: ignore[arg-type]
    facts = planned.to_dict() | {"planned": plan}
    if not plan:
        made = opened.evolve(name, branch=at, message=message or "", **wanted)  # type: ignore[arg-type]
        facts |= {"version": made.id, "commit": made.commit.id, "rows": made.rows}
    if as_json:
        print_json(facts)
        return
    for change in planned.changes:
        click.echo(f"  {change}")
    if not planned.changes:
        click.echo(f"the columns of {name}@{at} are like that already: nothing to do")
    elif plan:
        click.echo(f"would change the columns of {name}@{at}")
    else:
        click.echo(f"{name}@{at} is version {short(str(facts['version']))}, no part was written anew")


def _pairs(given: tuple[str, ...], option: str, form: str) -> dict[str, str]:
    """Return `a=b` as a mapping."""
    pairs: dict[str, str] = {}
    for text in given:
        left, equals, right = text.partition("=")
        if not (left.strip() and equals and right.strip()):
            raise click.UsageError(f"{option} wants {form}, not {text!r}")
        if left.strip() in pairs:
            raise BadColumn(f"column {left.strip()!r} is named twice by {option}")
        pairs[left.strip()] = right.strip()
    return pairs
