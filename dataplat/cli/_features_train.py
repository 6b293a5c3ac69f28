"""`dataplat features train, history, explain`: features as they were known."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._features_options import (
    Moment,
    asked_of,
    columns_of,
    complete_services,
    complete_views,
    open_store,
)
from dataplat.cli._options import branch_option, command, complete_datasets, complete_references, message_option
from dataplat.cli._output import coloured, counted, moment, number, plain, print_json, rows_of, short, span, table
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from dataplat._features._explain import Explanation, ViewExplained
    from dataplat._features._set import TrainingSet

_SERVICE = click.option(
    "--service",
    "-s",
    required=True,
    metavar="NAME",
    shell_complete=complete_services,
    help="The service, `name` or `name@version`.",
)


@command(
    "train",
    example="dataplat features train departures@v1 --service delay_model --out train\n"
    "dataplat features train 'select origin as airport, time_hour as t from flights' -s delay_model --out train.parquet\n"
    "dataplat features train departures -s delay_model --labels arrivals@v2 --horizon 1d --out train",
)
@click.argument("spine", metavar="SPINE", shell_complete=complete_references)
@_SERVICE
@click.option(
    "--out", metavar="NAME", shell_complete=complete_datasets, help="The dataset that it becomes, or a file.parquet."
)
@click.option("--timestamp", metavar="COL", default="t", show_default=True, help="The spine's column of times.")
@click.option("--labels", metavar="REF", shell_complete=complete_references, help="A dataset of labels to join.")
@click.option("--label-on", metavar="COLS", help="The columns that labels are joined by (default: their key).")
@click.option(
    "--horizon", metavar="TIME", help="How long after its time a label is known: 1d. Later rows are left out."
)
@click.option(
    "--as-known",
    type=click.Choice(["now"]),
    help="Take rows as known that came later: not what a model would have seen.",
)
@click.option("--statuses", is_flag=True, help="Add how each cell came to be.")
@click.option("--ages", is_flag=True, help="Add how old each cell is.")
@click.option(
    "--limit", "-n", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show without --out."
)
@branch_option
@message_option
def train(
    spine: str,
    service: str,
    out: str | None,
    label_on: str | None,
    limit: int,
    lake: str | None,
    as_json: bool,
    branch: str | None,
    message: str | None,
    **options: Any,
) -> int:
    """Make a training set: for each row of SPINE the features of a service, as they were known at its time.

    SPINE is a dataset or a query, with a column of times and one for each key. As many rows come out as go in, in their
    order. Without --out it is shown.
    """
    store = open_store(lake, branch)
    on = [] if label_on is None else [name.strip() for name in label_on.split(",")]
    made = store.training_set(spine, service, label_on=on, **options)
    if out is not None and out.endswith(".parquet"):
        import pyarrow.parquet as pq

        pq.write_table(made.to_arrow(), Path(out))
    elif out is not None:
        from dataplat.cli.ingest import report

        saved = made.save(out, message=message)
        if not as_json:
            _tell(made)
        return report(saved, as_json=as_json)
    if as_json:
        rows = {} if out else {"table": plain(made.to_arrow().slice(0, limit).to_pylist())}
        print_json({"id": made.id, "closure": made.closure, "pins": made.pins, **made.report.to_dict(), **rows})
        return _exits.DONE
    if out is None:
        click.echo(rows_of(made.to_arrow(), limit))
    _tell(made)
    if out is not None:
        click.echo(f"written to {out}")
    return _exits.DONE


def _tell(made: TrainingSet) -> None:
    """Say what happened on the way."""
    service, report = made.recipe.service, made.report
    pins = ", ".join(f"{name} {short(version)}" for name, version in sorted(made.pins.items()))
    click.echo(
        f"{service.name}@{service.version}: {counted(report.rows, 'row')}, training set {short(made.id)}, of {pins}"
    )
    if report.immature:
        click.echo(f"  {counted(report.immature, 'row')} left out: their labels could not be known yet")
    for view, ties in sorted(report.ties.items()):
        if ties:
            click.echo(f"  {view}: of {counted(ties, 'row')} the newest row tied with another")
    lacking = [
        (name, ", ".join(f"{number(count)} {word}" for word, count in sorted(told.items()) if word != "present"))
        for name, told in report.statuses.items()
    ]
    if any(what for _, what in lacking):
        click.echo(table(("feature", "not present"), [(name, what) for name, what in lacking if what]))


@command(
    "history",
    example="dataplat features history airport_weather --from 2013-01-01 --to 2013-01-02",
)
@click.argument("view", metavar="VIEW", shell_complete=complete_views)
@click.option("--from", "start", required=True, metavar="TIME", type=Moment(), help="From when on.")
@click.option("--to", "end", metavar="TIME", type=Moment(), help="Until before when (default: now).")
@click.option("--statuses", is_flag=True, help="Add how each cell came to be, and how old it is.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=40, show_default=True, help="Rows to show.")
@branch_option
def history(
    view: str,
    start: datetime,
    end: datetime | None,
    statuses: bool,
    limit: int,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Show the features of VIEW over time: a row for each key and time at which something of it became known."""
    end = end or Moment().convert("0s", None, None)
    found = open_store(lake, branch).history(view, start, end, statuses=statuses)
    if as_json:
        print_json(found.to_pylist())
    else:
        click.echo(rows_of(found, limit))
        if found.num_rows > limit:
            click.echo(f"… {number(found.num_rows)} rows in all; more with --limit")
    return _exits.DONE


@command(
    "explain",
    example="dataplat features explain delay_model airport=JFK carrier=AA --at 2013-01-15T12:00Z\n"
    "dataplat features explain delay_model airport=JFK carrier=AA --feature airport_weather__temp",
)
@click.argument("service", metavar="SERVICE", shell_complete=complete_services)
@click.argument("keys", metavar="KEY=VALUE…", nargs=-1)
@click.option("--at", metavar="TIME", type=Moment(), help="As of when (default: now).")
@click.option("--feature", metavar="NAME", help="Only this feature, or this view.")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=10, show_default=True, help="Rows of each view.")
@branch_option
def explain(
    service: str,
    keys: tuple[str, ...],
    at: datetime | None,
    feature: str | None,
    limit: int,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Say why the features of one key are what they are: the rows that could be served, and what became of each."""
    from dataplat._features._registry import resolve

    store = open_store(lake, branch)
    meant = resolve(store, service)
    entities = {name: entity.dtype for name, entity in asked_of(meant)[0].items()}
    given = {name: values[0] for name, values in columns_of(keys, entities).items()}
    found = store.explain(meant, given, at or Moment().convert("0s", None, None), limit=limit)
    views = _chosen(found, feature)
    if as_json:
        told = found.to_dict()
        names = {each.view for each in views}
        print_json({**told, "views": [each for each in told["views"] if each["view"] in names]})
        return _exits.DONE
    click.echo(f"{found.service} at {moment(found.t)}")
    for each in views:
        _tell_view(each, feature)
    return _exits.DONE


def _chosen(found: Explanation, feature: str | None) -> list[ViewExplained]:
    if feature is None:
        return list(found.views)
    views = [each for each in found.views if feature in _columns(each) or feature == each.view]
    if not views:
        from dataplat.lake.schema import did_you_mean

        there = [name for each in found.views for name in _columns(each)]
        raise ConfigError(f"{found.service} has no feature {feature!r} of a view{did_you_mean(feature, there)}")
    return views


def _columns(each: ViewExplained) -> list[str]:
    return [f"{each.view}__{name}" for name in each.features]


def _tell_view(each: ViewExplained, feature: str | None) -> None:
    click.echo(f"\n{coloured(each.view, 'bold')}")
    rows = [
        (f"{each.view}__{name}", value, status, span(age))
        for name, (value, status, age) in each.features.items()
        if feature in (None, each.view, f"{each.view}__{name}")
    ]
    click.echo(table(("feature", "value", "status", "age"), rows))
    if not each.candidates:
        click.echo("no row of this key")
        return
    names = list(each.candidates[-1].values)
    rows = [
        (moment(one.e), moment(one.k), one.verdict, *(one.values[name] for name in names)) for one in each.candidates
    ]
    click.echo(table(("true at", "servable from", "", *names), rows))
