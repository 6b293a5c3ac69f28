"""`dataplat ingest verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataplat.cli import _exits
from dataplat.cli._options import branch_in_force, branch_option, command, complete_datasets, open_data
from dataplat.cli._output import coloured, number, print_json, short, table

if TYPE_CHECKING:
    from dataplat.ingest import StreamProof
    from dataplat.ingest._stream_verify import Hole, PartitionProof


@command("verify", example="dataplat ingest verify events\ndataplat ingest verify events --branch exp --json")
@click.argument("name", metavar="NAME", shell_complete=complete_datasets)
@branch_option
def verify(name: str, lake: str | None, as_json: bool, branch: str | None) -> int:
    """Prove that NAME holds every offset of its streams once, and list the holes.

    Each commit names the offsets that it holds and the position that it assumed. They are followed from the head back
    to the first; where rows keep `_partition` and `_offset`, they are counted too. A topic that was made anew, or whose
    log was cut back, has a line for each. Ends with 1 where an offset is missing or there twice.
    """
    proof = open_data(lake).verify_ingest(name, branch=branch_in_force(branch))
    if as_json:
        print_json(proof.to_dict())
    else:
        _say(proof)
    return _exits.DONE if proof.ok else _exits.DATA_FAILED


def _say(proof: StreamProof) -> None:
    several = len({part.source for part in proof.partitions}) < len(proof.partitions)
    rows = [
        [
            _where(part),
            *([part.topic_id[:8]] if several else ()),
            number(part.begin),
            number(part.end),
            number(part.records),
            number(part.commits),
            "once" if part.ok else "NOT once",
        ]
        for part in proof.partitions
    ]
    numbers = ("from", "up to", "records", "commits")
    names = ["partition", *(["topic id"] if several else ()), *numbers, "each offset"]
    click.echo(table(names, rows, right=numbers))
    for part in proof.partitions:
        where = _where(part)
        for hole in part.holes:
            click.echo(_gap(where, hole))
        for overlap in part.overlaps:
            click.echo(f"twice in {where}: {number(overlap.begin)} to {number(overlap.end)} ({short(overlap.commit)})")
        if part.broken:
            click.echo(f"{where}: {part.broken}")
    if proof.rows:
        click.echo(proof.rows)
    click.echo(coloured("every offset is held once" if proof.ok else "not every offset is held once", "bold"))


def _where(part: PartitionProof) -> str:
    return f"{part.topic}[{part.partition}]"


def _gap(where: str, hole: Hole) -> str:
    begin, end, commit = number(hole.begin), number(hole.end), short(hole.commit)
    if hole.why == "recreated":
        return f"{where}: the topic was made anew; of the old one nothing from offset {begin} on was read, the new one begins at {end} ({commit})"
    if hole.why == "truncated":
        return (
            f"{where}: its log was cut back after offset {begin} had been reached; it is read on from {end} ({commit})"
        )
    return f"hole in {where}: {begin} to {end}, {hole.why} ({commit})"
