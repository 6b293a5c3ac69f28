"""`dataplat quarantine`: rows that did not meet their contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._app import LazyGroup
from dataplat.cli._options import command, complete_datasets, complete_quarantines, message_option, open_data, open_lake
from dataplat.cli._output import counted, facts, moment, number, print_json, rows_of, table

if TYPE_CHECKING:
    from dataplat._quarantine import Quarantined

_HERE = "dataplat.cli.quarantine"
COMMANDS: dict[str, tuple[str, str]] = {
    "list": (f"{_HERE}:list_", "List what waits."),
    "show": (f"{_HERE}:show", "Show rows that wait, and why."),
    "release": (f"{_HERE}:release", "Land rows as they are."),
    "replay": (f"{_HERE}:replay", "Land rows that meet the contract now, mended if asked."),
    "drop": (f"{_HERE}:drop", "Let rows go."),
}


@click.command("quarantine", cls=LazyGroup, lazy=COMMANDS)
def quarantine(**_: Any) -> None:
    """Look at rows that did not meet their contract, mend them, land them, let them go.

    Each batch of them waits on a branch of its own, quarantine/DATASET/ID; the beginning of its ID names
    it, or DATASET/ID where equal batches of two datasets wait.
    """


@command("list", example="dataplat quarantine list\ndataplat quarantine list payments --json")
@click.argument("dataset", metavar="[DATASET]", required=False, shell_complete=complete_datasets)
def list_(dataset: str | None, lake: str | None, as_json: bool) -> None:
    """List what waits in quarantine, the newest first."""
    found = open_lake(lake).quarantine.list(dataset)
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    rows = [
        (
            each.id,
            each.dataset,
            number(each.rows),
            moment(each.time),
            each.contract,
            each.reasons[0] if each.reasons else "",
        )
        for each in found
    ]
    click.echo(table(("id", "dataset", "rows", "since", "contract", "why"), rows, right=("rows",)))


@command("show", example="dataplat quarantine show q3864b69b3019")
@click.argument("name", metavar="ID", shell_complete=complete_quarantines)
@click.option("--limit", "-n", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show.")
def show(name: str, limit: int, lake: str | None, as_json: bool) -> None:
    """Show what waits under ID: why, and its first rows."""
    found = open_data(lake).quarantine[name]
    rows = found.version.head(limit)
    if as_json:
        print_json(found.to_dict() | {"sample": rows.to_pylist()})
        return
    click.echo(facts(_facts(found)))
    for reason in found.reasons:
        click.echo(f"  {reason}")
    click.echo(rows_of(rows, limit))


def _facts(found: Quarantined) -> list[tuple[str, str]]:
    what = "all of a batch, of which nothing landed" if found.whole else "rows that failed"
    return [
        ("rows", f"{number(found.rows)}: {what}"),
        ("meant for", f"{found.dataset}@{found.target} ({found.mode})"),
        ("contract", found.contract),
        ("since", moment(found.time)),
        ("branch", found.branch),
    ]


@command("release", example='dataplat quarantine release q3864b69b3019 -m "checked by hand"')
@click.argument("name", metavar="ID", shell_complete=complete_quarantines)
@message_option
def release(name: str, message: str | None, lake: str | None, as_json: bool) -> int:
    """Land the rows that wait under ID as they are, without a contract.

    A branch that is held to a contract refuses them still.
    """
    from dataplat.cli.ingest import report

    return report(open_data(lake).quarantine.release(name, message=message), as_json=as_json)


@command(
    "replay",
    example="dataplat quarantine replay q3864b69b3019 --contract contract.py:Payments "
    '--mend "select * replace (abs(amount) as amount) from rows"',
)
@click.argument("name", metavar="ID", shell_complete=complete_quarantines)
@click.option("--contract", "-c", metavar="FILE:NAME", help="The contract; else the one that the branch is held to.")
@click.option("--mend", metavar="SQL", help="A query that gives the rows as they should be, from the table `rows`.")
@message_option
def replay(
    name: str, contract: str | None, mend: str | None, message: str | None, lake: str | None, as_json: bool
) -> int:
    """Land those rows that wait under ID and meet the contract now; others go back into quarantine."""
    from dataplat.cli.ingest import report

    waiting = open_data(lake).quarantine
    return report(waiting.replay(name, contract=contract, mend=mend, message=message), as_json=as_json)


@command("drop", example="dataplat quarantine drop q3864b69b3019")
@click.argument("name", metavar="ID", shell_complete=complete_quarantines)
def drop(name: str, lake: str | None, as_json: bool) -> int:
    """Let the rows that wait under ID go."""
    found = open_lake(lake).quarantine.drop(name)
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(
            f"{counted(found.rows, 'row')} of {found.dataset} let go; until `dataplat version gc`, {found.version.id[:12]} names them"
        )
    return _exits.DONE
