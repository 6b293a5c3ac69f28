"""`dataplat version erase`: rows go from every version of a dataset, and do not come back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dataplat.cli._options import command, complete_datasets, open_data
from dataplat.cli._output import counted, facts, note, number, print_json, size
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._erase import DerivedDataset, ErasePlan, EraseResult, SharingDataset

_EXAMPLE = (
    "dataplat version erase customers --where 'user_id = 42' --reason 'ticket 7' --plan\n"
    "dataplat version erase customers --where 'user_id = 42' --reason 'ticket 7' --yes"
)


@command("erase", example=_EXAMPLE)
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.option("--where", metavar="SQL", required=True, help="Which rows, as in user_id = 42.")
@click.option("--reason", metavar="TEXT", help="Why, for the log: a ticket or the law, never a value.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be erased, and touch nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--also",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_datasets,
    help="Erase in this dataset, too, which has the very same versions.",
)
@click.option("--keep-rejects", is_flag=True, help="Leave the rejects of the dataset as they are.")
def erase(
    name: str,
    where: str,
    reason: str | None,
    only_plan: bool,
    yes: bool,
    also: tuple[str, ...],
    keep_rejects: bool,
    lake: str | None,
    as_json: bool,
) -> None:
    """Erase the rows of NAME for which a condition holds from every version, on every branch, for ever.

    Versions, tags and references stay, without these rows, and they do not come in again. An erase that was stopped goes
    on when it is called again.
    """
    opened = open_data(lake)
    rejects = not keep_rejects
    if only_plan or not (yes or as_json):
        with ProgressLine() as line:
            plan = opened.plan_erase(name, where, also=also, rejects=rejects, progress=line)
        if only_plan and as_json:
            print_json(plan.to_dict())
            return
        _show(plan)
    if only_plan:
        note("nothing was erased (--plan)")
        return
    if not yes:
        _ask(" and ".join((name, *also)), as_json=as_json)
    with ProgressLine() as line:
        result = opened.erase(name, where, reason or "", also=also, rejects=rejects, progress=line)
    if as_json:
        print_json(result.to_dict())
    else:
        _tell(result, (name, *also))


def _ask(names: str, *, as_json: bool) -> None:
    if as_json or not sys.stdin.isatty():
        raise click.UsageError("an erase cannot be undone: say --yes, or ask for the --plan")
    click.confirm(f"Erase them from every version of {names}? This cannot be undone", abort=True)


def _show(plan: ErasePlan) -> None:
    """Print what would go, and what would not."""
    kept = "digests of the values" if plan.digested else "the text of the condition, values in it too"
    click.echo(
        facts(
            [
                ("rows", f"{number(plan.rows)} in {counted(plan.parts, 'part')} of {size(plan.nbytes)}"),
                ("versions", f"{number(plan.affected)} of {number(plan.versions)} would be rewritten"),
                ("rejected records", number(plan.rejected) if plan.rejected else None),
                ("names of the dataset", ", ".join(plan.names) if len(plan.names) > 1 else None),
                ("kept against their return", kept),
                (
                    "also held by",
                    ", ".join(f"{one.name} ({counted(one.parts, 'part')})" for one in plan.shared) or None,
                ),
                ("exported in place", ", ".join(plan.exports) or None),
                ("readers with a lease", ", ".join(plan.readers) or None),
                ("named in the log", counted(len(plan.mentioned), "commit") if plan.mentioned else None),
            ]
        )
    )
    others: list[tuple[str, SharingDataset | DerivedDataset]] = [
        (f"{one.name} holds parts of it and keeps the rows", one) for one in plan.shared
    ]
    others += [(f"{one.name} was made from {', '.join(one.made_from)}", one) for one in plan.derived]
    for said, one in others:
        click.echo(f"{said}: {one.command}" if one.fits else f"{said}: look yourself, the condition does not fit")
    if plan.exports:
        click.echo(
            "Iceberg tables exported in place read parts that go, and fail then: export them again after the erase"
        )
    click.echo(
        "not touched: exports to files, DVC and Delta, what Iceberg tables hold as copies, other lakes (clones), and the same\nrows in datasets that share no part and were not made from this one"
    )


def _tell(result: EraseResult, names: Sequence[str]) -> None:
    rejected = f" and {counted(result.rejected, 'rejected record')}" if result.rejected else ""
    click.echo(
        f"erased {counted(result.rows, 'row')}{rejected} from {counted(result.versions, 'version')} of "
        f"{' and '.join(names)}; {counted(result.objects, 'object')}, {size(result.nbytes)}, deleted"
    )
    for line in result.notes:
        note(line)
