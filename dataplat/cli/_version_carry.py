"""`dataplat version export | verify`: taking data out, and checking what is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataplat.cli import _exits
from dataplat.cli._options import command, complete_references, open_data
from dataplat.cli._output import counted, note, print_json, size
from dataplat.cli._progress import ProgressLine

_EXPORT = """
dataplat version export flights@v1 out/
dataplat version export photos photos/ --link hardlink
dataplat version export flights data/ --to dvc
dataplat version export flights s3://bucket/flights --to delta
"""


if TYPE_CHECKING:
    from dataplat._lake import Lake


@command("export", example=_EXPORT)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
@click.argument("folder", metavar="DIR|URL", type=click.Path(file_okay=False))
@click.option(
    "--to",
    metavar="NAME",
    type=click.Choice(["parquet", "csv", "ndjson", "arrow", "dvc", "iceberg", "delta"]),
    default="parquet",
    show_default=True,
    help="parquet, csv, ndjson or arrow: files; dvc: NAME.dvc and a remote; iceberg or delta: a table.",
)
@click.option(
    "--link",
    type=click.Choice(["copy", "hardlink"]),
    default="copy",
    show_default=True,
    help="copy shares blocks where the file system can (reflink); hardlink makes the files read-only.",
)
@click.option(
    "--remote",
    metavar="DIR2",
    type=click.Path(file_okay=False),
    help="With --to dvc: the folder of the DVC remote (default: .dvc-remote in the repository).",
)
def export(
    reference: str, folder: str, to: str, link: str, remote: str | None, lake: str | None, as_json: bool
) -> None:
    """Write a version out into DIR, or to an empty place at URL: its rows as files, or, of a dataset of files, the tree as it was.

    Into a DVC repository or a table that was exported before, only what differs is written.
    """
    version = open_data(lake)[reference]
    made = version.export(folder, to=to, link=link, remote=remote)
    if as_json:
        facts = {"version": version.id, "folder": str(made.directory), "files": made.files, "rows": made.rows}
        print_json({**facts, "bytes": made.nbytes, "notes": list(made.notes)})
        return
    what = f"{counted(made.rows, 'row')} of {version.dataset} in {counted(made.files, 'file')}"
    click.echo(f"{what}, {size(made.nbytes)}, under {folder}")
    for text in made.notes:
        note(text)


@command(
    "verify",
    example="dataplat version verify\ndataplat version verify flights@v1\n"
    "dataplat version verify --repair-from /backup/lake",
)
@click.argument("reference", metavar="[REF]", required=False, shell_complete=complete_references)
@click.option(
    "--repair-from",
    metavar="URL",
    help="Put right what is damaged here and whole in the lake at URL, then verify again.",
)
def verify(reference: str | None, repair_from: str | None, lake: str | None, as_json: bool) -> int:
    """Check stored bytes against their names, and counts against rows: of one version, or of all that there is."""
    opened = _open_even_damaged(lake)
    with ProgressLine() as line:
        found = opened.verify(reference, repair_from=repair_from, progress=line)
    if as_json:
        print_json(found.to_dict())
        return _exits.DONE if found.ok else _exits.STORE
    for problem in found.problems:
        note(str(problem))
    for warning in found.warnings:
        note(f"warning: {warning}")
    for repair in found.repaired:
        click.echo(f"repaired {repair.key} from {repair.source}")
    count = counted(len(found.problems), "problem")
    state = "are what was written" if found.ok else f"were checked, {count}"
    looked = f"{counted(found.objects, 'object')}, {size(found.nbytes)}, {counted(found.rows, 'row')}"
    click.echo(f"{looked} in {counted(found.versions, 'version')} {state}")
    return _exits.DONE if found.ok else _exits.STORE


def _open_even_damaged(lake: str | None) -> Lake:
    """Open the lake in force, also where its `lake.json` is damaged or gone, which is for a verification to say."""
    from dataplat.errors import IntegrityError, LakeNotFound

    try:
        return open_data(lake)
    except (IntegrityError, LakeNotFound):
        from dataplat._lake import Lake
        from dataplat.config import find_lake, load
        from dataplat.lake.stores import open_store

        found = find_lake(config=load(flags={"lake": lake}))
        if found is None:
            raise
        store = open_store(found)
        if next(iter(store.list("refs/branches/", limit=1)), None) is None:
            raise
        return Lake(store, "", str(found))
