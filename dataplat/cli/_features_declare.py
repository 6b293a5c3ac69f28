"""`dataplat features plan, apply, retire`: what is declared, and how it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dataplat.cli import _exits
from dataplat.cli._features_file import lines_of, services_of
from dataplat.cli._features_options import complete_services, open_store
from dataplat.cli._options import branch_option, command, message_option
from dataplat.cli._output import coloured, counted, note, number, print_json, short, size, table
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from dataplat._features import FeatureStore
    from dataplat._features._leaving import RetirePlan
    from dataplat._features._plan import Plan
    from dataplat.feature_store.definitions import FeatureService

_FILE = click.argument("file", metavar="FILE", type=click.Path())


@command("plan", example="dataplat features plan features.py\ndataplat features plan features.py:delay_model")
@_FILE
@branch_option
def plan(file: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Show what `apply` would change, what serving will take, and what is wrong; nothing is changed.

    FILE is run, and all services that its variables name are looked at; FILE:NAME is one of them. Ends in 1 if one is
    refused.
    """
    store = open_store(lake, branch)
    services = services_of(file)
    with lines_of(file), ProgressLine() as line:
        plans = [store.plan(service, progress=line) for service in services]
    if as_json:
        print_json([each.to_dict() for each in plans])
    else:
        for each in plans:
            _tell(each)
    return _exits.DONE if all(each.ok for each in plans) else _exits.DATA_FAILED


@command(
    "apply",
    example="dataplat features apply features.py\ndataplat features apply features.py:delay_model -m 'with wind'",
)
@_FILE
@branch_option
@message_option
def apply(file: str, lake: str | None, as_json: bool, branch: str | None, message: str | None) -> int:
    """Declare the services of a Python file, each in a commit; what is there already stays as it is.

    FILE is run, and all services that its variables name are taken; FILE:NAME is one of them. They are planned first, all
    of them, and none is applied if one is refused.
    """
    store = open_store(lake, branch)
    services = services_of(file)
    with lines_of(file):
        with ProgressLine() as line:
            plans = [store.plan(service, progress=line) for service in services]
        if not all(each.ok for each in plans):
            return _refused(plans, as_json=as_json)
        return _applied(store, services, plans, message, as_json=as_json)


def _applied(
    store: FeatureStore,
    services: list[FeatureService],
    plans: list[Plan],
    message: str | None,
    *,
    as_json: bool,
) -> int:
    done = [store.apply(service, message=message or "") for service in services]
    if as_json:
        print_json([each.to_dict() for each in done])
        return _exits.DONE
    for each, planned in zip(done, plans, strict=True):
        how = "is there already, the same" if each.commit is None else f"applied, commit {short(each.commit)}"
        click.echo(f"{each.service}: {how}; closure {short(each.closure)}")
        for change in planned.changes:
            click.echo(f"  ~ {change}")
        for warning in planned.warnings if each.commit is not None else ():
            note(warning)
    if any(each.commit is not None for each in done):
        click.echo(f"next: dataplat features materialize {services[-1].name}")
    return _exits.DONE


def _refused(plans: list[Plan], *, as_json: bool) -> int:
    if as_json:
        print_json([each.to_dict() for each in plans])
        return _exits.DATA_FAILED
    for each in plans:
        if each.refused:
            reasons = "\n  ".join(each.refused)
            note(f"{coloured('error:', 'red')} {each.service} is refused, and nothing was applied:\n  {reasons}")
    return _exits.DATA_FAILED


def _tell(made: Plan) -> None:
    """Show a plan."""
    states = {"new": "new", "same": "as it is applied", "changed": "changed"}
    click.echo(f"{coloured(made.service, 'bold')}: {states[made.state]}, closure {short(made.closure)}")
    for change in made.changes:
        click.echo(f"  ~ {change}")
    if made.views:
        rows: list[tuple[Any, ...]] = [
            (
                each.view,
                ", ".join(f"{name} {short(version)}" for name, version in sorted(each.versions.items())),
                number(each.rows),
                number(each.keys),
                number(each.events) if each.events else "-",
            )
            for each in made.views
        ]
        headers = ("view", "of", "rows", "keys", "events a key")
        click.echo(table(headers, rows, right=headers[2:]))
    if made.keys:
        click.echo(
            f"snapshot: {counted(made.keys, 'key')}, about {number(round(made.bytes_per_key))} bytes each: {size(made.nbytes)}"
        )
    if made.memory:
        click.echo(f"memory: up to {size(made.memory)} ({made.memory_is})")
    for warning in made.warnings:
        click.echo(f"look: {warning}")
    for reason in made.refused:
        click.echo(f"{coloured('refused:', 'red')} {reason}")


@command("retire", example="dataplat features retire delay_model@1 --plan\ndataplat features retire delay_model@1")
@click.argument("service", metavar="SERVICE@VERSION", shell_complete=complete_services)
@click.option("--plan", "only_plan", is_flag=True, help="Say what would go, and change nothing.")
@branch_option
@message_option
def retire(
    service: str, only_plan: bool, lake: str | None, as_json: bool, branch: str | None, message: str | None
) -> int:
    """Take a version of a service out of use, with what is served of it; training sets that were made of it stay."""
    store = open_store(lake, branch)
    if only_plan:
        _tell_retired(store.plan_retire(service), as_json=as_json)
        return _exits.DONE
    commit = store.retire(service, message=message or "")
    if as_json:
        print_json({"service": service, "commit": commit})
    else:
        click.echo(f"{service}: retired, commit {short(commit)}")
    return _exits.DONE


def _tell_retired(plan: RetirePlan, *, as_json: bool) -> None:
    """Say what would go."""
    if as_json:
        print_json(plan.to_dict())
        return
    what = "would be retired" if plan.declared else "is retired already"
    click.echo(f"{plan.service}: {what}, closure {short(plan.closure)}")
    if plan.snapshot is None:
        click.echo("  nothing of it is served")
    else:
        taken = f"{counted(plan.keys, 'key')}, {size(plan.nbytes)}"
        click.echo(f"  snapshot {plan.snapshot} would be served no longer ({taken})")
    if plan.pushed:
        click.echo(f"  {counted(plan.pushed, 'pushed row')} would be served no longer; they land in their dataset")
