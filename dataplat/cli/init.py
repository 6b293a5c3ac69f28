"""`dataplat init`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dataplat.cli._options import command
from dataplat.cli._output import near, print_json, seconds, short, table

if TYPE_CHECKING:
    from dataplat.lake.stores import ProbeReport


@command("init", example="dataplat init\ndataplat init data/lake\ndataplat init s3://bucket/lake")
@click.argument("place", metavar="[PATH|URL]", required=False)
def init(place: str | None, lake: str | None, as_json: bool) -> None:
    """Create a lake at PATH or URL (default: .dataplat in this folder).

    A race of its own proves that the store creates names atomically; a store that does not is refused, with
    the operation and the reason, and what was tried of one over a network is shown. A lake that is there already is
    left as it is.
    """
    from dataplat._lake import open_with_report
    from dataplat.config import LAKE_FOLDER, load
    from dataplat.lake.stores import SupportsFiles

    place = place or load(flags={"lake": lake}).lake or LAKE_FOLDER
    opened, report = open_with_report(place, create=True)
    if as_json:
        tried = {} if report is None else {"probe": asdict(report)}
        print_json({"url": opened.url, "id": opened.id, "created": report is not None, **tried})
        return
    if report is not None and not isinstance(opened.store, SupportsFiles):
        click.echo(checks_table(report))
    done = "there is a lake already:" if report is None else "created lake"
    click.echo(f"{done} {short(opened.id)} at {near(opened.url)}")


def checks_table(report: ProbeReport) -> str:
    """Return what a store was tried for as a table."""
    rows = ((check.name, "ok", check.found, check.calls, seconds(check.seconds)) for check in report.checks)
    return table(("check", "", "found", "calls", "time"), rows, right=("calls", "time"))
