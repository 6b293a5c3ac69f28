"""`dataplat drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import command, complete_references, engine_option, open_data, split_columns
from dataplat.cli._output import coloured, note, print_json
from dataplat.errors import ConfigError, DataplatError

if TYPE_CHECKING:
    from dataplat.lake.engine import Engine
    from dataplat.validation.drift import DriftReport

_EXAMPLE = """
dataplat drift flights@v1 flights
dataplat drift flights flights --where "month = 1" --where "month = 2" --report drift.html
dataplat drift flights@main~1 flights --by carrier --columns dep_delay,distance
dataplat drift flights@production today.csv --method psi --strict
"""

_COLOURS = {"drift": "red", "not comparable": "red", "undecided": "yellow", "none": "green"}


@command("drift", example=_EXAMPLE)
@click.argument("before", metavar="A", shell_complete=complete_references)
@click.argument("after", metavar="B", shell_complete=complete_references)
@click.option("--columns", metavar="COLUMNS", help="The columns to compare, as a,b,c (default: all).")
@click.option("--by", metavar="COLUMN", help="Compare the rows of each of its values by themselves.")
@click.option(
    "--where", multiple=True, metavar="SQL", help="Rows to compare; given twice: those of A, then those of B."
)
@click.option(
    "--method",
    type=click.Choice(["ks", "chi2", "psi", "js", "hellinger", "wasserstein"]),
    help="The statistic (default: ks for numbers, chi2 for categories).",
)
@click.option(
    "--min-effect", type=float, metavar="X", help="What counts as drift (default: 0.02 of ks and chi2, 0.1 of others)."
)
@click.option(
    "--alpha", type=float, default=0.05, show_default=True, help="The chance of any false alarm in the report."
)
@click.option("--exact", is_flag=True, help="Read the rows of versions where their profiles would do.")
@click.option("--no-history", is_flag=True, help="Take rows to be independent: do not look at earlier versions.")
@click.option("--strict", is_flag=True, help="A column that is undecided fails, too.")
@click.option("--report", "page", metavar="FILE", help="Write the report as one HTML page.")
@engine_option
def drift(
    before: str,
    after: str,
    columns: str | None,
    by: str | None,
    where: tuple[str, ...],
    method: str | None,
    min_effect: float | None,
    alpha: float,
    exact: bool,
    no_history: bool,
    strict: bool,
    page: str | None,
    engine: str | Engine,
    lake: str | None,
    as_json: bool,
) -> int:
    """Say which columns of B are distributed otherwise than those of A, the reference.

    A and B are versions or files. Ends with 0 where no column drifts, with 1 where one does (or, with --strict, where
    one is undecided), and with 2 where a column could not be compared.
    """
    if len(where) > 2:
        raise click.UsageError("--where is given once for both sides, or twice: for A, then for B")
    sides = [_side(name, lake) for name in (before, after)]
    from dataplat._drift import DriftOptions, compared

    options = DriftOptions(
        columns=split_columns(columns),
        by=by,
        where=(where[0], where[1]) if len(where) == 2 else where[0] if where else None,
        method=method,
        min_effect=min_effect,
        alpha=alpha,
        exact=exact,
        history=not no_history,
        engine=engine,
    )
    try:
        found = compared((sides[0], sides[1]), (before, after), options)
    except DataplatError as error:
        if _exits.code_of(error) != _exits.DATA_FAILED:
            raise
        raise ConfigError(str(error)) from error  # 1 says that there is drift, and nothing else
    if page is not None:
        Path(page).write_text(found.to_html(), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
    else:
        _say(found)
        if page is not None:
            note(f"report: {page}")
    return _code(found, strict=strict)


def _side(name: str, lake: str | None) -> Any:
    """Return the file of a name where there is one, else the version that it refers to."""
    from dataplat.cli.validate import is_file

    return name if is_file(name) else open_data(lake)[name]


def _say(found: DriftReport) -> None:
    head, *lines = found.lines()
    click.echo(head)
    for line in lines:
        verdict = next((each for each in _COLOURS if line.strip().startswith(each)), None)
        click.echo(line if verdict is None else line.replace(verdict, coloured(verdict, _COLOURS[verdict]), 1))


def _code(found: DriftReport, *, strict: bool) -> int:
    counts = found.counts
    if counts.get("not comparable") or not found.columns:
        return _exits.USAGE
    failed = counts.get("drift") or (strict and counts.get("undecided"))
    return _exits.DATA_FAILED if failed else _exits.DONE
