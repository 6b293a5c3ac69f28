"""How `dataplat version log` and `show` print commits: as a table, as a graph, one in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataplat.cli._output import coloured, facts, moment, number, print_json, short, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._commits import CommitInfo

_LANE_COLOURS = ("red", "green", "yellow", "bold", "dim")


def show_commits(commits: Sequence[CommitInfo], *, graph: bool, as_json: bool) -> None:
    """Print commits, newest first."""
    if as_json:
        print_json([commit.to_dict() for commit in commits])
    elif graph:
        click.echo("\n".join(graph_lines(commits)))
    else:
        rows = [(short(c.commit), moment(c.time), c.author, c.summary, _titled(c)) for c in commits]
        click.echo(table(("commit", "time", "author", "changes", "message"), rows))


def graph_lines(commits: Sequence[CommitInfo]) -> list[str]:
    """Return the lines of a graph: lanes, and beside each star its commit."""
    from dataplat.versioning.graph import draw

    by_id = {commit.commit: commit for commit in commits}
    lines = []
    for line in draw((commit.commit, commit.parents) for commit in commits):
        lanes = _coloured_lanes(line.lanes)
        lines.append(lanes if line.commit is None else f"{lanes} {_described(by_id[line.commit])}")
    return lines


def _coloured_lanes(lanes: str) -> str:
    return "".join(
        mark if mark in " *" else coloured(mark, _LANE_COLOURS[(column + 1) // 2 % len(_LANE_COLOURS)])
        for column, mark in enumerate(lanes)
    )


def _described(commit: CommitInfo) -> str:
    said = [coloured(short(commit.commit), "yellow"), _named(commit), moment(commit.time), commit.author]
    what = f"{commit.summary}: {commit.message}" if commit.summary and commit.message else ""
    return " ".join(text for text in [*said, what or commit.summary or commit.message] if text)


def _named(commit: CommitInfo) -> str:
    names = [coloured(name, "green") for name in commit.branches]
    names += [coloured(f"tag: {name}", "yellow") for name in commit.tags]
    return f"({', '.join(names)})" if names else ""


def _titled(commit: CommitInfo) -> str:
    return " ".join(text for text in (_named(commit), commit.message) if text)


def show_commit(commit: CommitInfo, *, as_json: bool) -> None:
    """Print one commit in full."""
    if as_json:
        print_json(commit.to_dict())
        return
    known = {
        "commit": commit.commit,
        "parents": ", ".join(map(short, commit.parents)),
        "time": moment(commit.time),
        "author": commit.author,
        "message": commit.message,
        "branches": ", ".join(commit.branches),
        "tags": ", ".join(commit.tags),
    }
    click.echo(facts((name, value) for name, value in known.items() if value))
    if not commit.changes:
        return
    rows = [
        (name, c.mode, short(c.version), f"+{number(c.rows_added)}", f"-{number(c.rows_deleted)}", number(c.rows))
        for name, c in commit.changes.items()
    ]
    headers = ("dataset", "mode", "version", "added", "deleted", "rows")
    click.echo(table(headers, rows, right=("added", "deleted", "rows")))
