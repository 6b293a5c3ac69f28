"""`dataplat version compact`: fewer, larger parts of the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_datasets,
    engine_option,
    message_option,
    open_data,
    open_lake,
)
from dataplat.cli._output import note, number, print_json, size
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from dataplat._compact import CompactPlan
    from dataplat.lake.engine import Engine

_MIB = 1 << 20


@command("compact", example="dataplat version compact flights --plan\ndataplat version compact flights")
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.option("--plan", is_flag=True, help="Say what would be rewritten, and change nothing.")
@click.option("--target-mb", type=click.IntRange(min=1), metavar="MB", help="How large parts should be (MiB); else 64.")
@engine_option
@branch_option
@message_option
def compact(
    name: str,
    plan: bool,
    target_mb: int | None,
    engine: str | Engine,
    lake: str | None,
    as_json: bool,
    branch: str | None,
    message: str | None,
) -> None:
    """Join small parts of NAME, and fold deleted rows in. Rows, their order and the content id stay as they are."""
    at = branch_in_force(branch)
    target = None if target_mb is None else target_mb * _MIB
    if plan:
        _show_plan(open_lake(lake).plan_compact(name, branch=at, target_bytes=target), as_json=as_json)
        return
    with ProgressLine() as line:
        made = open_data(lake).compact(
            name, branch=at, target_bytes=target, message=message or "", progress=line, engine=engine
        )
    if as_json:
        print_json(made.to_dict())
        return
    for text in made.notes:
        note(text)
    if made.commit is not None:
        became = f"{number(made.replaced)} parts became {number(made.written)}"
        click.echo(f"{became}, {size(made.new_bytes)} written; {name}@{at} has {number(made.parts)} now")


def _show_plan(found: CompactPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(found.to_dict())
        return
    if found.nothing_to_do:
        click.echo(f"the parts of {found.dataset} ({number(found.parts)}) are as they should be")
        return
    parts = sum(map(len, found.runs))
    text = (
        f"would rewrite {number(parts)} of {number(found.parts)} parts of {found.dataset}: {number(found.rows)} rows, "
        f"{size(found.nbytes)} to read, {number(found.folded)} deleted rows to drop"
    )
    click.echo(text)
