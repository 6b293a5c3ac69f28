"""`dataplat version rollback | delete | drop | rename | describe`: new versions without new data."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_datasets,
    complete_references,
    message_option,
    open_data,
    open_lake,
)
from dataplat.cli._output import number, print_json, short

_ROLLBACK_EXAMPLE = """
dataplat version rollback flights@main~1 -m 'the fix was wrong'
dataplat version rollback --all @v1
"""


@command("rollback", example=_ROLLBACK_EXAMPLE)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
@click.option("--all", "all_", is_flag=True, help="Every dataset as it was at @REF; newer ones are dropped.")
@branch_option
@message_option
def rollback(
    reference: str, all_: bool, lake: str | None, as_json: bool, branch: str | None, message: str | None
) -> None:
    """Make the version REF of its dataset the newest again, positions too. History stays.

    With --all, REF names a state of the lake (@v1, @main~3), and all of it is one commit.
    """
    at = branch_in_force(branch)
    if all_:
        whole = open_lake(lake).rollback(reference, all=True, branch=at, message=message or "")
        names = [] if whole is None else sorted(whole.changes)
        done = {"branch": at, "to": reference, "commit": None if whole is None else whole.id, "datasets": names}
        text = f"{at} is as at {reference} again: {', '.join(names)}" if names else f"{at} is as at {reference} already"
        _say(done, text, as_json=as_json)
        return
    opened = open_lake(lake)
    before = opened.refs.head(at).commit_id
    made = opened.rollback(reference, branch=at, message=message or "")
    when = "already" if opened.refs.head(at).commit_id == before else "again"
    facts = {"dataset": made.dataset, "branch": at, "version": made.id, "rows": made.rows, "commit": made.commit.id}
    _say(facts, f"{made.dataset}@{at} is version {short(made.id)} {when}, {number(made.rows)} rows", as_json=as_json)


@command("delete", example='dataplat version delete flights --where "carrier = \'XX\'" -m "test flights"')
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.option("--where", required=True, metavar="EXPR", help="A SQL condition on columns.")
@branch_option
@message_option
def delete(name: str, where: str, lake: str | None, as_json: bool, branch: str | None, message: str | None) -> int:
    """Delete the rows for which EXPR holds. Older versions keep them."""
    from dataplat.cli.ingest import report

    result = open_data(lake).delete(name, where=where, branch=branch_in_force(branch), message=message or "")
    return report(result, as_json=as_json)


@command("drop", example="dataplat version drop scratch")
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@branch_option
@message_option
def drop(name: str, lake: str | None, as_json: bool, branch: str | None, message: str | None) -> None:
    """Remove a dataset from a branch. Its older versions can be rolled back to."""
    at = branch_in_force(branch)
    open_lake(lake).drop(name, branch=at, message=message or "")
    _say({"dropped": name, "branch": at}, f"dropped {name} from {at}", as_json=as_json)


@command("rename", example="dataplat version rename flights flights_2013")
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.argument("new", metavar="NEW")
@branch_option
@message_option
def rename(name: str, new: str, lake: str | None, as_json: bool, branch: str | None, message: str | None) -> None:
    """Give a dataset another name, its history with it."""
    at = branch_in_force(branch)
    open_lake(lake).rename(name, new, branch=at, message=message or "")
    _say({"renamed": name, "to": new, "branch": at}, f"renamed {name} to {new} on {at}", as_json=as_json)


@command("describe", example="dataplat version describe flights 'All departures from New York in 2013.'")
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.argument("text", metavar="TEXT")
@branch_option
def describe(name: str, text: str, lake: str | None, as_json: bool, branch: str | None) -> None:
    """Say in TEXT what a dataset is; `version show` shows it."""
    at = branch_in_force(branch)
    open_lake(lake).describe(name, text, branch=at)
    _say({"described": name, "branch": at, "text": text}, f"described {name} on {at}", as_json=as_json)


def _say(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        click.echo(text)
