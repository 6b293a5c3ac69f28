"""`dataplat label errors, cost, export, report`: what labels are worth, what they took, how others get and see them."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import (
    branch_in_force,
    branch_option,
    command,
    complete_queues,
    complete_references,
    open_data,
)
from dataplat.cli._output import number, print_json, rows_of, table
from dataplat.errors import ConfigError

_NAME = click.argument("name", metavar="NAME", shell_complete=complete_queues)


@command(
    "errors",
    example="dataplat label errors flight_labels --predictions predictions\n"
    "dataplat label errors flight_labels --label label --probabilities carrier=p1,weather=p2",
)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
@click.option("--label", default="label", show_default=True, metavar="COL", help="The column that holds labels.")
@click.option(
    "--predictions", metavar="REF", shell_complete=complete_references, help="Rows with probabilities, of the same key."
)
@click.option(
    "--probabilities",
    metavar="LABEL=COL,…",
    help="The column of each label's probability (default: p_LABEL, or columns called as labels are).",
)
@click.option("--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to show.")
def errors(
    reference: str,
    label: str,
    predictions: str | None,
    probabilities: str | None,
    limit: int,
    lake: str | None,
    as_json: bool,
) -> int:
    """Find labels of REF that are probably wrong, by what a model says of their rows; the worst first.

    The probabilities are to be of a model that has not seen these labels (by cross-validation, say). The method is
    confident learning, by cleanlab (`dataplat[label-errors]`).
    """
    from dataplat._labels._errors import label_errors

    found = label_errors(
        open_data(lake), reference, label=label, predictions=predictions, probabilities=_columns(probabilities)
    )
    if as_json:
        counts = {"judged": found.judged, "unjudged": found.unjudged, "doubted": found.table.num_rows}
        print_json(counts | {"too_few": list(found.too_few), "rows": found.table.slice(0, limit).to_pylist()})
        return _exits.DONE
    click.echo(str(found))
    if found.table.num_rows:
        click.echo(rows_of(found.table, limit))
    return _exits.DONE


def _columns(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    found = {}
    for pair in text.split(","):
        label, sign, column = pair.rpartition("=")
        if not sign:
            raise ConfigError(f"--probabilities {pair} is no LABEL=COLUMN, as in --probabilities yes=p_yes,no=p_no")
        found[label.strip()] = column.strip()
    return found


@command("cost", example="dataplat label cost delays\ndataplat label cost delays --longest 300 --per-hour 24")
@_NAME
@click.option("--longest", type=click.FloatRange(min=0), metavar="SECONDS", help="What one answer counts at most.")
@click.option("--per-hour", type=click.FloatRange(min=0), metavar="PRICE", help="What an hour of somebody costs.")
@branch_option
def cost(
    name: str, longest: float | None, per_hour: float | None, lake: str | None, as_json: bool, branch: str | None
) -> int:
    """Show how long answers took, by annotator and by label; skips cost time, too."""
    queue = open_data(lake).label_queue(name, branch=branch_in_force(branch))
    found = queue.cost(longest=longest, per_hour=per_hour)
    if as_json:
        print_json(found.to_dict())
        return _exits.DONE
    click.echo(str(found))
    for what, rows in (("annotator", found.annotators), ("label", found.labels)):
        headers = (what, "answers", "skips", "median", "p90", "total", *(["price"] if per_hour is not None else []))
        told = [
            (
                "-" if row[what] is None else row[what],
                number(row["answers"]),
                number(row["skips"]),
                *(_time(row[each]) for each in ("median", "p90", "seconds")),
                *([f"{row['price']:,.2f}"] if per_hour is not None else []),
            )
            for row in rows.to_pylist()
        ]
        click.echo(table(headers, told, right=headers[1:]))
    return _exits.DONE


def _time(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} s"


@command(
    "export",
    example="dataplat label export delays --to csv labels/\ndataplat label export faces --to coco faces/ --consensus",
)
@_NAME
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--to", "format", type=click.Choice(["coco", "conll", "csv", "huggingface"]), required=True, help="The format."
)
@click.option("--annotator", metavar="NAME", help="The answers of this one only.")
@click.option("--consensus", is_flag=True, help="What the answers of all come to.")
@branch_option
def export(
    name: str,
    folder: str,
    format: Any,
    annotator: str | None,
    consensus: bool,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Write labels into FOLDER, as others read them.

    CSV and Hugging Face hold every answer; COCO (pictures) and CoNLL (texts) one a task: the last, unless --annotator
    or --consensus says which. What a format cannot hold is counted. Gold tasks are left out.
    """
    if annotator and consensus:
        raise click.UsageError("--annotator and --consensus are two answers to one question: give one")
    queue = open_data(lake).label_queue(name, branch=branch_in_force(branch))
    found = queue.export(format, folder, whose="consensus" if consensus else annotator)
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(str(found))
    return _exits.DONE


@command("report", example="dataplat label report delays delays.html")
@_NAME
@click.argument("file", metavar="FILE")
@click.option("--tasks", type=click.IntRange(min=0), default=24, show_default=True, help="Tasks to show with answers.")
@branch_option
def report(name: str, file: str, tasks: int, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Write FILE, a page about a queue that needs no network.

    How far it is, who answered, how far people agree, and answers with pictures, boxes and spans as they were drawn;
    those on which people differ come first.
    """
    written = open_data(lake).label_queue(name, branch=branch_in_force(branch)).report(file, tasks=tasks)
    if as_json:
        print_json({"file": str(written)})
    else:
        click.echo(f"report: {written}")
    return _exits.DONE
