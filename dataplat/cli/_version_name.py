"""`dataplat version tag | tags | branch`: names for versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataplat.cli._app import LazyGroup
from dataplat.cli._options import (
    command,
    complete_branches,
    complete_datasets,
    complete_points,
    message_option,
    open_data,
    open_lake,
)
from dataplat.cli._output import moment, note, print_json, short, table, utc

if TYPE_CHECKING:
    from dataplat.versioning.refs import Record, Tag

_TAG_EXAMPLE = "dataplat version tag v1\ndataplat version tag before-fix main"


@command("tag", example=_TAG_EXAMPLE)
@click.argument("name", metavar="NAME")
@click.argument("reference", metavar="[REF]", default="main", shell_complete=complete_points)
@click.option("--keep", metavar="TIME", default="", help="Keep its versions from being collected so long, as 30d.")
@message_option
def tag(name: str, reference: str, keep: str, message: str | None, lake: str | None, as_json: bool) -> None:
    """Name a state of the lake (default: the newest of main) for ever: a tag never moves."""
    made = open_lake(lake).tag(name, reference, message=message or "", keep=keep)
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
    headers = ("tag", "commit", "time", "by", "message", *["keeps until"] * any(item.expires for item in found))
    rows = [
        (item.name, short(item.commit_id), moment(item.time), item.actor, item.message, _until(item)) for item in found
    ]
    click.echo(table(headers, [row[: len(headers)] for row in rows]))
    if not found:
        note("no tag yet; make one: dataplat version tag NAME")


def _tag(item: Tag) -> dict[str, Any]:
    named = {"name": item.name, "commit": item.commit_id, "time": utc(item.time), "by": item.actor}
    return {**named, "message": item.message, "expires": utc(item.expires) if item.expires else None}


def _until(item: Tag) -> str:
    return moment(item.expires) if item.expires else ""


def _branch(item: Record) -> dict[str, Any]:
    from dataplat._protect import protections

    held = {
        found.dataset: {"contract": found.contract, "file": found.file, "id": found.id} for found in protections(item)
    }
    return {
        "name": item.branch,
        "commit": item.commit_id,
        "time": utc(item.time),
        "by": item.actor,
        "contracts": held,
        "keep": item.settings.get("keep", "all"),
    }


@click.command(
    "branch",
    cls=LazyGroup,
    lazy={
        "list": (f"{__name__}:branch_list", "List the branches."),
        "create": (f"{__name__}:branch_create", "Create a branch; no data is copied."),
        "delete": (f"{__name__}:branch_delete", "Delete a branch; its versions stay reachable by id until collected."),
        "protect": (f"{__name__}:branch_protect", "Hold a branch to a contract, whoever writes."),
        "keep": ("dataplat.cli._version_keep:branch_keep", "Say which versions collections keep."),
        "unprotect": (f"{__name__}:branch_unprotect", "Lift what a branch is held to."),
    },
)
def branch(**_: Any) -> None:
    """List, create, protect, keep and delete branches."""


@command("list", example="dataplat version branch list")
def branch_list(lake: str | None, as_json: bool) -> None:
    """List the branches."""
    found = open_lake(lake).branches()
    if as_json:
        print_json([_branch(item) for item in found])
        return
    from dataplat._protect import protections

    held = {item.branch: ", ".join(f"{one.dataset}: {one.contract}" for one in protections(item)) for item in found}
    kept = {item.branch: item.settings.get("keep", "all") for item in found}
    more = {"protected": held} if any(held.values()) else {}
    if any(rule != "all" for rule in kept.values()):
        more["keeps"] = kept
    rows = [
        (
            item.branch,
            short(item.commit_id),
            moment(item.time),
            item.actor,
            *(each[item.branch] for each in more.values()),
        )
        for item in found
    ]
    click.echo(table(("branch", "commit", "moved", "by", *more), rows))


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


_PROTECT_EXAMPLE = "dataplat version branch protect main --contract contract.py:Flights --dataset flights"


@command("protect", example=_PROTECT_EXAMPLE)
@click.argument("name", metavar="NAME", shell_complete=complete_branches)
@click.option("--contract", metavar="FILE:NAME", required=True, help="A pandera polars model or schema in a file.")
@click.option("--dataset", metavar="NAME", shell_complete=complete_datasets, help="Which (default: the only one).")
def branch_protect(name: str, contract: str, dataset: str | None, lake: str | None, as_json: bool) -> None:
    """Hold a dataset of branch NAME to a contract: whoever writes, it moves only to what meets it.

    The text of the file is kept in the lake, and run by every writer.
    """
    made = open_data(lake).protect(name, contract, dataset)
    if as_json:
        print_json(made.to_dict())
    else:
        click.echo(f"{made.branch} holds {made.dataset} to contract {made.contract} of {made.file}")


@command("unprotect", example="dataplat version branch unprotect main --dataset flights")
@click.argument("name", metavar="NAME", shell_complete=complete_branches)
@click.option("--dataset", metavar="NAME", shell_complete=complete_datasets, help="Only this one (default: all).")
def branch_unprotect(name: str, dataset: str | None, lake: str | None, as_json: bool) -> None:
    """Lift the contracts that branch NAME is held to."""
    gone = open_lake(lake).unprotect(name, dataset)
    if as_json:
        print_json([item.to_dict() for item in gone])
        return
    for item in gone:
        click.echo(f"{item.branch} no longer holds {item.dataset} to contract {item.contract}")
