"""`dataplat features audit, verify`: proofs that what is served is what training sees."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._features_options import Moment, complete_services, open_store
from dataplat.cli._options import branch_option, command
from dataplat.cli._output import coloured, counted, moment, note, number, print_json, table
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from dataplat._features._audit import Audit

_SHOWN = 20


@command(
    "audit",
    example="dataplat features audit delay_model\ndataplat features audit delay_model@2 --since 24h --report audit.html",
)
@click.argument("service", metavar="SERVICE", shell_complete=complete_services)
@click.option("--since", metavar="TIME", type=Moment(), help="From when on, or how long ago: 2h, 7d (default: all).")
@click.option("--until", metavar="TIME", type=Moment(), help="Until before when.")
@click.option("--report", "page", metavar="FILE", help="Write what was found as one HTML page.")
@branch_option
def audit(
    service: str,
    since: datetime | None,
    until: datetime | None,
    page: str | None,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Hold what was served against the lake: each logged value and status again, to the last bit.

    Ends in 1 if anything was served otherwise than it should have been; each difference comes with its cause. What has
    become stale since, because data came later, is counted apart, and is no difference.
    """
    store = open_store(lake, branch)
    with ProgressLine() as line:
        found = store.audit(service, since=since, until=until, progress=_progress(line))
    if page is not None:
        Path(page).write_text(found.to_html(), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
    else:
        _tell(found)
        if page is not None:
            note(f"report: {page}")
    return _exits.DONE if found.ok else _exits.DATA_FAILED


def _progress(line: ProgressLine) -> Any:
    """Return what draws how many rows are done."""
    from dataplat.ingest import Progress

    begun = time.monotonic()

    def draw(done: int, rows: int) -> None:
        line(Progress(f"replaying {number(rows)} rows:", done, 0, 0, time.monotonic() - begun))

    return draw


def _tell(found: Audit) -> None:
    if not found.rows and not found.lost:
        note(f"{found.service}: no request was logged; `dataplat serve` logs what it answers")
        return
    differing = sum(found.causes.values())
    told = coloured(counted(differing, "difference"), "red" if differing else "green")
    click.echo(
        f"{found.service}: {counted(found.rows, 'served row')} of {counted(found.snapshots, 'snapshot')}, "
        f"{moment(found.first)} to {moment(found.last)}\n"
        f"as served: {counted(found.cells, 'cell')}, {told}"
    )
    _tell_differences(found)
    if found.lost:
        note(f"{counted(found.lost, 'row')} cannot be answered again: a version that was served is collected")
    if not found.stale:
        click.echo("stale: none; a training set says the same now")
        return
    click.echo(f"stale: {counted(found.stale_rows, 'row')}; a training set says otherwise now, of data that came later")
    rows = [(name, number(count), f"{count / found.rows:.1%}") for name, count in found.stale.most_common()]
    click.echo(table(("feature", "cells", "share"), rows, right=("cells", "share")))


def _tell_differences(found: Audit) -> None:
    from dataplat._features._audit import CAUSES

    if not found.causes:
        return
    rows: list[tuple[Any, ...]] = [(cause, number(count), CAUSES[cause]) for cause, count in found.causes.most_common()]
    click.echo(table(("cause", "cells", "which means that"), rows, right=("cells",)))
    rows = [
        (
            moment(each.t),
            ", ".join(f"{name}={value}" for name, value in each.entities.items()),
            each.column,
            _cell(each.served, each.served_status),
            _cell(each.replayed, each.replayed_status),
            each.cause,
        )
        for each in found.differences[:_SHOWN]
    ]
    click.echo(table(("t", "of", "feature", "was served", "should have been", "cause"), rows))
    left = sum(found.causes.values()) - len(rows)
    if left > 0:
        click.echo(f"… and {number(left)} more; --json tells the first 1,000")


def _cell(value: Any, status: str) -> str:
    return f"{value}" if status == "present" else f"{'' if value is None else value} ({status})".strip()


@command("verify", example="dataplat features verify delay_model --worlds 500")
@click.argument("service", metavar="SERVICE", shell_complete=complete_services)
@click.option(
    "--worlds", type=click.IntRange(1), default=50, show_default=True, help="How many sets of rows are drawn."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another one draws other rows.")
@branch_option
def verify(service: str, worlds: int, seed: int, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Prove on the definitions of SERVICE that training and serving agree.

    Rows are drawn in the shape of its sources, hard ones: ties, late and future rows, nulls, NaN, rows on the edges of
    windows. They are answered as training does, in parts, without merging, and as the server does: every value, status and
    age has to be the same to the last bit. Ends in 1 if one is not. No row of the lake is read.
    """
    store = open_store(lake, branch)
    with ProgressLine() as line:
        found = store.verify(service, worlds=worlds, seed=seed, progress=line)
    if as_json:
        print_json(found.to_dict())
    else:
        told = coloured(counted(len(found.differences), "difference"), "green" if found.ok else "red")
        ways = ", ".join(f"{way} {number(count)}" for way, count in found.cells.items())
        click.echo(f"{found.service}: {counted(found.worlds, 'world')}, cells compared with training: {ways}; {told}")
        for each in found.differences:
            click.echo(f"  {each}")
    return _exits.DONE if found.ok else _exits.DATA_FAILED
