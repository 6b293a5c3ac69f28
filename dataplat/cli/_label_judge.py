"""`dataplat label agreement, adjudicate, consensus, diff, blame`: what people's answers come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_queues,
    complete_references,
    message_option,
    open_data,
)
from dataplat.cli._output import counted, moment, note, number, print_json, rows_of, short, table
from dataplat.cli._progress import ProgressLine
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from dataplat._labels._agreement import QueueAgreement
    from dataplat._labels._queue import LabelQueue
    from dataplat.labeling.agreement import RegionAgreement

_NAME = click.argument("name", metavar="NAME", shell_complete=complete_queues)


def _queue(lake: str | None, name: str, branch: str | None) -> LabelQueue:
    return open_data(lake).label_queue(name, branch=branch_in_force(branch))


@command("agreement", example="dataplat label agreement delays\ndataplat label agreement stars --level ordinal --json")
@_NAME
@click.option(
    "--level",
    type=click.Choice(["nominal", "ordinal", "interval", "ratio"]),
    help="The level of measurement (default: ordinal for ratings, interval for numbers, else nominal).",
)
@click.option(
    "--bootstrap", type=click.IntRange(min=0), default=1_000, show_default=True, help="Draws for the interval; 0: none."
)
@branch_option
def agreement(name: str, level: Any, bootstrap: int, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show how far annotators agree, beyond what chance would give.

    Krippendorff's alpha with its interval, Cohen's kappa of each two people, alpha of each label against the others,
    and of spans and boxes the share that has its like (F1).
    """
    found = _queue(lake, name, branch).agreement(level=level, bootstrap=bootstrap)
    if as_json:
        print_json(found.to_dict())
        return _exits.DONE
    click.echo(str(found))
    if found.pairs.num_rows:
        _tell_pairs(found)
    for what, regions in (("spans", found.spans), ("boxes", found.boxes)):
        if regions is not None:
            _tell_regions(what, regions)
    return _exits.DONE


def _tell_pairs(found: QueueAgreement) -> None:
    rows = [
        (row["one"], row["other"], number(row["tasks"]), f"{row['agreement']:.0%}", _share(row["kappa"]))
        for row in found.pairs.to_pylist()
    ]
    headers = ("who", "with", "tasks", "equal", "kappa")
    click.echo(table(headers, rows, right=headers[2:]))
    labels = [(row["label"], number(row["answers"]), _share(row["alpha"])) for row in found.labels.to_pylist()]
    if len(labels) > 2:
        click.echo(table(("label", "answers", "alpha"), labels, right=("answers", "alpha")))


def _tell_regions(what: str, found: RegionAgreement) -> None:
    click.echo(
        f"{what}: F1 {_share(found.f1)}, of places alone {_share(found.place_f1)}, "
        f"labels of matched ones equal {_share(found.label_agreement)}, they share {_share(found.iou)}"
    )
    rows = [
        (row["one"], row["other"], number(row["tasks"]), number(row["regions"]), _share(row["f1"]))
        for row in found.by_pair().to_pylist()
    ]
    headers = ("who", "with", "tasks", what, "F1")
    click.echo(table(headers, rows, right=headers[2:]))


def _share(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"  # noqa: PLR0124  (NaN)


@command("adjudicate", example="dataplat label adjudicate delays\ndataplat label adjudicate delays --below 0.7 --plan")
@_NAME
@click.option(
    "--below",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="The share of votes for the most frequent answer below which a task goes there.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Say how many would go there, and change nothing.")
@branch_option
def adjudicate(name: str, below: float, only_plan: bool, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Put tasks on which people disagree before the adjudicator, with what they said.

    `queue create` and `queue set` say with --adjudicator who that is. After the next pull their answers decide.
    """
    queue = _queue(lake, name, branch)
    with ProgressLine() as line:
        result = queue.adjudicate(below, plan=only_plan, progress=line)
    if as_json:
        print_json(result.to_dict())
        return _exits.DONE
    count = sum(result.placed.values())
    would = "would be " if only_plan else ""
    click.echo(f"{name}: {counted(count, 'task')} {would}placed before {queue.spec.adjudicator}")
    for text in result.notes:
        note(text)
    return _exits.DONE


@command(
    "consensus",
    example="dataplat label consensus delays --into flight_labels\n"
    "dataplat label consensus delays --method dawid-skene --limit 20",
)
@_NAME
@click.option("--into", metavar="DATASET", help="Make the labels a dataset, one row for each row asked about.")
@click.option(
    "--method",
    type=click.Choice(["majority", "weighted", "dawid-skene"]),
    default="majority",
    show_default=True,
    help="How answers are weighed.",
)
@click.option("--weight", "weights", multiple=True, metavar="NAME=X", help="With weighted: what somebody counts.")
@click.option("--contract", "-c", metavar="FILE:NAME", help="What the labels are to meet.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show.")
@message_option
@branch_option
def consensus(
    name: str,
    into: str | None,
    method: Any,
    weights: tuple[str, ...],
    contract: str | None,
    limit: int,
    message: str | None,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Make one label of the answers to each task, and with --into a dataset of them.

    The dataset has the key of the rows asked about (or the columns shown), `label`, `confidence`, `votes` and `tied`;
    equal rows get the same label. Where spans, boxes or outlines are asked for it has the regions that most people drew
    instead: `result` (as --gold and --prelabel read it), `regions`, `disputed`, `confidence`, `votes`. Its lineage names
    the versions of rows and answers.
    """
    found = _queue(lake, name, branch).consensus(method, weights=_weights(weights))
    if into is not None:
        from dataplat.cli.ingest import report

        if not as_json:
            click.echo(str(found.found))
        return report(found.commit(into, contract=contract, message=message), as_json=as_json)
    if as_json:
        print_json(found.to_dict() | {"rows": found.rows().to_pylist()})
        return _exits.DONE
    click.echo(str(found.found))
    click.echo(rows_of(found.rows(), limit))
    return _exits.DONE


def _weights(given: tuple[str, ...]) -> dict[str, float] | None:
    found = {}
    for text in given:
        who, _, weight = text.rpartition("=")
        try:
            found[who] = float(weight)
        except ValueError:
            raise ConfigError(f"--weight {text} is no NAME=NUMBER, as in --weight anna=2") from None
    return found or None


@command("diff", example="dataplat label diff flight_labels@v1 flight_labels\ndataplat label diff @v1 truth --column y")
@click.argument("before", metavar="A", shell_complete=complete_references)
@click.argument("after", metavar="B", shell_complete=complete_references)
@click.option("--column", default="label", show_default=True, metavar="COL", help="The column that holds labels.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show.")
def diff(before: str, after: str, column: str, limit: int, lake: str | None, as_json: bool) -> int:
    """Show which labels of B are others than in A: how often each became which, and rows.

    A and B are versions with a key and a column of labels, as `dataplat label consensus --into` makes them.
    """
    from dataplat._labels._compare import label_diff

    found = label_diff(open_data(lake), before, after, column)
    if as_json:
        print_json(found.to_dict() | {"rows": found.rows.slice(0, limit).to_pylist()})
        return _exits.DONE
    changed = counted(found.rows.num_rows, "label")
    click.echo(f"{changed} changed, {number(found.added)} rows added, {number(found.removed)} removed")
    if found.rows.num_rows:
        click.echo(rows_of(found.moves))
        click.echo(rows_of(found.rows, limit))
    return _exits.DONE


@command("blame", example="dataplat label blame delays flight_id=3\ndataplat label blame delays 1de7e29c21fb --json")
@_NAME
@click.argument("row", metavar="COLUMN=VALUE…|TASK", nargs=-1, required=True)
@branch_option
def blame(name: str, row: tuple[str, ...], lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show who said what about a row, and when: every version of every answer, the oldest first.

    The row is named by columns of the source, as in `flight_id=3`, or by the beginning of its task's id.
    """
    found = _queue(lake, name, branch).blame(_row(row))
    if as_json:
        print_json([each.to_dict() for each in found])
        return _exits.DONE
    if not found:
        click.echo("nobody said anything about it yet")
        return _exits.DONE
    rows = [
        (
            each.task[:12],
            each.annotator or "unknown",
            each.what,
            f"skipped: {each.reason}" if each.reason else "skipped" if each.skipped else each.label or each.result,
            moment(each.at),
            short(each.commit),
        )
        for each in found
    ]
    click.echo(table(("task", "who", "what", "answer", "when", "commit"), rows))
    return _exits.DONE


def _row(given: tuple[str, ...]) -> dict[str, str] | str:
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    found = {}
    for text in given:
        column, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"{text!r} is no COLUMN=VALUE: name the row as in flight_id=3")
        found[column] = value
    return found
