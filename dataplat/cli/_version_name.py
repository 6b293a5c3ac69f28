"""`dataplat version tag | tags | branch`: names for versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataplat.cli._app import LazyGroup
from dataplat.cli._options import command, complete_branches, complete_points, message_option, open_lake
from dataplat.cli._output import moment, note, print_json, short, table, utc

if TYPE_CHECKING:
    from dataplat.versioning.refs import Record, Tag

_TAG_EXAMPLE = "dataplat version tag v1\ndataplat version tag before-fix main"


@command("tag", example=_TAG_EXAMPLE)
@click.argument("name", metavar="NAME")
@click.argument("reference", metavar="[REF]", default="main", shell_complete=complete_points)
@message_option
def tag(name: str, reference: str, message: str | None, lake: str | None, as_json: bool) -> None:
    """Name a state of the lake (default: the newest of main) for ever: a tag never moves."""
    made = open_lake(lake).tag(name, reference, message=message or "")
    if as_json:
        print_json(_tag(made))
    else:
        click.echo(f"tagged {made.name}  commit {short(made.commit_id)}")


@command("tags", example="dataplat version tags --json")
def tags(lake: str | None, as_json: bool) -> None:
    """List the tags."""
    found = open_lake(lake).tags()
    if as_json:
        print_json([_tag(item) for item in found])
        return
    rows = [(item.name, short(item.commit_id), moment(item.time), item.actor, item.message) for item in found]
    click.echo(table(("tag", "commit", "time", "by", "message"), rows))
    if not found:
        note("no tag yet; make one: dataplat version tag NAME")


def _tag(item: Tag) -> dict[str, Any]:
    named = {"name": item.name, "commit": item.commit_id, "time": utc(item.time), "by": item.actor}
    return {**named, "message": item.message}


def _branch(item: Record) -> dict[str, Any]:
    return {"name": item.branch, "commit": item.commit_id, "time": utc(item.time), "by": item.actor}


@click.command(
    "branch",
    cls=LazyGroup,
    lazy={
        "list": (f"{__name__}:branch_list", "List the branches."),
        "create": (f"{__name__}:branch_create", "Create a branch; no data is copied."),
        "delete": (f"{__name__}:branch_delete", "Delete a branch; its versions stay reachable by id until collected."),
    },
)
def branch(**_: Any) -> None:
    """List, create and delete branches."""


@command("list", example="dataplat version branch list")
def branch_list(lake: str | None, as_json: bool) -> None:
    """List the branches."""
    found = open_lake(lake).branches()
    if as_json:
        print_json([_branch(item) for item in found])
        return
    rows = [(item.branch, short(item.commit_id), moment(item.time), item.actor) for item in found]
    click.echo(table(("branch", "commit", "moved", "by"), rows))


@command("create", example="dataplat version branch create exp\ndataplat version branch create fix --from v1")
@click.argument("name", metavar="NAME")
@click.option("--from", "from_", metavar="REF", default="main", show_default=True, shell_complete=complete_points)
def branch_create(name: str, from_: str, lake: str | None, as_json: bool) -> None:
    """Create a branch; no data is copied."""
    made = open_lake(lake).branch(name, from_=from_)
    if as_json:
        print_json(_branch(made))
    else:
        click.echo(f"created branch {made.branch}  commit {short(made.commit_id)}")


@command("delete", example="dataplat version branch delete exp")
@click.argument("name", metavar="NAME", shell_complete=complete_branches)
def branch_delete(name: str, lake: str | None, as_json: bool) -> None:
    """Delete a branch; its versions stay reachable by id until they are collected."""
    open_lake(lake).delete_branch(name)
    if as_json:
        print_json({"name": name, "deleted": True})
    else:
        click.echo(f"deleted branch {name}")
