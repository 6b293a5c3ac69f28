"""`dataplat contract`: infer contracts, look at them, try them on the past."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._app import LazyGroup
from dataplat.cli._options import command, complete_references, open_data
from dataplat.cli._output import coloured, counted, moment, note, number, print_json, short, table

if TYPE_CHECKING:
    from dataplat._suggest import Tried
    from dataplat.validation import Contract

_HERE = "dataplat.cli.contract"
COMMANDS: dict[str, tuple[str, str]] = {
    "suggest": (f"{_HERE}:suggest", "Infer a contract from a dataset, and try each rule on its history."),
    "show": (f"{_HERE}:show", "Show what a contract asks."),
    "test": (f"{_HERE}:test", "Try a contract on the versions of a dataset."),
}

_versions_option = click.option(
    "--versions",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Versions to look at, the newest ones.",
)


@click.command("contract", cls=LazyGroup, lazy=COMMANDS)
def contract(**_: Any) -> None:
    """Infer contracts, look at them, try them on the past."""


@command("suggest", example="dataplat contract suggest flights --history -o contract.py")
@click.argument("ref", metavar="REF", shell_complete=complete_references)
@click.option("--history", is_flag=True, help="Learn from older versions too, and count the false alarms of each rule.")
@_versions_option
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Where to, else here."
)
def suggest(ref: str, history: bool, versions: int, output: Path | None, lake: str | None, as_json: bool) -> int:
    """Infer a contract from the version REF: a Python file to read, change and keep.

    With --history rules are learned from older versions too, and each is tried as it would have been: learned from the
    versions before, asked of the next. A rule with many false alarms is a comment in the file.
    """
    found = open_data(lake)[ref].suggest_contract(history=history, versions=versions)
    if as_json:
        print_json(found.to_dict() | {"text": found.text})
    elif output is None:
        click.echo(found.text, nl=False)
    if output is not None:
        with output.open("x", encoding="utf-8") as file:
            file.write(found.text)
        taken = sum(rule.taken for rule in found.rules)
        note(f"{counted(taken, 'rule')} of {counted(found.versions, 'version')} in {output}: read it before you use it")
    return _exits.DONE


@command("show", example="dataplat contract show contract.py:Flights", lake=False)
@click.argument("contract", metavar="FILE:NAME")
def show(contract: str, as_json: bool) -> int:
    """Show what a contract asks of each column and of the whole, and its id."""
    from dataplat.validation import load_contract

    found = load_contract(contract)
    rows = list(_asked(found))
    if as_json:
        keys = ("column", "type", "nullable", "check")
        print_json({"name": found.name, "id": found.id, "asks": [dict(zip(keys, row, strict=True)) for row in rows]})
        return _exits.DONE
    click.echo(f"{coloured(found.name, 'bold')}  {found.id}")
    click.echo(table(("column", "type", "null", "asks"), rows))
    return _exits.DONE


def _asked(found: Contract) -> list[tuple[str, str, str, str]]:
    given = found.given
    rows = [
        (str(name), str(column.dtype), "yes" if column.nullable else "no", _asks(column))
        for name, column in given.columns.items()
    ]
    whole = [f"unique({', '.join(map(str, given.unique))})"] if given.unique else []
    whole += [f"strict={given.strict!r}"] if given.strict else []
    whole += ["ordered"] if given.ordered else []
    whole += ["coerce"] if given.coerce else []
    whole += [_said(check) for check in given.checks or []]
    whole += [f"parser {parser.name}" for parser in getattr(given, "parsers", None) or []]
    rows += [("", "", "", each) for each in whole]
    rows += [(rule.column or "", "", "", rule.name + _beside(rule.environment, rule.severity)) for rule in found.checks]
    return rows + (
        [("", "", "", f"all of it{beside}")] if (beside := _beside(found.environment, found.severity)) else []
    )


def _asks(column: Any) -> str:
    asked = [_said(check) for check in column.checks] + (["unique"] if column.unique else [])
    asked += ["coerce"] if column.coerce else []
    asked += [f"default {column.default!r}"] if column.default is not None else []
    asked += [f"parser {parser.name}" for parser in getattr(column, "parsers", None) or []]
    asked += ["a pattern of names"] if column.regex else []
    asked += [] if column.required else ["may be missing"]
    where = (column.metadata or {}).get("environment")
    return ", ".join(asked) + _beside(where, None)


def _said(check: Any) -> str:
    from dataplat.validation._compile import check_name

    return check_name(check) + _beside(None, "warn" if check.raise_warning else None)


def _beside(environment: str | None, severity: str | None) -> str:
    """Return where something is asked, and that it only warns."""
    said = [f"in {environment} only"] if environment else []
    said += ["warns"] if severity == "warn" else []
    return f" ({', '.join(said)})" if said else ""


@command("test", example="dataplat contract test contract.py:Flights flights --versions 20")
@click.argument("contract", metavar="FILE:NAME")
@click.argument("ref", metavar="REF", shell_complete=complete_references)
@_versions_option
def test(contract: str, ref: str, versions: int, lake: str | None, as_json: bool) -> int:
    """Hold the version REF and those before it to a contract: what would it have stopped?

    Parts that versions share are looked at once. Ends with 0 where the newest version meets it, else with 1.
    """
    found = open_data(lake)[ref].try_contract(contract, versions=versions)
    if as_json:
        print_json([each.to_dict() for each in found])
    else:
        _say(found)
    return _exits.DONE if found and found[0].report.ok else _exits.DATA_FAILED


def _say(found: list[Tried]) -> None:
    rows = [
        (
            short(each.version),
            moment(each.time),
            number(each.report.rows),
            "met" if each.report.ok else "NOT met",
            "; ".join(check.title for check in each.report.failed[:3]),
            each.message,
        )
        for each in found
    ]
    click.echo(table(("version", "time", "rows", "contract", "failed", "message"), rows, right=("rows",)))
    alarms: dict[str, int] = {}
    for each in found:
        for check in each.report.failed:
            alarms[check.title] = alarms.get(check.title, 0) + 1
    for title, count in sorted(alarms.items(), key=lambda pair: -pair[1]):
        click.echo(f"  {title}: failed in {number(count)} of {counted(len(found), 'version')}")
