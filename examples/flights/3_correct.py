"""A week of flights comes again, corrected: it replaces its slice, and only what differs is written."""

from narration import FOLDER, LAKE, OUTPUT, by_hand, say, shown, size, step
from tables import WEEK, write_corrected_week

import dataplat as dp

with step(3, "Correct: one week of flights again"):
    lake = dp.open(LAKE, create=False)
    week = write_corrected_week(OUTPUT / "corrected_week.csv")
    result = lake.ingest(
        week,
        into="flights",
        mode="replace",
        where=WEEK,
        null=["NA"],
        contract=f"{FOLDER / 'contract.py'}:Flights",
        message="UA sent its delays of March 4 to 10 again",
    )
    assert result.version is not None, result
    say(f"{result.rows_in:,} rows came, +{result.rows_added:,} -{result.rows_deleted:,} of them differ")
    say(f"version {result.version.id[:12]}, {result.version.rows:,} rows, {size(result.new_bytes)} written")
    by_hand(
        f'dataplat ingest {shown(week)} --into flights --mode replace --where "{WEEK}" --null NA'
        f" --contract {shown(FOLDER / 'contract.py')}:Flights -m 'UA sent its delays of March 4 to 10 again'"
    )
