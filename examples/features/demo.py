"""From real flights to features that are trained on, served and audited; prints what it does.

    python examples/features/demo.py [FOLDER]      # the lake and the online store go there; needs dataplat[features,demo]

The same by hand is in docs/features.md and docs/serving.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "flights")]

import features  # noqa: E402  (beside this file)
import tables  # noqa: E402

import dataplat as dp  # noqa: E402
from dataplat._features._served import ServedLog  # noqa: E402  (what `dataplat serve` logs with)

SPINE = "select origin as airport, carrier, distance, time_hour as t, arr_delay > 15 as late from flights"
LANDINGS = """
select carrier, flight, dest, arr_delay, time_hour + interval (minute + dep_delay + air_time) minute as landed_at
from flights where arr_delay is not null
"""


def main(folder: Path) -> None:
    """Run all of it in a folder."""
    lake = dp.open(folder / "lake")
    with step("land flights and weather"):
        for name in ("weather", "flights"):
            lake.ingest(tables.table(name), into=name, key=tables.KEYS[name], null=["NA"])
        landed = lake.sql(LANDINGS).commit(into="landings", mode="append")
        print(f"   {landed.version.rows:,} landings")
    store = lake.features
    with step("plan and apply"):
        print(store.plan(features.delay_model))
        store.apply(features.delay_model)
    with step("a training set of all departures"):
        made = store.training_set(SPINE, "delay_model")
        print(f"   {made!r}")
    with step("materialise, and look two rows up"):
        print(f"   {store.materialize('delay_model').keys} keys")
        asked = {"airport": ["JFK", "LGA"], "carrier": ["AA", "UA"], "distance": [2475.0, 733.0]}
        print(f"   {store.lookup('delay_model', asked).to_dict()['carrier_delays__dest_last_3']}")
    with step("push an observation of now, and be asked a thousand times"), ServedLog.of(store, most=None) as log:
        store.push(
            "airport_weather",
            {"origin": ["JFK"], "time_hour": [datetime.now(UTC)], "temp": [41.5], "wind_speed": [8.0], "visib": [9.0]},
        )
        for _ in range(1000):
            found = store.lookup("delay_model", asked)
            log.record("delay_model@1", asked, asked, 2, found.t, found.served)
        print(f"   at JFK it is {found.to_dict()['airport_weather__temp'][0]} now")
    with step("answer all of it again from the lake"):
        audit = store.audit("delay_model")
        print(f"   {audit}")
        assert audit.ok


class step:  # noqa: N801  (reads as a word)
    """Prints what is done, and how long it took."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        print(self.what)
        self.begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        print(f"   {time.perf_counter() - self.begun:.1f} s")


if __name__ == "__main__":
    import os

    with tempfile.TemporaryDirectory() as name:
        where = Path(sys.argv[1] if len(sys.argv) > 1 else name)
        os.environ["XDG_STATE_HOME"] = str(where / "state")
        main(where)
