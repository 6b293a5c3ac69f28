"""`dataplat version status`: what became of the files that a dataset was landed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataplat.cli import _exits
from dataplat.cli._options import branch_in_force, branch_option, command, complete_datasets, open_lake
from dataplat.cli._output import number, print_json
from dataplat.cli._progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat._status import Status


@command("status", example="dataplat version status photos\ndataplat version status photos /backup/photos --content")
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path())
@click.option("--content", is_flag=True, help="Read every file, instead of going by sizes and times.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="Names of each kind.")
@branch_option
def status(
    name: str, folder: str | None, content: bool, limit: int, lake: str | None, as_json: bool, branch: str | None
) -> int:
    """Show which files are new (+), changed (~) or gone (-) since NAME was landed from them; exit with 1 if any is.

    A dataset of a folder's files is compared with DIR, or with the folder that it came from; of any other the files
    are looked at that its rows came from (with DIR: those below it).
    """
    with ProgressLine() as line:
        found = open_lake(lake).status(name, folder, branch=branch_in_force(branch), content=content, progress=line)
    if as_json:
        print_json(found.to_dict(limit))
    else:
        click.echo("\n".join(_lines(found, limit)))
    return _exits.DONE if found.is_same else _exits.DATA_FAILED


def _lines(found: Status, limit: int) -> Iterator[str]:
    beside = "" if found.folder is None else f" beside {found.folder}"
    yield f"{found.dataset}@{found.branch}{beside}"
    for sign, names in (("+", found.new), ("~", found.changed), ("-", found.deleted)):
        yield from (f"{sign} {name}" for name in names[:limit])
        if len(names) > limit:
            yield f"{sign} … {number(len(names) - limit)} more"
    counts = f"{number(len(found.new))} new, {number(len(found.changed))} changed, {number(len(found.deleted))} deleted"
    touched = f" ({number(len(found.touched))} touched)" if found.touched else ""
    yield f"{counts}, {number(found.same)} unchanged{touched}"
