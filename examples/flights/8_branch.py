"""Change columns on a branch and rows on main, merge both, look at the difference as a page, and tidy up."""

import polars as pl
from narration import LAKE, OUTPUT, by_hand, say, shown, size, step

import dataplat as dp

OLD = "year <= 1975"
"""The planes that both sides change (made up; the rest of the rows is real)."""

with step(8, "Branch: other columns there, other rows here, one merge"):
    lake = dp.open(LAKE, create=False)
    lake.branch("fleet")
    lake.evolve("planes", add=["retired bool"], rename={"speed": "cruise_speed"}, branch="fleet")
    retired, seats = OUTPUT / "retired.csv", OUTPUT / "seats.csv"
    lake["planes@fleet"].to_polars(where=OLD).with_columns(retired=True).write_csv(retired, null_value="NA")
    lake["planes"].to_polars(where=OLD).with_columns(pl.col("seats") + 1).write_csv(seats, null_value="NA")
    lake.ingest(retired, into="planes", mode="upsert", null=["NA"], branch="fleet", message="no longer flown")
    lake.ingest(seats, into="planes", mode="upsert", null=["NA"], message="the jump seat counts")
    [merged] = lake.merge("fleet", message="the fleet of today").datasets
    say(f"planes: {'; '.join(merged.columns)}; {merged.rows_merged} rows put together from both sides")
    page = OUTPUT / "planes.html"
    diff = lake.diff("planes@v1", "planes")
    page.write_text(diff.to_html(title="planes@v1 → planes"), "utf-8")
    say(f"{diff.summary.changed} rows changed: {shown(page)}")
    compacted = lake.compact("planes")
    lake.delete_branch("fleet")
    lake.keep("main", "2")
    freed = lake.gc(grace="0s")
    say(f"{compacted.replaced} parts became {compacted.written}; {size(freed.nbytes)} freed, and what is tagged stays")
    assert lake.diff("planes@v1", "planes").summary == diff.summary
    by_hand(
        "dataplat version branch create fleet",
        'dataplat version evolve planes --add "retired bool" --rename speed=cruise_speed --branch fleet',
        f"dataplat ingest {shown(retired)} --into planes --mode upsert --null NA --branch fleet -m 'no longer flown'",
        f"dataplat ingest {shown(seats)} --into planes --mode upsert --null NA -m 'the jump seat counts'",
        "dataplat version merge fleet -m 'the fleet of today'",
        f"dataplat version diff planes@v1 planes --format html -o {shown(OUTPUT / 'planes-by-hand.html')}",
        "dataplat version compact planes",
        "dataplat version branch delete fleet",
        "dataplat version branch keep main 2",
        "dataplat version gc --grace 0s",
    )
