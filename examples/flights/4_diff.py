"""Compare the two versions row by row: only parts that differ are read."""

from narration import LAKE, by_hand, say, step

import dataplat as dp

with step(4, "Diff: what the correction changed"):
    lake = dp.open(LAKE, create=False)
    diff = lake.diff("flights@main~1", "flights")
    say(f"{diff.summary.added} added, {diff.summary.removed} removed, {diff.summary.changed:,} changed")
    for row in diff.changed.slice(0, 3).to_pylist():
        cells = ", ".join(f"{name} {row['before'][name]} -> {row['after'][name]}" for name in row["changed"])
        say(f"~ {row['carrier']}{row['flight']} at {row['time_hour']:%Y-%m-%d %H:%M}: {cells}")
    by_hand("dataplat version log flights", "dataplat version diff flights@main~1 flights --rows -n 3")
