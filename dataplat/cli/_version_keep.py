"""`dataplat version du | gc | branch keep`: what needs how many bytes, what is kept, and deleting the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from dataplat.cli._options import command, complete_branches, complete_datasets, open_lake
from dataplat.cli._output import counted, facts, moment, note, number, print_json, short, size, table
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._collect import GcPlan
    from dataplat.versioning.gc.du import Use, VersionUse

_NEWEST: Final = "newest on "
_KEEPS: Final = " keeps "
_MAIN: Final = "main"
"""The branch that references without one mean."""


@command("du", example="dataplat version du\ndataplat version du flights")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_datasets)
def du(name: str | None, lake: str | None, as_json: bool) -> None:
    """Show how many bytes each dataset (or each version of NAME) needs, and how many nobody else needs."""
    with ProgressLine() as line:
        found = open_lake(lake).du(name, progress=line)
    if as_json:
        from dataplat._collect import use_dict

        print_json(use_dict(found))
        return
    if name is not None:
        click.echo(_versions(found.versions))
        return
    rows = [(item.dataset, number(item.versions), size(item.nbytes), size(item.only)) for item in found.datasets]
    click.echo(table(("dataset", "versions", "bytes", "only here"), rows, right=("versions", "bytes", "only here")))
    click.echo(facts(_totals(found)))


def _totals(found: Use) -> list[tuple[str, str]]:
    return [
        ("all objects", f"{size(found.nbytes)} in {counted(found.objects, 'object')}"),
        ("commits", size(found.metadata)),
        ("unreachable", f"{size(found.unreachable_bytes)} in {counted(found.unreachable, 'object')}"),
        ("memos", size(found.memos)),
    ]


def _versions(versions: tuple[VersionUse, ...]) -> str:
    rows = [
        (
            item.dataset,
            short(item.version),
            moment(item.time),
            number(item.rows),
            size(item.nbytes) if item.present else "-",
            size(item.only) if item.present else "-",
            _said(item),
            why(item.why),
        )
        for item in versions
    ]
    headers = ("dataset", "version", "time", "rows", "bytes", "only here", "state", "why")
    return table(headers, rows, right=("rows", "bytes", "only here"))


def why(reasons: Sequence[str]) -> str:
    """Return reasons on one line; those that several branches have are one: newest on main, exp."""
    told: dict[tuple[str, str], list[str]] = {}
    for reason in reasons:
        branch, keeps, rule = reason.partition(_KEEPS)
        if reason.startswith(_NEWEST):
            told.setdefault((_NEWEST, ""), []).append(reason.removeprefix(_NEWEST))
        elif keeps:
            told.setdefault(("", rule), []).append(branch)
        else:
            told[reason, ""] = []
    return "; ".join(_together(before, after, _main_first(branches)) for (before, after), branches in told.items())


def _together(before: str, rule: str, branches: Sequence[str]) -> str:
    keep = "" if not rule else f"{_KEEPS}{rule}" if len(branches) == 1 else f" keep {rule}"
    return f"{before}{', '.join(branches)}{keep}"


def _main_first(branches: Sequence[str]) -> list[str]:
    return sorted(branches, key=lambda branch: (branch != _MAIN, branch))


def _said(item: VersionUse) -> str:
    if not item.present:
        return "gone"
    return "stays" if item.stays else "goes"


_GC_EXAMPLE = (
    "dataplat version gc --dry-run --explain\ndataplat version gc\ndataplat version gc --keep 30d,10 --grace 1h"
)


@command("gc", example=_GC_EXAMPLE)
@click.option("--keep", metavar="RULE", help="Of branches without a rule: all, 30d, 10 (versions), or 30d,10.")
@click.option(
    "--explain", is_flag=True, help="Say for each version whether it stays, why, and which bytes only it has."
)
@click.option("--dry-run", is_flag=True, help="Delete nothing.")
@click.option("--grace", metavar="TIME", default="1h", show_default=True, help="Leave alone what is younger.")
def gc(keep: str | None, explain: bool, dry_run: bool, grace: str, lake: str | None, as_json: bool) -> None:
    """Delete what no branch, tag, rule or lease needs, while others write and read."""
    opened = open_lake(lake)
    with ProgressLine() as line:
        if dry_run:
            plan = opened.plan_gc(keep, grace=grace, explain=explain, progress=line)
        else:
            result = opened.gc(keep, grace=grace, explain=explain, progress=line, planned=None if as_json else _show)
    if as_json:
        print_json({"plan": plan.to_dict()} if dry_run else result.to_dict())
    elif dry_run:
        _show(plan)
        note("nothing was deleted (--dry-run)")
    else:
        done = result.done
        click.echo(
            f"deleted {counted(done.objects, 'object')}, {size(done.nbytes)}, and {counted(done.memos, 'memo')}"
            + (f" in collection {done.number}" if done.number else "")
        )


def _show(plan: GcPlan) -> None:
    """Print what goes, and what is left although nothing needs it."""
    if plan.use is not None and plan.use.versions:
        click.echo(_versions(plan.use.versions))
    versions = ", ".join(f"{number(count)} of {name}" for name, count in plan.versions.items()) or "none"
    click.echo(
        facts(
            [
                ("versions that go", versions),
                ("versions that stay", number(plan.staying)),
                ("objects that go", f"{number(plan.objects)}, {size(plan.nbytes)}"),
                ("too young to go", f"{number(plan.young)}, {size(plan.young_bytes)}" if plan.young else None),
                ("deleted branches", ", ".join(plan.deleted_branches) or None),
                ("expired tags", ", ".join(plan.expired_tags) or None),
                ("leases", ", ".join(plan.leases) or None),
            ]
        )
    )


@command("keep", example="dataplat version branch keep main 30d,10\ndataplat version branch keep main all")
@click.argument("name", metavar="NAME", shell_complete=complete_branches)
@click.argument("rule", metavar="RULE")
def branch_keep(name: str, rule: str, lake: str | None, as_json: bool) -> None:
    """Say which versions of branch NAME collections keep: all, 30d (younger), 10 (newest of a dataset), 30d,10 (either).

    The newest version of each dataset, what a tag names, and what merges of two branches begin with always stay.
    """
    made = open_lake(lake).keep(name, rule)
    kept = made.settings["keep"]
    if as_json:
        print_json({"name": made.branch, "keep": kept})
    else:
        click.echo(f"branch {made.branch} keeps {kept}")
