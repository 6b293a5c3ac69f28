"""`dataplat version`: the group; its commands are in the `_version_…` modules."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli._app import LazyGroup

_LOOK, _COMPARE = "dataplat.cli._version_look", "dataplat.cli._version_compare"
_NAME, _CHANGE = "dataplat.cli._version_name", "dataplat.cli._version_change"
_CARRY = "dataplat.cli._version_carry"
_EVOLVE = "dataplat.cli._version_evolve"
_TRANSFER = "dataplat.cli._version_transfer"
_MERGE = "dataplat.cli._version_merge"

COMMANDS: dict[str, tuple[str, str]] = {
    "list": (f"{_LOOK}:list_", "List the datasets of a branch."),
    "log": (f"{_LOOK}:log", "Show the versions of a dataset, or the commits of a branch, newest first."),
    "show": (f"{_LOOK}:show", "Show what is known of one version, or of one commit."),
    "head": (f"{_LOOK}:head", "Show the first rows of a version."),
    "schema": (f"{_LOOK}:schema", "Show the columns of a version and their types."),
    "status": ("dataplat.cli._version_status:status", "Show which files changed since a dataset was landed from them."),
    "diff": (f"{_COMPARE}:diff", "Count, or show, the rows that differ between two versions."),
    "changes": (f"{_COMPARE}:changes", "Show the rows that came and went since a version."),
    "tag": (f"{_NAME}:tag", "Name a version for ever."),
    "tags": (f"{_NAME}:tags", "List the tags."),
    "branch": (f"{_NAME}:branch", "List, create and delete branches."),
    "merge": (f"{_MERGE}:merge", "Bring what another branch has into a branch."),
    "conflicts": (f"{_MERGE}:conflicts", "Show what both branches changed, and settle it."),
    "cherry-pick": (f"{_MERGE}:cherry_pick", "Do on a branch what one commit did."),
    "revert": (f"{_MERGE}:revert", "Undo on a branch what one commit did."),
    "rollback": (f"{_CHANGE}:rollback", "Make an older version of a dataset, or of all, the newest."),
    "delete": (f"{_CHANGE}:delete", "Delete the rows for which a condition holds."),
    "drop": (f"{_CHANGE}:drop", "Remove a dataset from a branch."),
    "rename": (f"{_CHANGE}:rename", "Give a dataset another name."),
    "describe": (f"{_CHANGE}:describe", "Say what a dataset is."),
    "evolve": (f"{_EVOLVE}:evolve", "Change the columns of a dataset."),
    "export": (f"{_CARRY}:export", "Write a version out as files."),
    "push": (f"{_TRANSFER}:push", "Bring branches into another lake."),
    "pull": (f"{_TRANSFER}:pull", "Bring a branch of another lake here."),
    "clone": (f"{_TRANSFER}:clone", "Make a new lake with all that another has."),
    "compact": ("dataplat.cli._version_compact:compact", "Join small parts, and fold deleted rows in."),
    "du": ("dataplat.cli._version_keep:du", "Show who needs how many bytes."),
    "gc": ("dataplat.cli._version_keep:gc", "Delete what nothing needs any more."),
    "erase": ("dataplat.cli._version_erase:erase", "Erase rows from every version, for ever."),
    "verify": (f"{_CARRY}:verify", "Check stored bytes against their names."),
}


@click.command("version", cls=LazyGroup, lazy=COMMANDS)
def version(**_: Any) -> None:
    """Look at, compare, name and change versions of datasets.

    REF is flights, flights@BRANCH, flights@TAG, flights@main~2, flights@id:… or flights@TIME: see `dataplat --help`.
    """
