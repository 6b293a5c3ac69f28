"""Write docs/reference/cli.md from the commands themselves; `--check` fails if it is not up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dataplat.cli._app import LazyGroup, app
from dataplat.cli._exits import MEANINGS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"

HEAD = """\
# Command line

<!-- written by scripts/cli_reference.py: change the command's own help, then `make reference` -->

Every command below is also told by `--help`. All of them but `completion` take `--json` and `--debug`, and but `version clone` `--lake`.
"""


def commands(group: click.Group = app, path: tuple[str, ...] = ("dataplat",)) -> Iterator[tuple[str, click.Command]]:
    """Yield (full name, command) of every command that does something, in the order of the help."""
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, LazyGroup):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def help_of(name: str, command: click.Command) -> str:
    """Return what `--help` prints, at a width that does not depend on a terminal."""
    *parents, last = name.split()
    context: click.Context | None = None
    for parent in parents:
        options = {"help_option_names": app.context_settings["help_option_names"]}  # inherited, as in a real call
        context = click.Context(click.Group(parent), info_name=parent, parent=context, **options)
    own = click.Context(command, info_name=last, parent=context, terminal_width=100, max_content_width=100)
    return command.get_help(own)


def page() -> str:
    """Return the whole page."""
    pieces = [HEAD]
    for name, command in commands():
        pieces.append(f"\n## {name}\n\n```text\n{help_of(name, command)}\n```\n")
    rows = "".join(f"| {code} | {meaning} |\n" for code, meaning in MEANINGS.items())
    pieces.append(f"\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n{rows}")
    return "".join(pieces)


def write_or_check(path: Path, text: str, *, check: bool) -> int:
    """Write `text` to `path`, or say whether it is there already; return an exit code."""
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return 0
    if path.exists() and path.read_text("utf-8") == text:
        print(f"docs/reference/{path.name} is up to date")
        return 0
    print(f"docs/reference/{path.name} is not what the code says: run `make reference` and commit it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), check="--check" in sys.argv))
