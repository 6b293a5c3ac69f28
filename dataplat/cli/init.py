"""`dataplat init`."""

from __future__ import annotations

import click

from dataplat.cli._options import command
from dataplat.cli._output import near, print_json, short


@command("init", example="dataplat init\ndataplat init data/lake")
@click.argument("place", metavar="[PATH|URL]", required=False)
def init(place: str | None, lake: str | None, as_json: bool) -> None:
    """Create a lake at PATH or URL (default: .dataplat in this folder).

    A race of its own proves that the store creates names atomically; a store that does not is refused, with
    the reason. A lake that is there already is left as it is.
    """
    import dataplat
    from dataplat.config import LAKE_FOLDER, load
    from dataplat.errors import LakeNotFound

    place = place or load(flags={"lake": lake}).lake or LAKE_FOLDER
    try:
        opened, created = dataplat.open(place, create=False), False
    except LakeNotFound:
        opened, created = dataplat.open(place, create=True), True
    if as_json:
        print_json({"url": opened.url, "id": opened.id, "created": created})
    else:
        done = "created lake" if created else "there is a lake already:"
        click.echo(f"{done} {short(opened.id)} at {near(opened.url)}")
