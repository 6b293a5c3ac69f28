"""Make a training table by SQL over pinned version ids; its lineage names them."""

from narration import LAKE, OUTPUT, by_hand, say, shown, size, step

import dataplat as dp

with step(6, "Train: a table from pinned versions"):
    lake = dp.open(LAKE, create=False)
    pinned = {name: f"{name}@id:{lake[f'{name}@v1'].id[:16]}" for name in ("flights", "weather", "planes")}
    query = f"""\
select f.time_hour, f.carrier, f.flight, f.origin, f.dest, f.distance, w.temp, w.wind_speed, w.precip, w.visib,
       p.seats, f.year - p.year as plane_age, f.dep_delay, f.arr_delay > 30 as late
from "{pinned["flights"]}" f
left join "{pinned["weather"]}" w using (origin, time_hour)
left join "{pinned["planes"]}" p using (tailnum)
where f.arr_delay is not null
order by f.time_hour, f.carrier, f.flight
"""
    (OUTPUT / "training.sql").write_text(query, "utf-8")
    result = lake.sql(query).commit(into="training", message="late arrivals, for the model")
    assert result.version is not None, result
    say(f"training  {result.version.rows:,} rows, {size(result.version.nbytes)}, version {result.version.id[:12]}")
    say("made from " + ", ".join(pinned.values()))
    late = result.version.to_polars(columns=["late"])["late"].mean()
    say(f"{late:.1%} of its flights are late")
    by_hand(
        f"dataplat sql - --into training -m 'late arrivals, for the model' < {shown(OUTPUT / 'training.sql')}",
        "dataplat version show training",
    )
