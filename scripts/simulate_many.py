"""Run very many simulated histories in child processes, and go on where a run was broken off.

    python scripts/simulate_many.py 1000000 --jobs 2          # make simulate-many N=1000000 JOBS=2

Seeds are parted into blocks, each run at the lowest priority; what came of a block is kept in a file of its own
under `.simulate/`, so a run that was stopped (or killed) goes on with the blocks that lack. Prints progress, then
operations by kind and outcome, as the table of `docs/reliability.md` has them, and every failing seed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 500
"""Histories whose results are kept together: half a minute is lost at most."""
OUTCOMES = ("done", "refused", "in doubt", "died")


def main() -> int:
    """Run what lacks; return 1 if a history failed."""
    parser = argparse.ArgumentParser(description="Run very many simulated histories.")
    parser.add_argument("number", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--state", type=Path, default=None, help="folder of results (default .simulate/SEED-NUMBER)")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between lines of progress (default 30)")
    parser.add_argument("--report-only", action="store_true", help="print what there is, and run nothing")
    parser.add_argument("--share", type=int, default=None, help=argparse.SUPPRESS)  # a child's number
    options = parser.parse_args()
    state: Path = options.state or ROOT / ".simulate" / f"{options.seed}-{options.number}"
    state.mkdir(parents=True, exist_ok=True)
    blocks = [
        (first, min(BLOCK, options.seed + options.number - first))
        for first in range(options.seed, options.seed + options.number, BLOCK)
    ]
    if options.share is not None:
        work([block for block in blocks[options.share :: options.jobs] if not path_of(state, block).exists()], state)
        return 0
    if options.report_only:
        return report(blocks, state)
    children = [
        subprocess.Popen([sys.executable, __file__, *sys.argv[1:], f"--jobs={options.jobs}", f"--share={share}"])
        for share in range(options.jobs)
    ]
    try:
        watch(children, blocks, state, options.every)
    finally:
        for child in children:
            child.terminate()
    return report(blocks, state)


def path_of(state: Path, block: tuple[int, int]) -> Path:
    """Return the file of a block's results."""
    return state / f"{block[0]:010}-{block[1]}.json"


def work(blocks: list[tuple[int, int]], state: Path) -> None:
    """Run blocks, in a child."""
    from dataplat.testing.histories import verdicts

    os.nice(19)
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)  # histories leave few cycles, and to look for them costs a tenth
    commit = revision()
    for first, number in blocks:
        began = time.time()
        ends: Counter[tuple[str, str]] = Counter()
        failures = []
        for verdict in verdicts(range(first, first + number)):
            ends.update(verdict.ends)
            if verdict.failure is not None:
                failures.append(str(verdict.failure))
        result = {
            "commit": commit,
            "histories": number,
            "seconds": time.time() - began,
            "cpu": time.process_time(),
            "ends": [[*end, count] for end, count in sorted(ends.items())],
            "failures": failures,
        }
        path = path_of(state, (first, number))
        path.with_suffix(".new").write_text(json.dumps(result))
        path.with_suffix(".new").replace(path)


def revision() -> str:
    """Return the commit that the code is of, with a + where the tree has changes."""
    run = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=10", "--dirty=+"]
    return subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def watch(children: list[subprocess.Popen[bytes]], blocks: list[tuple[int, int]], state: Path, every: float) -> None:
    """Print progress until all children have ended."""
    began, before = time.monotonic(), _done(blocks, state)
    told = began
    while any(child.poll() is None for child in children):
        time.sleep(0.5)
        now = time.monotonic()
        if now - told >= every:
            told = now
            done, total = _done(blocks, state), sum(number for _, number in blocks)
            rate = (done - before) / (now - began)
            left = f", {(total - done) / rate / 3600:.1f} h to go" if rate else ""
            failed = sum(len(result["failures"]) for result in results(blocks, state))
            print(f"{done:,} of {total:,} histories, {rate:.0f}/s{left}, {failed} failed", flush=True)


def _done(blocks: list[tuple[int, int]], state: Path) -> int:
    return sum(number for first, number in blocks if path_of(state, (first, number)).exists())


def results(blocks: list[tuple[int, int]], state: Path) -> Iterator[dict[str, Any]]:
    """Yield what came of the blocks that were run."""
    for block in blocks:
        path = path_of(state, block)
        if path.exists():
            yield json.loads(path.read_text())


def report(blocks: list[tuple[int, int]], state: Path) -> int:
    """Print totals and failures; return 1 if there is one, or if a block lacks."""
    found = list(results(blocks, state))
    ends: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    for result in found:
        ends.update({(kind, outcome): count for kind, outcome, count in result["ends"]})
        failures += result["failures"]
    print(f"| operation | {' | '.join(OUTCOMES)} |")
    print(f"| --- |{' ---: |' * len(OUTCOMES)}")
    for kind in sorted({kind for kind, _ in ends}):
        print(f"| {kind} | {' | '.join(f'{ends[kind, outcome]:,}' for outcome in OUTCOMES)} |")
    print(f"| all | {' | '.join(f'{sum(n for (_, o), n in ends.items() if o == each):,}' for each in OUTCOMES)} |")
    print(*failures, sep="\n")
    histories = sum(result["histories"] for result in found)
    commits = ", ".join(sorted({result["commit"] for result in found}))
    seconds = sum(result["seconds"] for result in found)
    print(f"{histories:,} histories at {commits}: {len(failures)} failed, {seconds:,.0f} s of processes")
    return 1 if failures or len(found) < len(blocks) else 0


if __name__ == "__main__":
    sys.exit(main())
