"""`dataplat features materialize, get, push, rollback, freshness`: what is served, and how it moves on."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._features_options import (
    Moment,
    asked_of,
    columns_of,
    complete_keys,
    complete_services,
    complete_views,
    contracts_of,
    open_store,
    rows_in,
)
from dataplat.cli._options import branch_option, command, engine_option
from dataplat.cli._output import counted, moment, note, number, plain, print_json, seconds, short, size, span, table
from dataplat.cli._progress import ProgressLine
from dataplat.cli._stream_options import Duration, stopping_in_order

if TYPE_CHECKING:
    from dataplat._features._leaving import RollbackPlan
    from dataplat._features._lookup import Looked
    from dataplat._features._materialize import Materialized
    from dataplat.lake.engine import Engine

_SERVICE = click.argument("service", metavar="SERVICE", shell_complete=complete_services)


@command(
    "materialize",
    example="dataplat features materialize delay_model\ndataplat features materialize delay_model --plan\n"
    "dataplat features materialize delay_model --follow --every 30s --contract weather=checks.py:Weather",
)
@_SERVICE
@click.option("--full", is_flag=True, help="Make all of it anew, not only what changed.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be made, and make nothing.")
@click.option(
    "--contract",
    "-c",
    "contracts",
    metavar="[DATASET=]FILE:NAME",
    multiple=True,
    help="What a source must meet before anything of it is served; may be given for several.",
)
@click.option(
    "--accept-drift", is_flag=True, help="Let features move further than their views allow (drift=), this once."
)
@click.option("--follow", is_flag=True, help="Go on: make it anew whenever sources change, until Ctrl-C.")
@click.option(
    "--every",
    metavar="TIME",
    type=Duration(),
    default="10s",
    show_default=True,
    help="With --follow: how often to look.",
)
@engine_option
@branch_option
def materialize(
    service: str,
    full: bool,
    only_plan: bool,
    contracts: tuple[str, ...],
    accept_drift: bool,
    follow: bool,
    every: float,
    engine: str | Engine,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Make the snapshot of SERVICE that is served from then on: at first all of it, then only keys that changed.

    It is live at once at the end; killed anywhere before, the one before is served. With --follow what may heal (a store
    that is away, a contract that is not met) is said, told as an event (see `dataplat events`), and tried again.
    --engine spark is for a snapshot that is made whole (the first, or --full); keys that changed are made by this process.
    """
    store = open_store(lake, branch)
    held = contracts_of(store, service, contracts)

    def tell(made: Materialized) -> None:
        if as_json:
            print_json(made.to_dict())
        else:
            _tell(made)

    if follow:
        if full or only_plan or accept_drift:
            raise click.UsageError("--full, --plan and --accept-drift are of one snapshot, and --follow makes many")
        if engine != "local":
            raise click.UsageError("--follow makes what changed, here: --engine is of a snapshot that is made whole")
        with stopping_in_order() as stop:
            store.follow(service, tell, every=every, stop=stop, contracts=held, failed=_failed)
        return _exits.DONE
    with ProgressLine() as line:
        made = store.materialize(
            service,
            full=full,
            dry_run=only_plan,
            contracts=held,
            accept_drift=accept_drift,
            progress=line,
            engine=engine,
        )
    tell(made)
    return _exits.DONE


def _failed(error: Exception, wait: float) -> None:
    """Say what went wrong, and when it is tried again."""
    note(f"{type(error).__name__}: {error}\ntried again in {seconds(wait)}; what is live is served")


def _tell(made: Materialized) -> None:
    """Say what was made, or would be."""
    pins = ", ".join(f"{name} {short(version)}" for name, version in sorted(made.pins.items()))
    if made.plan:
        how = "all of it" if made.full else "what changed"
        click.echo(f"{made.service}: would write {counted(made.written, 'record')} ({how}), of {pins}")
        return
    if not made.written and not made.removed and not made.settled:
        click.echo(f"{made.service}: nothing changed; snapshot {made.snapshot} is served")
        return
    removed = f", {number(made.removed)} removed" if made.removed else ""
    click.echo(
        f"{made.service}: {counted(made.written, 'record')} written{removed}; snapshot {made.snapshot} is served "
        f"({counted(made.keys, 'key')}, {size(made.nbytes)}, {seconds(made.seconds)})"
    )
    if made.settled:
        click.echo(f"  {counted(made.settled, 'pushed row')} are part of it now")
    click.echo(f"  of {pins}")
    for each in made.notes:
        click.echo(f"  {each}")


@command(
    "get",
    example="dataplat features get delay_model airport=JFK carrier=AA distance=2475\n"
    "dataplat features get delay_model airport=JFK,LGA carrier=AA,UA distance=2475,733 --statuses",
)
@_SERVICE
@click.argument("keys", metavar="KEY=VALUE…", nargs=-1, shell_complete=complete_keys)
@click.option("--at", metavar="TIME", type=Moment(), help="As of when (default: now); not before the snapshot.")
@click.option("--statuses", is_flag=True, help="Say how each cell came to be, and how old it is.")
@branch_option
def get(
    service: str,
    keys: tuple[str, ...],
    at: datetime | None,
    statuses: bool,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Look up the features of SERVICE now, as a model does: from what is materialised and was pushed since.

    Keys and columns of the request are KEY=VALUE; of several rows KEY=VALUE,VALUE.
    """
    from dataplat._features._registry import resolve

    store = open_store(lake, branch)
    meant = resolve(store, service)
    entities, request = asked_of(meant)
    asked = columns_of(keys, {name: entity.dtype for name, entity in entities.items()} | request)
    found = store.lookup(meant, asked, t=at, statuses=statuses)
    if as_json:
        told = {"service": meant.reference, "t": moment(found.t), "snapshot": found.snapshot}
        print_json({**told, "sequence": found.sequence, "features": found.to_dict()})
        return _exits.DONE
    click.echo(_shown(found, asked, statuses=statuses))
    return _exits.DONE


def _shown(found: Looked, asked: dict[str, list[Any]], *, statuses: bool) -> str:
    """Return features below each other, a column for each row that was asked for."""
    names = [", ".join(f"{values[row]}" for values in asked.values()) or "value" for row in range(len(found))]
    if not statuses:
        return table(("feature", *names), [(name, *values) for name, values in found.columns.items()])
    words, ages = found.statuses, found.ages
    rows = [
        (name, value, words[name][row], span(ages[name][row]))
        for row in range(len(found))
        for name, values in found.columns.items()
        for value in (values[row],)
    ]
    if len(names) == 1:
        return table(("feature", names[0], "status", "age"), rows)
    each = len(rows) // len(names)
    return "\n".join(
        table(("feature", name, "status", "age"), rows[at * each : (at + 1) * each]) for at, name in enumerate(names)
    )


@command(
    "push",
    example='echo \'{"carrier": "AA", "arr_delay": 12.0, "landed_at": "2013-12-31T12:00:00Z"}\' | '
    "dataplat features push carrier_delays -\n"
    "dataplat features push carrier_delays rows.json --idempotency batch-17",
)
@click.argument("view", metavar="VIEW", shell_complete=complete_views)
@click.argument("rows", metavar="FILE|-", type=click.Path(dir_okay=False))
@click.option("--idempotency", metavar="KEY", help="Counts once, however often the same rows are pushed under it.")
@click.option("--flush", is_flag=True, help="Land them in the dataset at once, too.")
@branch_option
def push(
    view: str, rows: str, idempotency: str | None, flush: bool, lake: str | None, as_json: bool, branch: str | None
) -> int:
    """Add rows that are served at once, and land in the dataset of VIEW later.

    Rows are JSON: a list of objects, or one a line, with the columns of the dataset. `materialize` lands them, or --flush.
    """
    from dataplat._features._push import pushed_to
    from dataplat._features._registry import resolve_view
    from dataplat.errors import SourceNotFound

    store = open_store(lake, branch)
    if rows != "-" and not Path(rows).is_file():
        raise SourceNotFound(f"there is no file {rows}; - reads standard input")
    given = rows_in(sys.stdin.read() if rows == "-" else Path(rows).read_text("utf-8"))
    names = list(dict.fromkeys(name for row in given for name in row))
    result = store.push(view, {name: [row.get(name) for row in given] for name in names}, idempotency=idempotency)
    landed = store.flush(pushed_to(resolve_view(store, view))) if flush else 0
    if as_json:
        print_json(result.to_dict() | ({"landed": landed} if flush else {}))
        return _exits.DONE
    served = ", ".join(sorted(result.sequences)) or "no service yet: materialise one"
    click.echo(
        f"{result.view}: {counted(result.rows, 'row')} pushed, known at {moment(result.known_at)}; served in {served}"
    )
    if flush:
        click.echo(f"  {counted(landed, 'row')} landed in the dataset")
    return _exits.DONE


@command("rollback", example="dataplat features rollback delay_model --plan\ndataplat features rollback delay_model")
@_SERVICE
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be served, and change nothing.")
@branch_option
def rollback(service: str, only_plan: bool, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Serve the snapshot of SERVICE that was live before, in one step."""
    store = open_store(lake, branch)
    if only_plan:
        _tell_back(store.plan_rollback(service), as_json=as_json)
        return _exits.DONE
    snapshot = store.rollback(service)
    if as_json:
        import msgspec

        told = msgspec.to_builtins(snapshot)
        told.pop("types")
        print_json(plain(told))
    else:
        pins = ", ".join(f"{name} {short(version)}" for name, version in sorted(snapshot.pins.items()))
        click.echo(f"{service}: snapshot {snapshot.id} of {moment(snapshot.at)} is served again, of {pins}")
    return _exits.DONE


def _tell_back(plan: RollbackPlan, *, as_json: bool) -> None:
    """Say what would be served."""
    if as_json:
        print_json(plan.to_dict())
        return
    pins = ", ".join(f"{name} {short(version)}" for name, version in sorted(plan.pins.items()))
    click.echo(f"{plan.service}: would serve snapshot {plan.snapshot} of {moment(plan.at)} again, of {pins}")
    others = f"; other versions: {', '.join(plan.others)}" if plan.others else ""
    click.echo(f"  in the place of {plan.live}{others}")
