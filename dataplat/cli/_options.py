"""What every command has: `--lake`, `--json`, `--debug`, an example in its help, and completion of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from dataplat._lake import Lake
    from dataplat.lake.engine import Engine

F = TypeVar("F", bound=Callable[..., Any])

_PATIENCE = 3.0
"""Seconds that somebody who types waits for names of a lake far away."""


class LakeCommand(click.Command):
    """A command on a lake. It is called with `lake` and `as_json` besides its own parameters.

    Args:
        example: command lines that are shown in its help, one a line.
        lake: False for a command that takes no lake from its surroundings, and is not called with one.
    """

    def __init__(self, name: str | None, *, example: str, lake: bool = True, **kwargs: Any) -> None:
        block = "\n".join(f"  {line}" for line in example.strip().splitlines())
        super().__init__(name, epilog=f"\b\nExample:\n{block}", **kwargs)
        self.example = example
        if lake:
            about = "The lake; else DATAPLAT_LAKE, dataplat.toml, or the nearest .dataplat upward."
            self.params.append(click.Option(["--lake"], metavar="PATH|URL", help=about))
        self.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for machines, errors too."),
            click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."),
        ]


def command(name: str, *, example: str, lake: bool = True) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command on a lake (see `LakeCommand`); its docstring is the help."""
    return click.command(name, cls=LakeCommand, example=example, lake=lake)


def branch_option(function: F) -> F:
    """Add `--branch`."""
    return click.option(
        "--branch", "-b", metavar="NAME", shell_complete=complete_branches, help="The branch (default: main)."
    )(function)


def message_option(function: F) -> F:
    """Add `-m`, the message of the commit."""
    return click.option("--message", "-m", metavar="TEXT", help="Why, for the log.")(function)


def open_lake(lake: str | None) -> Lake:
    """Open the lake in force; raise `LakeNotFound` with what to do where there is none."""
    import dataplat
    from dataplat.config import find_lake, load
    from dataplat.errors import LakeNotFound

    config = load(flags={"lake": lake})
    found = find_lake(config=config)
    if found is None:
        raise LakeNotFound(
            "no lake here or in any folder above; make one with `dataplat init`, or name one with --lake or DATAPLAT_LAKE"
        )
    opened = dataplat.open(found, create=False)
    if config.author:
        opened.refs.actor = config.author
    return opened


def open_data(lake: str | None) -> Lake:
    """Open the lake in force for a command that reads or writes rows."""
    from dataplat.lake.arrow_alone import keep_pandas_out

    keep_pandas_out()
    return open_lake(lake)


def branch_in_force(branch: str | None) -> str:
    """Return the branch given, or the configured one."""
    from dataplat.config import load

    return load(flags={"branch": branch}).branch


def master_option(function: F) -> F:
    """Add `--master`."""
    about = "Where Spark runs: local[4], spark://HOST:PORT, sc://HOST:PORT, yarn."
    return click.option("--master", metavar="URL", help=about)(function)


def engine_option(function: F) -> F:
    """Add `--engine` and `--master`: the command gets `engine`, which is a name or, where a master is given, Spark there."""

    @wraps(function)
    def given(*args: Any, engine: str, master: str | None, **more: Any) -> Any:
        return function(*args, engine=engine if master is None else _engine_at(engine, master), **more)

    which = click.option(
        "--engine",
        type=click.Choice(["local", "spark"]),
        default="local",
        show_default=True,
        help="Who reads the rows: this process, or tasks of Spark (where --master, MASTER or spark-defaults.conf says).",
    )
    return cast("F", which(master_option(given)))


def _engine_at(engine: str, master: str) -> Engine:
    if engine != "spark":
        raise click.UsageError("--master goes with --engine spark: it says where Spark runs")
    from dataplat._spark._engine import SparkEngine

    return SparkEngine(master=master)


def split_columns(text: str | None) -> list[str] | None:
    """Return the columns of `a,b,c`; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def complete_names(names: Callable[[Lake], Iterable[str]]) -> Callable[..., list[CompletionItem]]:
    """Return what completes names of a lake."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from dataplat.lake.stores._reach import within

        try:
            found = within(_PATIENCE, lambda: sorted(names(open_lake(ctx.params.get("lake")))), "the shell")
        except Exception:  # noqa: BLE001  (a shell must never see a traceback while somebody types)
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return complete


def _datasets(lake: Lake) -> Iterable[str]:
    return [dataset.name for dataset in lake.datasets()]


def _branches(lake: Lake) -> Iterable[str]:
    return [record.branch for record in lake.branches()]


def _points(lake: Lake) -> list[str]:
    return [*_branches(lake), *(tag.name for tag in lake.tags())]


def _references(lake: Lake) -> Iterable[str]:
    names, points = list(_datasets(lake)), _points(lake)
    return [*names, *(f"{name}@{point}" for name in ("", *names) for point in points)]  # @v1: all of the lake


def complete_columns(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a column of the dataset NAME, the last of several with commas between them."""
    from click.shell_completion import CompletionItem

    before, comma, last = incomplete.rpartition(",")
    try:
        lake, name = open_lake(ctx.params.get("lake")), ctx.params["name"]
        version = lake.version(name, branch_in_force(ctx.params.get("branch")))
        columns = [column["name"] for column in version.schema_json]
    except Exception:  # noqa: BLE001  (a shell must never see a traceback while somebody types)
        return []
    return [CompletionItem(f"{before}{comma}{column}") for column in columns if column.startswith(last)]


complete_datasets = complete_names(_datasets)
complete_branches = complete_names(_branches)
complete_points = complete_names(_points)
complete_references = complete_names(_references)
complete_quarantines = complete_names(lambda lake: [each.id for each in lake.quarantine.list()])
complete_queues = complete_names(lambda lake: [queue.name for queue in lake.label_queues()])
