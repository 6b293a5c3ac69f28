"""`dataplat label server` and `dataplat label annotator`: the page that annotators see, and their accounts."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from dataplat.cli import _exits
from dataplat.cli._app import LazyGroup
from dataplat.cli._options import branch_in_force, branch_option, command, complete_queues, open_lake
from dataplat.cli._output import facts, near, note, print_json, table

_HERE = "dataplat.cli.label_server"
SERVER: dict[str, tuple[str, str]] = {
    "start": (f"{_HERE}:start", "Start Label Studio on this machine, installed first where it is not."),
    "stop": (f"{_HERE}:stop", "Stop it; nothing that it holds is lost."),
    "status": (f"{_HERE}:status", "Show what runs, and where."),
}
ANNOTATOR: dict[str, tuple[str, str]] = {
    "add": (f"{_HERE}:add", "Make an account, and print the one link to send to that person."),
    "list": (f"{_HERE}:list_", "List the accounts."),
}
DAEMON = "dataplat.cli._label_daemon"


@click.command("server", cls=LazyGroup, lazy=SERVER)
def server(**_: Any) -> None:
    """Run the page that annotators see: a real Label Studio, for one machine.

    It has a virtual environment of its own, and its database in a folder that only you can read. Both it and dataplat's
    own server beside it listen on the loopback only, and go on when the command ends. A server elsewhere is named in
    dataplat.toml: [label] url and token; then only dataplat's own is started here.
    """


@click.command("annotator", cls=LazyGroup, lazy=ANNOTATOR)
def annotator(**_: Any) -> None:
    """Give people accounts on the annotation server."""


class Told:
    """Says on a terminal what is being done, and how long each step took."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, what: str) -> None:
        """Say the next step."""
        if sys.stderr.isatty():
            click.echo(f"[{time.monotonic() - self._began:4.0f} s] {what}", err=True)


@command("start", example="dataplat label server start", lake=False)
def start(as_json: bool) -> int:
    """Start Label Studio and dataplat's own server, and return when both answer.

    The first time Label Studio is installed: 800 MB, half a minute to ten. The ports stay the same, since links hold
    them.
    """
    from dataplat.labeling.connect import elsewhere
    from dataplat.labeling.label_studio import _run

    running = _run.start(_run.command_of(DAEMON), Told(), own_only=elsewhere())
    if as_json:
        print_json(_described(running))
    else:
        click.echo(facts(_facts(running)))
        click.echo("people answer there: dataplat label annotator add NAME")
    return _exits.DONE


@command("stop", example="dataplat label server stop", lake=False)
def stop(as_json: bool) -> int:
    """Stop Label Studio and dataplat's own server; `start` goes on where they were."""
    from dataplat.labeling.label_studio import _run

    stopped = _run.stop()
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo("stopped" if stopped else "nothing ran")
    return _exits.DONE


@command("status", example="dataplat label server status", lake=False)
def status(as_json: bool) -> int:
    """Show what runs, and where."""
    from dataplat.labeling.label_studio import _run

    found = _run.status()
    if as_json:
        print_json(_described(found))
    else:
        click.echo(facts(_facts(found)))
    return _exits.DONE


def _described(status: Any) -> dict[str, Any]:
    return {
        "running": status.running,
        "url": status.url,
        "serve_url": status.serve_url,
        "folder": str(status.folder),
        "installed": status.installed,
    }


def _facts(status: Any) -> list[tuple[str, str]]:
    from dataplat.labeling.label_studio._install import VERSION

    lacking = "does not run" if status.installed else "is not installed; `dataplat label server start` does it"
    return [
        ("Label Studio", f"{VERSION} at {status.url}" if status.url else f"{VERSION} {lacking}"),
        ("pictures, ways in", status.serve_url or "does not run"),
        ("kept in", near(str(status.folder))),
    ]


@command("add", example="dataplat label annotator add anna\ndataplat label annotator add bob --queue delays")
@click.argument("name", metavar="NAME")
@click.option("--queue", metavar="QUEUE", shell_complete=complete_queues, help="A queue that asks them from now on.")
@branch_option
@click.option("--email", metavar="ADDRESS", help="Their address; what stands before the @ has to be NAME.")
def add(name: str, email: str | None, queue: str | None, branch: str | None, lake: str | None, as_json: bool) -> int:
    """Make an account for NAME, and print the one link to send to them.

    The link logs them in and leads to what they are asked: whoever has it is them. Asked again it is the same. Where the
    server is on another host a page to log in at is printed instead, and a password, once.
    """
    from dataplat.labeling.connect import find_address, find_server
    from dataplat.labeling.label_studio._state import load_or_make
    from dataplat.labeling.label_studio.accounts import add_annotator
    from dataplat.labeling.serve import enter_link

    asking = None if queue is None else open_lake(lake).label_queue(queue, branch=branch_in_force(branch))
    there = find_address()
    made = add_annotator(find_server(), load_or_make(), name, email)
    if asking is not None and made.name not in asking.spec.annotators:
        asking.set(annotators=[*asking.spec.annotators, made.name])
    link = enter_link(made.name, made.email) if there.local else f"{there.url}/user/login/"
    if as_json:
        secret = {} if there.local else {"password": made.password}
        print_json({"name": made.name, "email": made.email, "new": made.new, "url": link, **secret})
        return _exits.DONE
    click.echo(link)
    if not there.local:
        click.echo(f"email     {made.email}\npassword  {made.password}")
    note(f"{name} {'has an account now' if made.new else 'had an account already'}; send this to nobody else")
    return _exits.DONE


@command("list", example="dataplat label annotator list", lake=False)
def list_(as_json: bool) -> int:
    """List the accounts on the annotation server."""
    from dataplat.labeling.connect import find_server

    found = find_server().users()
    if as_json:
        print_json([{"id": each.id, "name": each.name, "email": each.email} for each in found])
        return _exits.DONE
    click.echo(table(("name", "email"), [(each.name, each.email) for each in found]))
    return _exits.DONE
