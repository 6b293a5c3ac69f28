"""`dataplat doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataplat.cli import _exits
from dataplat.cli._options import command
from dataplat.cli._output import coloured, near, note, print_json, size, table

if TYPE_CHECKING:
    from dataplat._doctor import DoctorReport
    from dataplat.lake.stores import Measures

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@command("doctor", example="dataplat doctor\ndataplat doctor s3://bucket/lake\ndataplat doctor --json")
@click.argument("place", metavar="[LAKE]", required=False)
def doctor(place: str | None, lake: str | None, as_json: bool) -> int:
    """Try the store of LAKE (default: the lake in force), measure it, and show what it is reached with.

    The race of `init` is run again, small objects are created, read and listed for latency, 32 MB go up and down for
    throughput. Credentials are named by where they come from, never shown. Nothing is left behind. Ends with 0 where
    all is well, and with 1 where something failed.
    """
    from dataplat._doctor import doctor as examine
    from dataplat.config import find_lake, load
    from dataplat.errors import LakeNotFound

    found = place or find_lake(config=load(flags={"lake": lake}))
    if found is None:
        raise LakeNotFound("no lake here or in any folder above: name one, as a path or a URL")
    report = examine(found)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    return _exits.DONE if report.ok else _exits.DATA_FAILED


def _print(report: DoctorReport) -> None:
    if report.url:
        click.echo(near(report.url))
    width = max(len(finding.name) for finding in report.findings)
    for finding in report.findings:
        state = coloured(finding.state.ljust(7), _COLOURS[finding.state])
        click.echo(f"{finding.name.ljust(width)}  {state}  {near(finding.found)}")
    if report.measures is not None:
        click.echo(f"\n{_measured(report.measures)}")
    failed = [finding.name for finding in report.findings if finding.state == "failed"]
    if failed:
        note(f"{coloured('failed:', 'red')} {', '.join(failed)}")


def _measured(measures: Measures) -> str:
    rows = ((found.operation, found.calls, _short(found.p50), _short(found.p95)) for found in measures.latencies)
    rates = f"{size(measures.large)}: {size(int(measures.up))}/s up, {size(int(measures.down))}/s down"
    return table(("small objects", "calls", "median", "95 %"), rows, right=("calls", "median", "95 %")) + f"\n{rates}"


def _short(duration: float) -> str:
    """Return a latency: `0.04 ms`, `12.31 ms`."""
    return f"{duration * 1000:,.2f} ms"
