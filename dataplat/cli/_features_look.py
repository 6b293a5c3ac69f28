"""`dataplat features list, show, lineage, freshness`: what there is, what it is made of, and how old it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._features_options import complete_declared, complete_services, open_store
from dataplat.cli._options import branch_option, command
from dataplat.cli._output import coloured, facts, note, number, print_json, short, span, table

if TYPE_CHECKING:
    from dataplat._features._lineage import Node

_LONG = 70
_KINDS = {"on_demand": "on demand", "training_set": "training set"}


@command("list", example="dataplat features list")
@branch_option
def list_(lake: str | None, as_json: bool, branch: str | None) -> int:
    """List all versions of all services that are declared, and what is served of each."""
    found = open_store(lake, branch).list()
    if as_json:
        print_json([each.to_dict() for each in found])
        return _exits.DONE
    if not found:
        note("no service is declared; declare one in a Python file, and apply it: dataplat features apply FILE")
        return _exits.DONE
    rows = [
        (
            f"{each.service}@{each.version}",
            number(each.features),
            ", ".join(each.views),
            short(each.closure),
            "not materialised" if each.snapshot is None else each.snapshot,
            number(each.keys),
        )
        for each in found
    ]
    click.echo(table(("service", "features", "views", "closure", "snapshot", "keys"), rows, right=("features", "keys")))
    for each in found:
        if each.unreadable is not None:
            note(each.unreadable)
    return _exits.DONE


@command("show", example="dataplat features show delay_model\ndataplat features show airport_weather")
@click.argument("name", metavar="NAME", shell_complete=complete_declared)
@branch_option
def show(name: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show what a service or a view is: its features and what they are made of, keys, times, limits."""
    found = open_store(lake, branch).show(name)
    if as_json:
        print_json(found.to_dict())
        return _exits.DONE
    about = [(what, _one_line(value)) for what, value in found.about.items() if value not in (None, "", [], ())]
    click.echo(facts([(found.kind, found.name), *about]))
    click.echo(coloured("features", "bold"))
    click.echo(facts([(f"  {feature}", what) for feature, what in found.features]))
    return _exits.DONE


def _one_line(value: Any) -> str:
    """Return a query without its line breaks."""
    return " ".join(str(value).split())


@command(
    "lineage",
    example="dataplat features lineage delay_model\ndataplat features lineage weather --report lineage.html",
)
@click.argument("name", metavar="NAME", shell_complete=complete_declared)
@click.option("--report", "page", metavar="FILE", help="Write a picture of it as one HTML page.")
@branch_option
def lineage(name: str, page: str | None, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show where features come from and where they went: source, view, service, snapshot, training set.

    NAME is a service, a view, or a dataset that views read.
    """
    found = open_store(lake, branch).lineage(name)
    if page is not None:
        from dataplat._features._lineage_page import page as page_of

        Path(page).write_text(page_of(name, found), encoding="utf-8")
    if as_json:
        print_json([each.to_dict() for each in found])
        return _exits.DONE
    seen: set[str] = set()
    for each in found:
        for line in _tree(each, seen):
            click.echo(line)
    if page is not None:
        note(f"report: {page}")
    return _exits.DONE


def _tree(node: Node, seen: set[str], first: str = "", others: str = "") -> Iterator[str]:
    """Yield a tree, a line for each node; what comes of a service is there once."""
    about = {name: value for name, value in node.about.items() if value not in (None, "", [], {})}
    again = node.kind == "service" and node.name in seen
    told = "as above" if again else ", ".join(f"{_said(name)}{_listed(value)}" for name, value in about.items())
    kind = _KINDS.get(node.kind, node.kind)
    yield f"{first}{kind} {coloured(_short(node.name), 'bold')}{f'  {told}' if told else ''}"
    seen.add(node.name)
    below = [] if again else node.to
    for at, each in enumerate(below):
        last = at == len(below) - 1
        yield from _tree(each, seen, others + ("└─ " if last else "├─ "), others + ("   " if last else "│  "))


def _short(name: str) -> str:
    """Return a name, or the beginning of a query."""
    line = _one_line(name)
    return line if len(line) <= _LONG else f"{line[: _LONG - 1]}…"


def _said(name: str) -> str:
    return "" if name in ("now", "features") else f"{name} "


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@command("freshness", example="dataplat features freshness delay_model")
@click.argument("service", metavar="SERVICE", shell_complete=complete_services)
@branch_option
def freshness(service: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show how old what is served is, view by view, beside its limit; ends in 1 if something is stale."""
    found = open_store(lake, branch).freshness(service)
    if as_json:
        print_json([each.to_dict() for each in found])
    else:
        rows = [
            (
                each.view,
                "not materialised" if each.snapshot is None else each.snapshot,
                "-" if each.age is None else span(timedelta(seconds=each.age)),
                "-" if each.limit is None else span(timedelta(seconds=each.limit)),
                coloured("stale", "red") if each.stale else "fresh",
                each.gone or (f"newer: {', '.join(each.behind)}" if each.behind else ""),
            )
            for each in found
        ]
        click.echo(table(("view", "snapshot", "age", "limit", "", "source"), rows))
        if found and found[0].pushed:
            click.echo(f"{number(found[0].pushed)} pushed rows are served from the overlay")
    return _exits.DATA_FAILED if any(each.stale for each in found) else _exits.DONE
