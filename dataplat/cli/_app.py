"""The root of the command tree. Names and one-line helps are here, so that `--help` loads no command."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from dataplat.cli._exits import MEANINGS

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())


_EVERYWHERE = ("--lake", "--json", "--debug", "--branch", "-b")


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    Args:
        lazy: by command name, where it is (`module:attribute`) and its one-line help.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are declared: the order of a day's work."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, of one word or two, and name near ones where there is none."""
        if " ".join(args[:2]) in self.lazy:
            args = [" ".join(args[:2]), *args[2:]]
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            import difflib

            near = self._below(ctx, name) or difflib.get_close_matches(name, self.list_commands(ctx), 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def _below(self, ctx: click.Context, name: str) -> list[str]:
        """Return the commands of that name in the groups of this one: `version clone` where it is `clone`."""
        groups = ((group, self.get_command(ctx, group)) for group in self.lazy)
        return [f"{group} {name}" for group, found in groups if isinstance(found, LazyGroup) and name in found.lazy]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the command; say where an option that stands there belongs."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name not in _EVERYWHERE:
                raise
            raise click.UsageError(f"{error.option_name} goes after the command that it is for", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names and one-line helps without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete names of commands without importing them."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(n, help=about) for n, (_, about) in self.lazy.items() if n.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("dataplat.cli.init:init", "Create a lake, and prove that its store is fit for one."),
    "ingest": ("dataplat.cli.ingest:ingest", "Land data as a new version of a dataset."),
    "ingest verify": (
        "dataplat.cli._ingest_verify:verify",
        "Prove that a dataset holds every offset of its streams once.",
    ),
    "ingest replay": (
        "dataplat.cli._ingest_replay:replay",
        "Land rejected records of streams that can be read now.",
    ),
    "version": ("dataplat.cli.version:version", "Look at, compare, name and change versions of datasets."),
    "validate": ("dataplat.cli.validate:validate", "Hold a version, or a file, to a contract."),
    "contract": ("dataplat.cli.contract:contract", "Infer contracts, look at them, try them on the past."),
    "quarantine": (
        "dataplat.cli.quarantine:quarantine",
        "Look at, mend, land or drop rows that failed their contract.",
    ),
    "profile": ("dataplat.cli.profile:profile", "Say what a version, or a file, holds, column by column."),
    "drift": ("dataplat.cli.drift:drift", "Say which columns are distributed otherwise than before."),
    "events": ("dataplat.cli.events:events", "See what changed under datasets, and who was told."),
    "label": ("dataplat.cli.label:label", "Ask people about rows, and bring their answers home as versions."),
    "serve": ("dataplat.cli.serve:serve", "Answer lookups of features by HTTP, and take pushes."),
    "features": (
        "dataplat.cli.features:features",
        "Declare features, train on them, serve them, prove that both agree.",
    ),
    "sql": ("dataplat.cli.sql:sql", "Query pinned versions, and land the result if asked."),
    "doctor": ("dataplat.cli.doctor:doctor", "Try and measure the store of a lake, and show what it is reached with."),
    "completion": (
        "dataplat.cli.completion:completion",
        "Print the script that completes commands and names in a shell.",
    ),
}


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from dataplat import __version__

        click.echo(f"dataplat {__version__}")
        ctx.exit()


_HELP = """Versions of data that are immutable and named by their content.

\b
A day with it:
  dataplat init
  dataplat ingest flights.csv --into flights --key flight_id
  dataplat version log flights
  dataplat version diff flights@main~1 flights

\b
A version is named by a reference:
  flights                      its newest version on the branch main
  flights@exp                  its newest version on the branch exp
  flights@v1                   as tagged v1
  flights@main~2               two versions of it back
  flights@id:3f9a2c0b1d5e      by its id, 12 hex digits or more
  flights@2026-11-01T00:00Z    as it was at that time
"""


@click.command(
    cls=LazyGroup,
    lazy=COMMANDS,
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def app() -> None:
    """Run one of the commands."""
