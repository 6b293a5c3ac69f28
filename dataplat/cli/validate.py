"""`dataplat validate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import command, complete_references, engine_option, open_data
from dataplat.cli._output import coloured, counted, note, number, print_json

if TYPE_CHECKING:
    from dataplat.lake.engine import Engine
    from dataplat.validation import Report

_EXAMPLE = """
dataplat validate flights --contract contract.py:Flights
dataplat validate flights@exp --contract contract.py:Flights --strict --report report.html
dataplat validate new-flights.csv --contract contract.py:Flights --junit report.xml
"""


@command("validate", example=_EXAMPLE)
@click.argument("data", metavar="REF|FILE", shell_complete=complete_references)
@click.option("--contract", "-c", metavar="FILE:NAME", help="The contract; else the one that the branch is held to.")
@click.option("--strict", is_flag=True, help="What was not asked, or asked of a sample only, fails.")
@click.option("--environment", "-e", metavar="NAME", help="Where the data is: train, serve, ...")
@click.option(
    "--sample", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE",
    help="Read this share of the row groups only; checks that need all rows are not asked.",
)  # fmt: skip
@click.option("--report", "page", metavar="FILE", help="Write the report as one HTML page.")
@click.option("--junit", metavar="FILE", help="Write the report as JUnit XML.")
@engine_option
def validate(
    data: str,
    contract: str | None,
    strict: bool,
    environment: str | None,
    sample: float | None,
    page: str | None,
    junit: str | None,
    engine: str | Engine,
    lake: str | None,
    as_json: bool,
) -> int:
    """Hold a version, or a file, to a contract.

    What statistics prove, and what is remembered of the same parts, is not read again; the report says of each check
    how it was settled. Ends with 0 where the contract is met, with 1 where it is not, and with 2 where a check could
    not be evaluated.
    """
    how: dict[str, Any] = {"strict": strict, "environment": environment, "sample": sample}
    found = _judged(data, contract, lake, how, engine)
    if page is not None:
        Path(page).write_text(found.to_html(), encoding="utf-8")
    if junit is not None:
        Path(junit).write_text(found.to_junit(), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
    else:
        _say(found)
        for what, file in (("report", page), ("JUnit", junit)):
            if file is not None:
                note(f"{what}: {file}")
    if any(check.status == "could not check" for check in found.failed):
        return _exits.USAGE
    return _exits.DONE if found.ok else _exits.DATA_FAILED


def _judged(data: str, contract: str | None, lake: str | None, how: dict[str, Any], engine: str | Engine) -> Report:
    """Judge a file where there is one of that name, else the version that a reference names."""
    if is_file(data):
        from dataplat._validate import validate as validate_file

        refuse_engine(data, engine)
        if contract is None:
            raise click.UsageError("say which contract: --contract FILE:NAME")
        return validate_file(data, contract, **how)
    opened = open_data(lake)
    version = opened[data]
    if contract is not None:
        return version.validate(contract, engine=engine, **how)
    from dataplat._protect import held_contract

    held = held_contract(opened, data, version.dataset)
    if held is None:
        raise click.UsageError(f"say which contract: --contract FILE:NAME (no branch holds {version.dataset} to one)")
    return version.validate(held, engine=engine, **how)


def refuse_engine(data: str, engine: str | Engine) -> None:
    """Refuse to have a file read by another engine, which reads versions of a lake."""
    if engine != "local":
        raise click.UsageError(f"--engine spark is for versions of a lake, and {data} is a file: ingest it first")


def is_file(data: str) -> bool:
    """Tell whether an argument is a file, a pattern or a URL, and no reference to a version."""
    return "://" in data or any(each in data for each in "*?[") or Path(data).expanduser().exists()


def _say(found: Report) -> None:
    verdict = coloured("met", "green") if found.ok else coloured("NOT met", "red")
    passed = sum(check.status == "passed" for check in found.checks)
    ways = ", ".join(f"{number(count)} {way}" for way, count in found.how.items())
    click.echo(
        f"{found.data}: contract {found.contract} is {verdict}: {number(passed)} of "
        f"{counted(len(found.checks), 'check')} passed ({ways}), {number(found.rows)} rows"
    )
    order = {"could not check": 0, "failed": 1, "warned": 2, "not asked": 3, "passed": 4}
    for check in sorted(found.checks, key=lambda each: order[each.status]):
        click.echo(f"  {check.line()}  [{check.how}]")
