"""Give this state of the whole lake a name: a tag never moves, so what is trained on it can be found again."""

from narration import LAKE, by_hand, say, step

import dataplat as dp

with step(5, "Tag: name what the training table is made from"):
    lake = dp.open(LAKE, create=False)
    lake.tag("v1", "main")
    for name in ("flights", "weather", "planes"):
        version = lake[f"{name}@v1"]
        say(f"{name}@v1 is version {version.id[:12]}, content {version.content_id[:12]}")
    by_hand("dataplat version tag v1 main", "dataplat version show flights@v1 --content-id")
