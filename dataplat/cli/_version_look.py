"""`dataplat version list | log | show | head | schema`: looking at versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_datasets,
    complete_references,
    open_data,
    open_lake,
    split_columns,
)
from dataplat.cli._output import ID_DIGITS, facts, moment, note, number, print_json, rows_of, short, size, table

if TYPE_CHECKING:
    from dataplat._version import Version
    from dataplat.versioning.commit import Input


@command("list", example="dataplat version list\ndataplat version list --branch exp")
@branch_option
def list_(lake: str | None, as_json: bool, branch: str | None) -> None:
    """List the datasets of a branch: newest version, rows, size, when it changed last, and what it is."""
    branch = branch_in_force(branch)
    found = open_lake(lake).datasets(branch)
    if as_json:
        print_json([item.to_dict() for item in found])
        return
    rows = [
        (item.name, short(item.version), number(item.rows), size(item.nbytes), moment(item.changed), item.description)
        for item in found
    ]
    click.echo(table(("dataset", "version", "rows", "size", "changed", "description"), rows, right=("rows", "size")))
    if not rows:
        note(f"no dataset on {branch} yet; land one: dataplat ingest FILE --into NAME")


@command("log", example="dataplat version log flights -n 5\ndataplat version log\ndataplat version log --graph --all")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_datasets)
@click.option("--graph", is_flag=True, help="Draw how branches part and merge.")
@click.option("--all", "all_", is_flag=True, help="The commits of all branches.")
@click.option("--limit", "-n", type=click.IntRange(min=1), help="At most so many.")
@branch_option
def log(
    name: str | None,
    graph: bool,
    all_: bool,
    limit: int | None,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> None:
    """Show the versions of a dataset, or, without NAME, the commits of a branch; newest first."""
    if name is None or name.startswith("@"):
        from dataplat.cli._version_graph import show_commits

        at = [] if all_ else [(name or "").removeprefix("@") or branch_in_force(branch)]
        show_commits(open_lake(lake).commits(*at, limit=limit), graph=graph, as_json=as_json)
        return
    if graph or all_:
        raise click.UsageError("--graph and --all show commits of the whole lake: leave NAME out")
    dataset, _, at_branch = name.partition("@")
    entries = open_lake(lake).log(dataset, branch=at_branch or branch_in_force(branch), limit=limit)
    if as_json:
        print_json([entry.to_dict() for entry in entries])
        return
    rows = [
        (
            short(entry.version),
            moment(entry.time),
            entry.mode,
            f"+{number(entry.rows_added)}",
            f"-{number(entry.rows_deleted)}",
            number(entry.rows),
            entry.author,
            entry.message,
        )
        for entry in entries
    ]
    headers = ("version", "time", "mode", "added", "deleted", "rows", "author", "message")
    click.echo(table(headers, rows, right=("added", "deleted", "rows")))


@command(
    "show",
    example="dataplat version show flights@v1\ndataplat version show flights --content-id\ndataplat version show @main",
)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
@click.option("--content-id", is_flag=True, help="Compute the content id if it is still pending.")
def show(reference: str, content_id: bool, lake: str | None, as_json: bool) -> None:
    """Show what is known of one version: ids, size, key, who made it from what, and which checks it passed.

    Without a dataset (@main, @v1, @id:…) REF names a commit: show that, and what it did to each dataset.
    """
    opened = open_lake(lake)
    if reference.startswith("@"):
        from dataplat.cli._version_graph import show_commit

        show_commit(opened.commit(reference), as_json=as_json)
        return
    version = opened[reference]
    known = version.content_id if content_id else version.content_id_if_known
    described = {**describe_version(version), "content_id": known}
    if as_json:
        print_json(described)
        return
    described["content_id"] = known or "pending (--content-id computes it)"
    described["rows"], described["size"] = number(version.rows), size(described.pop("bytes"))
    described["created"] = moment(version.created)
    described["columns"] = len(version.schema_json)
    click.echo(facts((name.replace("_", " "), _joined(value)) for name, value in described.items() if value))


def describe_version(version: Version) -> dict[str, Any]:
    """Return the facts of a version and of the commit that made it."""
    commit = version.commit
    change = commit.changes.get(version.dataset)
    inputs = change.lineage if change else ()
    state = commit.dataset(version.dataset, version.objects.read)
    return {
        "dataset": version.dataset,
        "description": state.description if state else "",
        "version": version.id,
        "content_id": None,
        "created": version.created,
        "rows": version.rows,
        "bytes": version.nbytes,
        "parts": len(version.parts),
        "key": list(version.key),
        "sort": list(version.sort),
        "commit": commit.id,
        "author": commit.author,
        "message": commit.message,
        "mode": change.mode if change else None,
        "checks": [f"{check.name}: {'passed' if check.ok else 'failed'}" for check in change.checks] if change else [],
        "made_from": [_named(item) for item in inputs if item.kind != "sql"],
        "query": next((item.detail.get("text") for item in inputs if item.kind == "sql"), None),
    }


def _named(item: Input) -> str:
    return f"{item.name}@id:{item.version[:ID_DIGITS]}" if item.version else item.name


def _joined(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


@command(
    "head", example="dataplat version head flights@v1\ndataplat version head flights -n 3 --columns carrier,flight"
)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
@click.option("--rows", "-n", type=click.IntRange(min=0), default=10, show_default=True, help="How many.")
@click.option("--columns", metavar="COLS", help="Only these, with commas between.")
def head(reference: str, rows: int, columns: str | None, lake: str | None, as_json: bool) -> None:
    """Show the first rows of a version."""
    version = open_data(lake)[reference]
    found = version.head(rows)
    if columns is not None:
        found = found.select(_known(split_columns(columns) or [], found.column_names))
    if as_json:
        print_json(found.to_pylist())
        return
    click.echo(rows_of(found))
    note(f"{number(found.num_rows)} of {number(version.rows)} rows, {len(found.column_names)} columns")


def _known(wanted: list[str], names: list[str]) -> list[str]:
    for name in wanted:
        if name not in names:
            raise click.BadParameter(f"no column {name!r}; there are {', '.join(names)}", param_hint="--columns")
    return wanted


@command(
    "schema", example="dataplat version schema flights\ndataplat version schema flights --json > flights.schema.json"
)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
def schema(reference: str, lake: str | None, as_json: bool) -> None:
    """Show the columns of a version and their types. With --json in the form that `ingest --schema` reads."""
    version = open_lake(lake)[reference]
    if as_json:
        print_json(version.schema_json)
        return
    key = set(version.key)
    rows = [
        (
            column["name"],
            _type_text(column["type"]),
            "" if column["nullable"] else "not null",
            "key" * (column["name"] in key),
        )
        for column in version.schema_json
    ]
    click.echo(table(("column", "type", "nulls", "role"), rows))


def _type_text(kind: Any) -> str:
    import json

    return kind if isinstance(kind, str) else json.dumps(kind)
