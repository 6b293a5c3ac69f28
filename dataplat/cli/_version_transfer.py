"""`dataplat version push | pull | clone`: commits travel between lakes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from dataplat.cli._options import branch_in_force, command, complete_branches, open_data
from dataplat.cli._output import note, number, print_json, short, size
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat._transfer import Transfer
    from dataplat.versioning.transfer import Moved

_plan_option = click.option("--plan", is_flag=True, help="Say what would travel, and copy nothing.")
_tags_option = click.option("--tags", is_flag=True, help="Take the tags along that the branches reach.")


@command("push", example="dataplat version push /backup/lake\ndataplat version push /team/lake --branch exp --tags")
@click.argument("url", metavar="URL")
@click.option(
    "--branch",
    "-b",
    "branches",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_branches,
    help="A branch to push; may be given more than once (default: main).",
)
@click.option("--all", "every", is_flag=True, help="Push every branch.")
@_tags_option
@_plan_option
def push(
    url: str, branches: tuple[str, ...], every: bool, tags: bool, plan: bool, lake: str | None, as_json: bool
) -> None:
    """Bring branches into the lake at URL: only what it lacks travels, and its branches only move forward."""
    if every and branches:
        raise click.UsageError("--all pushes every branch: leave out --branch")
    opened = open_data(lake)
    names = None if every else branches or (branch_in_force(None),)
    with _going_on(), ProgressLine() as line:
        done = opened.push(url, names, tags=tags, plan=plan, progress=line)
    _report(done, "would be pushed" if plan else "pushed", "to", as_json=as_json, plan=plan)


@command("pull", example="dataplat version pull /team/lake\ndataplat version pull /team/lake --branch exp")
@click.argument("url", metavar="URL")
@click.option(
    "--branch", "-b", metavar="NAME", shell_complete=complete_branches, help="The branch to pull (default: main)."
)
@_tags_option
@_plan_option
def pull(url: str, branch: str | None, tags: bool, plan: bool, lake: str | None, as_json: bool) -> None:
    """Bring a branch of the lake at URL here. Where both have moved it lands on pulled/NAME, to be merged."""
    opened = open_data(lake)
    with _going_on(), ProgressLine() as line:
        done = opened.pull(url, branch_in_force(branch), tags=tags, plan=plan, progress=line)
    _report(done, "would be pulled" if plan else "pulled", "from", as_json=as_json, plan=plan)


@command("clone", example="dataplat version clone /team/lake .dataplat", lake=False)
@click.argument("url", metavar="URL")
@click.argument("folder", metavar="FOLDER")
def clone(url: str, folder: str, as_json: bool) -> None:
    """Make a new lake in FOLDER with all that the lake at URL has. One that was stopped goes on."""
    from dataplat._transfer import clone_with_report
    from dataplat.lake.arrow_alone import keep_pandas_out

    keep_pandas_out()
    with _going_on(), ProgressLine() as line:
        made, done = clone_with_report(url, folder, listener=line)
    if as_json:
        print_json({"id": made.id, "folder": folder, **done.to_dict()})
        return
    refs = f"{_counted(len(done.branches), 'branch', 'es')} and {_counted(len(done.tags), 'tag')}"
    click.echo(f"cloned {refs} to {folder}: {_amount(done)}")


@contextmanager
def _going_on() -> Iterator[None]:
    """Say of a transfer that is interrupted that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.Abort("interrupted; what was copied stays: run it again, and it goes on from there") from None


def _report(done: Transfer, word: str, way: str, *, as_json: bool, plan: bool) -> None:
    if as_json:
        print_json({**done.to_dict(), "plan": plan})
        return
    click.echo(f"{_amount(done)} {word} {way} {done.url}")
    for kind, moves in (("branch", done.branches), ("tag", done.tags)):
        for move in moves:
            click.echo(f"{kind} {move.name}: {_how(move)}")
    for line in done.notes:
        note(line)


def _how(move: Moved) -> str:
    match move.how:
        case "new":
            return f"new, at commit {short(move.after)}"
        case "forward":
            return f"{short(move.before)} -> {short(move.after)}"
        case "ahead":
            return f"has more already, at commit {short(move.after)}"
    return f"the same already, at commit {short(move.after)}"


def _amount(done: Transfer) -> str:
    commits = _counted(done.commits, "commit")
    return f"{commits}, {_counted(done.objects, 'object')}, {size(done.nbytes)}"


def _counted(count: int, word: str, plural: str = "s") -> str:
    return f"{number(count)} {word}{plural if count != 1 else ''}"
