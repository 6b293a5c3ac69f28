"""`dataplat version export | verify`: taking data out, and checking what is in."""

from __future__ import annotations

import click

from dataplat.cli import _exits
from dataplat.cli._options import command, complete_references, open_lake
from dataplat.cli._output import note, number, print_json, size


@command(
    "export", example="dataplat version export flights@v1 out/\ndataplat version export photos photos/ --link reflink"
)
@click.argument("reference", metavar="REF", shell_complete=complete_references)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--format", "file_format", metavar="NAME", default="parquet", show_default=True, help="parquet, csv, …")
@click.option(
    "--link",
    type=click.Choice(["copy", "reflink", "hardlink"]),
    default=None,
    help="How files get there (default: reflink where the file system can, else copy); hardlink makes them read-only.",
)
def export(reference: str, folder: str, file_format: str, link: str | None, lake: str | None, as_json: bool) -> None:
    """Write a version out into DIR: its rows as files, or, of a dataset of files, the tree as it was."""
    version = open_lake(lake)[reference]
    options = {} if link is None else {"link": link}
    written = list(version.export(folder, format=file_format, **options))
    if as_json:
        print_json({"version": version.id, "files": [str(path) for path in written]})
        return
    click.echo(f"{number(version.rows)} rows of {version.dataset} in {number(len(written))} files under {folder}")


@command("verify", example="dataplat version verify\ndataplat version verify flights@v1")
@click.argument("reference", metavar="[REF]", required=False, shell_complete=complete_references)
def verify(reference: str | None, lake: str | None, as_json: bool) -> int:
    """Check stored bytes against their names: those of one version, or of everything that is reachable."""
    found = open_lake(lake).verify(reference)
    if as_json:
        print_json(
            {"ok": found.ok, "objects": found.checked_objects, "bytes": found.checked_bytes, "problems": found.problems}
        )
        return _exits.DONE if found.ok else _exits.STORE
    for problem in found.problems:
        note(problem)
    state = "are what was written" if found.ok else f"were checked, {number(len(found.problems))} problems"
    click.echo(f"{number(found.checked_objects)} objects, {size(found.checked_bytes)}, {state}")
    return _exits.DONE if found.ok else _exits.STORE
