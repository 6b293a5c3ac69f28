"""`dataplat profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataplat.cli._options import command, complete_references, engine_option, open_data, split_columns
from dataplat.cli._output import note, print_json, room, table

if TYPE_CHECKING:
    from dataplat.lake.engine import Engine
    from dataplat.validation.profile import Profile

_EXAMPLE = """
dataplat profile flights
dataplat profile flights@v1 --columns dep_delay,carrier --where "month = 1"
dataplat profile new-flights.csv --report profile.html
"""


@command("profile", example=_EXAMPLE)
@click.argument("data", metavar="REF|FILE", shell_complete=complete_references)
@click.option("--columns", metavar="COLUMNS", help="The columns to look at, as a,b,c (default: all).")
@click.option("--where", metavar="SQL", help="The rows to look at (default: all).")
@click.option("--report", "page", metavar="FILE", help="Write the profile as one HTML page.")
@engine_option
def profile(
    data: str,
    columns: str | None,
    where: str | None,
    page: str | None,
    engine: str | Engine,
    lake: str | None,
    as_json: bool,
) -> None:
    """Say what a version, or a file, holds: counts, quantiles, distinct and frequent values, with a picture of each column.

    Of parts that were looked at before no row is read.
    """
    found = _profiled(data, split_columns(columns), where, lake, engine)
    if page is not None:
        Path(page).write_text(found.to_html(), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
        return
    _say(found)
    if page is not None:
        note(f"report: {page}")


def _profiled(
    data: str, columns: list[str] | None, where: str | None, lake: str | None, engine: str | Engine
) -> Profile:
    """Profile a file where there is one of that name, else the version that a reference names."""
    from dataplat.cli.validate import is_file, refuse_engine

    if is_file(data):
        refuse_engine(data, engine)
        from dataplat._profile import profile as profile_file

        return profile_file(data, columns=columns, where=where)
    return open_data(lake)[data].profile(columns=columns, where=where, engine=engine)


def _say(found: Profile) -> None:
    from dataplat.validation.profile._text import HEADS, headline, rows_of

    lines = [HEADS, *rows_of(found)]
    width, fit = -2, 0
    for cells in zip(*lines, strict=True):
        width += max(map(len, cells)) + 2
        if width > room():
            break
        fit += 1
    fit = max(fit, 1)
    click.echo(headline(found))
    click.echo(table(HEADS[:fit], (cells[:fit] for cells in lines[1:])))
    if fit < len(HEADS):
        note(f"(+ {', '.join(HEADS[fit:])})")
