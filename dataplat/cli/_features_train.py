"""`dataplat features train, history, explain`: features as they were known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._features_options import (
    Moment,
    asked_of,
    columns_of,
    complete_features,
    complete_keys,
    complete_services,
    complete_views,
    open_store,
)
from dataplat.cli._options import (
    branch_option,
    command,
    complete_datasets,
    complete_references,
    engine_option,
    message_option,
    split_columns,
)
from dataplat.cli._output import coloured, counted, moment, note, number, plain, print_json, rows_of, short, span, table
from dataplat.cli._progress import ProgressLine
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from dataplat._features import FeatureStore
    from dataplat._features._explain import Explanation, ViewExplained
    from dataplat._features._set import TrainingSet
    from dataplat.ingest import IngestResult

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
    "dataplat features train departures -s delay_model --labels arrivals@v2 --horizon 1d --out train\n"
    "dataplat features train departures -s delay_model --out train --holdout 0.2 --by carrier --report train.html",
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
    "--label-known-at",
    metavar="COL",
    help="The labels' column of when each was known (default: as they were committed).",
)
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
    "--holdout", metavar="SHARE|TIME", help="What to hold out, a share of groups or rows from a time on: NAME_holdout."
)
@click.option(
    "--by", metavar="COLS", help="With a share: columns whose equal values stay together (default: the keys)."
)
@click.option("--report", "page", metavar="FILE", help="Write what it holds, and how it came to be, as one HTML page.")
@click.option(
    "--limit", "-n", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show without --out."
)
@engine_option
@branch_option
@message_option
def train(
    spine: str,
    service: str,
    out: str | None,
    label_on: str | None,
    holdout: str | None,
    by: str | None,
    page: str | None,
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
    if by is not None and holdout is None:
        raise click.UsageError(
            "--by says which rows stay together when some are held out: how many, with --holdout 0.2?"
        )
    share = None if holdout is None else _share(holdout, out)
    store = open_store(lake, branch)
    with ProgressLine() as line:
        made = store.training_set(spine, service, label_on=split_columns(label_on) or [], progress=line, **options)
        if page is not None:
            Path(page).write_text(made.to_html(), encoding="utf-8")
    sets: dict[str | None, TrainingSet] = {out: made}
    if share is not None:
        kept, held = made.split(by=split_columns(by), holdout=share)
        sets = {out: kept, _aside(str(out)): held}
    saved = _kept(store, sets, message)
    if as_json:
        told = [_json(each, saved[name], limit if name is None else 0) for name, each in sets.items()]
        print_json(told[0] if share is None else {"train": told[0], "holdout": told[1]})
        return _exits.DONE
    if out is None:
        click.echo(rows_of(made.to_arrow(), limit))
    _tell(made)
    for name, each in sets.items():
        _tell_kept(each, name, saved[name])
    if page is not None:
        note(f"report: {page}")
    return _exits.DONE


def _share(holdout: str, out: str | None) -> float | datetime:
    """Return what is held out: a share, or rows from a time on."""
    if out is None:
        raise click.UsageError("--holdout makes two sets: say with --out what they are called")
    try:
        return float(holdout)
    except ValueError:
        found: datetime = Moment().convert(holdout, None, None)
        return found


def _aside(out: str) -> str:
    """Return where what is held out goes."""
    return f"{out.removesuffix('.parquet')}_holdout{'.parquet' if out.endswith('.parquet') else ''}"


def _kept(
    store: FeatureStore, sets: dict[str | None, TrainingSet], message: str | None
) -> Mapping[str | None, IngestResult | None]:
    """Write sets, all or none: as versions of datasets, or to files."""
    named = {name: made for name, made in sets.items() if name is not None}
    files = {Path(name): made for name, made in named.items() if name.endswith(".parquet")}
    saved: dict[str, IngestResult] = {}
    if files:
        _to_files(files)
    elif named:
        saved = store.save(named, message=message)
    return {name: None if name is None else saved.get(name) for name in sets}


def _to_files(sets: dict[Path, TrainingSet]) -> None:
    """Write sets to files. The one to train on is the last to be there: so what is held out of it is there as well."""
    import pyarrow.parquet as pq

    drafts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in sets}
    try:
        for path, draft in drafts.items():
            pq.write_table(sets[path].to_arrow(), draft)
        train, *others = drafts
        if others:
            train.unlink(missing_ok=True)
        for path in (*others, train):
            drafts[path].replace(path)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _json(made: TrainingSet, saved: IngestResult | None, limit: int) -> dict[str, Any]:
    told = {"id": made.id, "closure": made.closure, "pins": made.pins, **made.report.to_dict()}
    told |= {} if saved is None else saved.to_dict()
    return told | ({"table": plain(made.to_arrow().slice(0, limit).to_pylist())} if limit else {})


def _tell_kept(made: TrainingSet, name: str | None, saved: IngestResult | None) -> None:
    if saved is not None:
        from dataplat.cli.ingest import report

        report(saved, as_json=False)
    elif name is not None:
        click.echo(f"written to {name}: {counted(len(made), 'row')}")


def _tell(made: TrainingSet) -> None:
    """Say what happened on the way."""
    service, report = made.recipe.service, made.report
    pins = ", ".join(f"{name} {short(version)}" for name, version in sorted(made.pins.items()))
    click.echo(
        f"{service.name}@{service.version}: {counted(report.rows, 'row')}, training set {short(made.id)}, of {pins}"
    )
    if report.immature:
        click.echo(f"  {counted(report.immature, 'row')} left out: their labels could not be known yet")
    if report.unlabelled:
        click.echo(f"  {counted(report.unlabelled, 'row')} without a label")
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
@click.argument("keys", metavar="KEY=VALUE…", nargs=-1, shell_complete=complete_keys)
@click.option("--at", metavar="TIME", type=Moment(), help="As of when (default: now).")
@click.option("--feature", metavar="NAME", shell_complete=complete_features, help="Only this feature, or this view.")
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
    """Say why the features of one key are what they are: the rows that could be served, and what became of each.

    Views of which no KEY is given are left out. Rows of windows are told with the windows that they count in.
    """
    from dataplat._features._registry import resolve

    store = open_store(lake, branch)
    meant = resolve(store, service)
    entities = {name: entity.dtype for name, entity in asked_of(meant)[0].items()}
    typed = {word.partition("=")[0] for word in keys}
    wanted = entities if typed - entities.keys() else {name: kind for name, kind in entities.items() if name in typed}
    given = {name: values[0] for name, values in columns_of(keys, wanted).items()}
    found = store.explain(meant, given, at or Moment().convert("0s", None, None), limit=limit)
    names = _wanted(found, feature)
    views = [each for each in found.views if names.intersection(_columns(each))]
    if as_json:
        told = found.to_dict()
        shown = {each.view for each in views}
        print_json({**told, "views": [each for each in told["views"] if each["view"] in shown]})
        return _exits.DONE
    click.echo(f"{found.service} at {moment(found.t)}")
    for each in views:
        _tell_view(each, names)
    if feature is None or feature in found.computed:
        for name, words in found.computed.items():
            if feature in (None, name):
                click.echo(f"\n{coloured(name, 'bold')} is computed of them: {words}")
    if feature is None and found.left:
        left = "; ".join(f"{name} (wants {', '.join(its)})" for name, its in found.left.items())
        note(f"not looked at: {left}")
    return _exits.DONE


def _windows(names: tuple[str, ...], each: ViewExplained) -> str:
    """Return the windows that a row counts in."""
    return "all windows" if len(names) > 1 and len(names) == len(each.windows) else ", ".join(names) or "-"


def _wanted(found: Explanation, feature: str | None) -> set[str]:
    """Return the columns that are asked for: all, one, those of a view, or those that an on-demand feature is computed of."""
    columns = [name for each in found.views for name in _columns(each)]
    if feature is None:
        return set(columns)
    if feature in found.computed:
        return {name for name in columns if f'"{name}"' in found.computed[feature]}
    wanted = {name for name in columns if feature in (name, name.partition("__")[0])}
    if not wanted:
        from dataplat.lake.schema import did_you_mean

        hint = did_you_mean(feature, [*columns, *found.computed])
        raise ConfigError(f"{found.service} has no feature {feature!r} of these keys{hint}")
    return wanted


def _columns(each: ViewExplained) -> list[str]:
    return [f"{each.view}__{name}" for name in each.features]


def _tell_view(each: ViewExplained, wanted: set[str]) -> None:
    click.echo(f"\n{coloured(each.view, 'bold')}")
    rows = [
        (f"{each.view}__{name}", value, status, span(age))
        for name, (value, status, age) in each.features.items()
        if f"{each.view}__{name}" in wanted
    ]
    click.echo(table(("feature", "value", "status", "age"), rows))
    if not each.candidates:
        click.echo("no row of this key")
        return
    names = list(each.candidates[-1].values)
    counted = any(one.windows for one in each.candidates)
    rows = [
        (
            moment(one.e),
            moment(one.k),
            one.verdict.partition(", but from")[0],
            *(one.values[name] for name in names),
            *([_windows(one.windows, each)] if counted else []),
        )
        for one in each.candidates
    ]
    click.echo(table(("true at", "servable from", "", *names, *(["counts in"] if counted else [])), rows))
