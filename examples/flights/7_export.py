"""Take the training table out as plain Parquet, for whoever has no dataplat."""

from narration import LAKE, OUTPUT, by_hand, say, shown, size, step

import dataplat as dp

with step(7, "Export: plain Parquet, and a check of every byte"):
    lake = dp.open(LAKE, create=False)
    folder = OUTPUT / "training"
    lake["training"].export(folder)
    for path in sorted(folder.rglob("*.parquet")):
        say(f"{shown(path)}  {size(path.stat().st_size)}")
    checked = lake.verify()
    assert checked.ok, checked.problems
    say(f"verified: {checked.objects} objects, {size(checked.nbytes)}, all as they were written")
    by_hand(f"dataplat version export training {shown(OUTPUT / 'training-by-hand')}", "dataplat version verify")
