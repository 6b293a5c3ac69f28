"""`dataplat version tag | tags | branch`: names for versions."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli._app import LazyGroup
from dataplat.cli._options import command, complete_branches, complete_points, open_lake
from dataplat.cli._output import moment, note, print_json, short, table

_TAG_EXAMPLE = "dataplat version tag v1\ndataplat version tag before-fix main"


@command("tag", example=_TAG_EXAMPLE)
@click.argument("name", metavar="NAME")
@click.argument("reference", metavar="[REF]", default="main", shell_complete=complete_points)
def tag(name: str, reference: str, lake: str | None, as_json: bool) -> None:
    """Name a state of the lake (default: the newest of main) for ever: a tag never moves."""
    made = open_lake(lake).tag(name, reference)
    if as_json:
        print_json(_named(made))
    else:
        click.echo(f"tagged {made.name}  commit {short(made.commit)}")


@command("tags", example="dataplat version tags --json")
def tags(lake: str | None, as_json: bool) -> None:
    """List the tags."""
    found = open_lake(lake).tags()
    if as_json:
        print_json([_named(item) for item in found])
        return
    click.echo(table(("tag", "commit", "time"), [(item.name, short(item.commit), moment(item.time)) for item in found]))
    if not found:
        note("no tag yet; make one: dataplat version tag NAME")


def _named(item: Any) -> dict[str, Any]:
    return {"name": item.name, "commit": item.commit, "time": item.time}


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
        print_json([_named(item) for item in found])
        return
    click.echo(
        table(("branch", "commit", "time"), [(item.name, short(item.commit), moment(item.time)) for item in found])
    )


@command("create", example="dataplat version branch create exp\ndataplat version branch create fix --from v1")
@click.argument("name", metavar="NAME")
@click.option("--from", "from_", metavar="REF", default="main", show_default=True, shell_complete=complete_points)
def branch_create(name: str, from_: str, lake: str | None, as_json: bool) -> None:
    """Create a branch; no data is copied."""
    made = open_lake(lake).branch(name, from_=from_)
    if as_json:
        print_json(_named(made))
    else:
        click.echo(f"created branch {made.name}  commit {short(made.commit)}")


@command("delete", example="dataplat version branch delete exp")
@click.argument("name", metavar="NAME", shell_complete=complete_branches)
def branch_delete(name: str, lake: str | None, as_json: bool) -> None:
    """Delete a branch; its versions stay reachable by id until they are collected."""
    open_lake(lake).delete_branch(name)
    if as_json:
        print_json({"name": name, "deleted": True})
    else:
        click.echo(f"deleted branch {name}")
