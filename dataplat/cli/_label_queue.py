"""`dataplat label queue`: make, show and change queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataplat.cli import _exits
from dataplat.cli._app import LazyGroup
from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_queues,
    complete_references,
    open_lake,
    split_columns,
)
from dataplat.cli._output import counted, facts, print_json, table

if TYPE_CHECKING:
    from dataplat._labels._queue import LabelQueue

F = TypeVar("F", bound=Callable[..., Any])
_HERE = "dataplat.cli._label_queue"
COMMANDS: dict[str, tuple[str, str]] = {
    "create": (f"{_HERE}:create", "Make a queue of a dataset's rows."),
    "list": (f"{_HERE}:list_", "List the queues."),
    "show": (f"{_HERE}:show", "Show what a queue is."),
    "set": (f"{_HERE}:set_", "Change whom it asks, how many, the choices."),
}
_TEMPLATES = ["text-classification", "ner", "image-boxes", "image-classification", "pairwise"]


@click.command("queue", cls=LazyGroup, lazy=COMMANDS)
def queue(**_: Any) -> None:
    """Make, show and change queues."""


def _asked(function: F) -> F:
    """Add the options that say what is asked, and whom."""
    options = [
        click.option("--choices", metavar="A,B,C", help="The labels to choose from."),
        click.option("--config", metavar="FILE", help="A label config of Label Studio (XML)."),
        click.option(
            "--template", type=click.Choice(_TEMPLATES), help="A usual label config; --choices are its labels."
        ),
        click.option("--overlap", type=click.IntRange(min=1), help="How many people answer each task (default: 1)."),
        click.option("--annotators", metavar="A,B", help="Who is asked (default: all who have an account)."),
        click.option("--adjudicator", metavar="NAME", help="Who decides where they disagree."),
        click.option("--lease", metavar="SECONDS", type=float, help="After that unanswered tasks go to somebody else."),
        click.option(
            "--pause-below",
            type=click.FloatRange(0, 1),
            help="The share of right gold tasks below which somebody gets no more (default: 0.6).",
        ),
        click.option("--gold", metavar="REF", help="Rows whose answer is known, mixed in."),
        click.option("--answer", metavar="COL", help="The column of --gold that has it (default: label)."),
        click.option("--gold-every", type=click.IntRange(min=2), help="One task in so many is gold (default: 10)."),
        click.option("--holdout", multiple=True, metavar="REF", help="Rows that may never be labelled for training."),
        click.option(
            "--prelabel", metavar="REF|FILE:FUNC", help="What is prefilled: predictions, or a function of yours."
        ),
        click.option(
            "--order",
            metavar="KIND[:REF]",
            help="uncertainty:REF, committee:REF,REF, diversity:COLS, corrections:REF, sql:EXPR.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command(
    "create",
    example="dataplat label queue create delays --from flights@v3 --show carrier,dest,dep_delay "
    "--choices carrier,weather,other --overlap 2 --annotators anna,bob\n"
    "dataplat label queue create faces --from photos --show image --template image-boxes --choices face,hand "
    "--annotators anna",
)
@click.argument("name", metavar="NAME")
@click.option("--from", "source", required=True, metavar="REF", shell_complete=complete_references, help="Whose rows.")
@click.option("--where", metavar="EXPR", help="Which of them, as a SQL condition.")
@click.option("--show", metavar="COLS", help="The columns that people see (default: all that the config shows).")
@click.option("--key", metavar="COLS", help="Columns that tell rows apart though nobody sees them.")
@_asked
@branch_option
def create(name: str, source: str, lake: str | None, as_json: bool, branch: str | None, **options: Any) -> int:
    """Make the queue NAME of the rows of REF.

    Nothing is asked yet: `dataplat label push NAME` does that. Equal rows, as far as people see them, are one task.
    """
    given = _given(options)
    made = open_lake(lake).label_queue(name, source, branch=branch_in_force(branch), **given)
    return _told(made, as_json=as_json, done="made")


@command("list", example="dataplat label queue list")
@branch_option
def list_(lake: str | None, as_json: bool, branch: str | None) -> None:
    """List the queues of a branch."""
    found = [each.status() for each in open_lake(lake).label_queues(branch_in_force(branch))]
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    rows = [
        (each.name, each.source, f"{each.tasks:,}", f"{each.done:,}", "closed" if each.closed else "") for each in found
    ]
    click.echo(table(("queue", "from", "tasks", "done", ""), rows, right=("tasks", "done")))


@command("show", example="dataplat label queue show delays")
@click.argument("name", metavar="NAME", shell_complete=complete_queues)
@branch_option
def show(name: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show what the queue NAME is, its label config too."""
    return _told(open_lake(lake).label_queue(name, branch=branch_in_force(branch)), as_json=as_json, done="")


@command("set", example="dataplat label queue set delays --annotators anna,bob,cy --overlap 3")
@click.argument("name", metavar="NAME", shell_complete=complete_queues)
@_asked
@click.option("--open", "reopen", is_flag=True, help="Take more again.")
@branch_option
def set_(name: str, lake: str | None, as_json: bool, branch: str | None, reopen: bool, **options: Any) -> int:
    """Change the queue NAME: whom it asks, how many, the choices, the order of what is new. What a task is cannot change."""
    found = open_lake(lake).label_queue(name, branch=branch_in_force(branch))
    changes = _given(options)
    if reopen:
        changes["closed"] = False
    found.set(**changes)
    return _told(found, as_json=as_json, done="changed")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value not in (None, ())}
    for name in ("show", "key", "choices", "annotators"):
        if name in given:
            given[name] = split_columns(given[name])
    if "order" in given:
        from dataplat.labeling.order import parse_order

        given["order"] = parse_order(given["order"])
    return given


def _told(queue: LabelQueue, *, as_json: bool, done: str) -> int:
    import msgspec

    spec = queue.spec
    if as_json:
        print_json(msgspec.to_builtins(spec))
        return _exits.DONE
    told = [
        ("queue", spec.name),
        ("from", spec.source + (f" where {spec.where}" if spec.where else "")),
        ("shows", ", ".join(spec.show)),
        ("asks", ", ".join(spec.annotators) or "all who have an account when it is first pushed"),
        ("each task", counted(spec.overlap, "answer")),
        *([("gold", f"{spec.gold}, one task in {spec.gold_every}")] if spec.gold else []),
        *([("decides", spec.adjudicator)] if spec.adjudicator else []),
        *([("state", "closed")] if spec.closed else []),
    ]
    click.echo(facts(told))
    if done == "made":
        click.echo(f"made; next: dataplat label push {spec.name}")
    elif not done:
        click.echo(spec.config)
    return _exits.DONE
