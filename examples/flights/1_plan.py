"""Create a lake, and ask what landing the flights would do: a plan touches nothing."""

from narration import LAKE, by_hand, say, shown, step
from tables import KEYS, table

import dataplat as dp

with step(1, "Plan: what would happen"):
    lake = dp.open(LAKE)
    say(f"lake {lake.id[:12]} at {shown(LAKE)}")
    plan = lake.plan_ingest(table("flights"), into="flights", key=KEYS["flights"], null=["NA"])
    say("\n".join(plan.lines()))
    by_hand(
        "dataplat init",
        f"dataplat ingest {shown(table('flights'))} --into flights --key {','.join(KEYS['flights'])} --null NA --plan",
    )
