"""`dataplat events`: what changed under datasets, and who was told."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli import _exits
from dataplat.cli._app import LazyGroup
from dataplat.cli._options import command, open_lake
from dataplat.cli._output import counted, moment, note, print_json, table

_HERE = "dataplat.cli.events"
COMMANDS: dict[str, tuple[str, str]] = {
    "list": (f"{_HERE}:list_", "List events, and who was told of them."),
    "deliver": (f"{_HERE}:deliver", "Tell events that wait, now."),
}


@click.command("events", cls=LazyGroup, lazy=COMMANDS)
def events(**_: Any) -> None:
    """See what changed under datasets: columns of sources, values that a contract does not list, dependencies.

    Who is told stands in dataplat.toml, under [notify]: a log, a command, anything that apprise speaks.
    """


@command("list", example="dataplat events list\ndataplat events list --waiting")
@click.option("--waiting", is_flag=True, help="Only those that were not told yet.")
def list_(waiting: bool, lake: str | None, as_json: bool) -> None:
    """List events that this user's ingests noticed, the oldest first."""
    from dataplat.events._outbox import Outbox

    found = Outbox.of(open_lake(lake).id).all()
    shown = [each for each in found if not waiting or not each.told or each.error]
    if as_json:
        print_json([each.event | {"told": list(each.told), "error": each.error} for each in shown])
        return
    rows = [(moment(each.event["time"]), each.event["text"], ", ".join(each.told) or "-", each.error) for each in shown]
    click.echo(table(("time", "event", "told", "problem"), rows))


@command("deliver", example="dataplat events deliver")
def deliver(lake: str | None, as_json: bool) -> int:
    """Tell events that wait to whom it may concern, now; what fails is tried five times.

    An ingest starts this in a process of its own and does not wait for it. Ends with 1 where some wait still.
    """
    from dataplat.config import load
    from dataplat.events._deliver import channels
    from dataplat.events._deliver import deliver as tell
    from dataplat.events._outbox import Outbox

    ways = channels(load())
    if not ways:
        raise click.UsageError(
            "nobody is to be told: name a log, a command or an address under [notify] in dataplat.toml"
        )
    left = tell(Outbox.of(open_lake(lake).id), ways)
    if as_json:
        print_json({"waiting": left})
    elif left:
        note(f"{counted(left, 'event waits', 'events wait')} still; see: dataplat events list --waiting")
    return _exits.DATA_FAILED if left else _exits.DONE
