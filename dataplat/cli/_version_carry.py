"""`dataplat version export | verify`: taking data out, and checking what is in."""

from __future__ import annotations

import click

from dataplat.cli import _exits
from dataplat.cli._options import command, complete_references, open_data
from dataplat.cli._output import note, number, print_json, size
from dataplat.cli._progress import ProgressLine


@command(
    "export", example="dataplat version export flights@v1 out/\ndataplat version export photos photos/ --link hardlink"
)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option(
    "--format",
    "file_format",
    metavar="NAME",
    type=click.Choice(["parquet", "csv", "ndjson", "arrow"]),
    default="parquet",
    show_default=True,
    help="parquet, csv, ndjson or arrow.",
)
@click.option(
    "--link",
    type=click.Choice(["copy", "hardlink"]),
    default="copy",
    show_default=True,
    help="copy shares blocks where the file system can (reflink); hardlink makes the files read-only.",
)
def export(reference: str, folder: str, file_format: str, link: str, lake: str | None, as_json: bool) -> None:
    """Write a version out into DIR: its rows as files, or, of a dataset of files, the tree as it was."""
    version = open_data(lake)[reference]
    made = version.export(folder, format=file_format, link=link)
    if as_json:
        facts = {"version": version.id, "folder": str(made.directory), "files": made.files, "rows": made.rows}
        print_json({**facts, "bytes": made.nbytes})
        return
    files = f"{number(made.files)} file{'s' * (made.files != 1)}"
    click.echo(f"{number(made.rows)} rows of {version.dataset} in {files}, {size(made.nbytes)}, under {folder}")


@command("verify", example="dataplat version verify\ndataplat version verify flights@v1")
@click.argument("reference", metavar="[REF]", required=False, shell_complete=complete_references)
def verify(reference: str | None, lake: str | None, as_json: bool) -> int:
    """Check stored bytes against their names: those of one version, or of everything that is reachable."""
    opened = open_data(lake)
    with ProgressLine() as line:
        found = opened.verify(reference, progress=line)
    if as_json:
        print_json(found.to_dict())
        return _exits.DONE if found.ok else _exits.STORE
    for problem in found.problems:
        note(problem)
    state = "are what was written" if found.ok else f"were checked, {number(len(found.problems))} problems"
    looked = (
        f"{number(found.objects)} objects, {size(found.nbytes)}, {number(found.rows)} rows in {number(found.versions)}"
    )
    click.echo(f"{looked} versions {state}")
    return _exits.DONE if found.ok else _exits.STORE
