"""`dataplat label push, pull, status, next, close`: questions go out, answers come home."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli import _exits
from dataplat.cli._options import branch_in_force, branch_option, command, complete_queues, open_data, open_lake
from dataplat.cli._output import counted, note, number, print_json, seconds, short, table
from dataplat.cli._progress import ProgressLine
from dataplat.cli._stream_options import Duration, stopping_in_order

_NAME = click.argument("name", metavar="NAME", shell_complete=complete_queues)


@command("push", example="dataplat label push delays --limit 100\ndataplat label push delays --plan")
@_NAME
@click.option("--limit", "-n", type=click.IntRange(min=1), help="The most tasks that wait before each annotator.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be asked, and ask nothing.")
@branch_option
def push(name: str, limit: int | None, only_plan: bool, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Make tasks of what is new in the source, and put them before annotators.

    It may be called again at any time, after any failure: nothing is asked twice.
    """
    queue = open_data(lake).label_queue(name, branch=branch_in_force(branch))
    with ProgressLine() as line:
        result = queue.push(limit, plan=only_plan, progress=line)
    if as_json:
        print_json(result.to_dict())
        return _exits.DONE
    would = "would be " if only_plan else ""
    click.echo(f"{name}: {counted(result.tasks, 'new task')}, {number(sum(result.placed.values()))} {would}placed")
    for annotator, count in sorted(result.placed.items()):
        click.echo(f"  {annotator}: {number(count)}")
    if result.held_out:
        click.echo(f"  {counted(result.held_out, 'task')} left out: held out")
    if result.moved:
        click.echo(f"  {counted(result.moved, 'task')} {would}moved: the lease had ended")
    if result.found or result.removed:
        click.echo(
            f"  of an earlier push: {number(result.found)} taken in, {counted(result.removed, 'copy', 'copies')} removed"
        )
    if result.waiting:
        click.echo(f"  {counted(result.waiting, 'answer')} still to be asked for, beyond what is placed")
    for annotator in result.paused:
        note(f"{annotator} gets no more: too few gold tasks answered rightly")
    for text in result.notes:
        note(text)
    return _exits.DONE


@command("pull", example="dataplat label pull delays\ndataplat label pull delays --follow --every 10s")
@_NAME
@click.option("--full", is_flag=True, help="Read all answers, whatever was seen before.")
@click.option("--contract", "-c", metavar="FILE:NAME", help="What NAME.annotations is to meet.")
@click.option("--follow", is_flag=True, help="Go on: pull whenever something changes, until Ctrl-C.")
@click.option(
    "--every",
    metavar="TIME",
    type=Duration(),
    default="30s",
    show_default=True,
    help="With --follow: how often, at least.",
)
@branch_option
def pull(
    name: str,
    full: bool,
    contract: str | None,
    follow: bool,
    every: float,
    lake: str | None,
    as_json: bool,
    branch: str | None,
) -> int:
    """Bring the answers that came since the last pull, in one commit; none where nothing changed."""
    queue = open_data(lake).label_queue(name, branch=branch_in_force(branch))

    def tell(result: Any) -> None:
        if as_json:
            print_json(result.to_dict())
            return
        if follow and result.commit is None:
            return
        told = f"{number(result.new)} new, {number(result.changed)} changed, {number(result.deleted)} deleted"
        into = "nothing new" if result.commit is None else f"commit {short(result.commit)}"
        click.echo(f"{name}: {told}; {into} ({seconds(result.seconds)})")
        for text in result.notes:
            note(text)

    if follow:
        with stopping_in_order() as stop:
            queue.follow(tell, every=every, contract=contract, stop=stop)
        return _exits.DONE
    with ProgressLine() as line:
        result = queue.pull(full=full, contract=contract, progress=line)
    tell(result)
    return _exits.DONE


@command("status", example="dataplat label status delays")
@_NAME
@branch_option
def status(name: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show how far each annotator is, as of the last pull."""
    found = open_lake(lake).label_queue(name, branch=branch_in_force(branch)).status()
    if as_json:
        print_json(found.to_dict())
        return _exits.DONE
    state = " (closed)" if found.closed else ""
    click.echo(
        f"{found.name}{state}: {counted(found.tasks, 'task')} from {found.source}, {number(found.done)} done, "
        f"{number(found.started)} begun; {counted(found.overlap, 'answer')} each"
    )
    rows = [
        (
            each.name,
            number(each.placed),
            number(each.answered),
            number(each.skipped),
            number(each.open),
            "-" if each.gold is None else f"{each.gold:.0%}",
            "-" if each.lead_time is None else f"{each.lead_time:.1f} s",
            "paused" if each.paused else "",
        )
        for each in found.annotators
    ]
    headers = ("annotator", "placed", "answered", "skipped", "open", "gold", "per answer", "")
    click.echo(table(headers, rows, right=headers[1:7]))
    return _exits.DONE


@command("next", example="dataplat label next delays --annotator anna")
@_NAME
@click.option("--annotator", required=True, metavar="NAME", help="Whose.")
@branch_option
def next_(name: str, annotator: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Print the page on which an annotator answers what comes next."""
    page = open_lake(lake).label_queue(name, branch=branch_in_force(branch)).next(annotator)
    if as_json:
        print_json({"url": page})
    else:
        click.echo(page)
    return _exits.DONE


@command("close", example="dataplat label close delays")
@_NAME
@branch_option
def close(name: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Pull once more, and take no more; `queue set NAME --open` opens it again."""
    queue = open_data(lake).label_queue(name, branch=branch_in_force(branch))
    queue.close()
    found = queue.status()
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(f"{name} is closed: {number(found.done)} of {counted(found.tasks, 'task')} done")
    return _exits.DONE
