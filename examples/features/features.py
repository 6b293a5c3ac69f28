"""What a model of delays is told of airports and carriers: `dataplat features apply examples/features/features.py`."""

from typing import Any

import dataplat as dp

airport = dp.Entity("airport")
carrier = dp.Entity("carrier")

weather = dp.FeatureView(
    "airport_weather",
    source="weather",
    entity=airport,
    keys={"origin": "airport"},
    timestamp="time_hour",
    ttl="6h",
    features=["temp", "wind_speed", dp.Field("visib", default=10.0), dp.Mean("temp", window="24h")],
)
delays = dp.FeatureView(
    "carrier_delays",
    source="landings",
    entity=carrier,
    timestamp="landed_at",
    delay="5m",
    ttl=None,
    features=[
        dp.Count(window="1h"),
        dp.Mean("arr_delay", window="24h"),
        dp.Quantile("arr_delay", 0.9, window="7d"),
        dp.DistinctCount("dest", window="7d", accuracy="hop(1h)"),
        dp.LastN("dest", 3),
    ],
)


@dp.on_demand(inputs=[weather, dp.Request({"distance": "float64"})])
def wind_per_km(t: Any) -> Any:
    """Return the wind on the ground for each kilometre in the air: a Polars expression."""
    return t.wind_speed / t.distance


delay_model = dp.FeatureService("delay_model", [weather[["temp", "visib", "temp_mean_24h"]], delays, wind_per_km])
