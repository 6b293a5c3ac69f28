"""How the demo speaks: what it does, how long it took, and the command that does the same by hand."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
OUTPUT = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output")
LAKE = os.environ.get("LAKE") or str(OUTPUT / "lake")
"""Where the lake is: a folder beside what else the demo writes, or what LAKE says: s3://…, gs://…, hdfs://…"""
SHOWN_COMMANDS = OUTPUT / "commands.sh"


def shown(path: Path | str) -> str:
    """Return a path as a person would type it from here; a URL as it is."""
    if "://" in str(path):
        return str(path)
    near = os.path.relpath(path)
    return str(path) if near.startswith("..") else near


@contextmanager
def step(number: int, title: str) -> Iterator[None]:
    """Print the title of a step, and in the end how long it took."""
    strong, weak, plain = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if _colours() else ("", "", "")
    print(f"\n{strong}{number}. {title}{plain}", flush=True)
    start = time.perf_counter()
    yield
    print(f"   {weak}({time.perf_counter() - start:.2f} s){plain}", flush=True)


def say(text: object) -> None:
    """Print lines, indented under their step."""
    print("\n".join(f"   {line}" for line in str(text).splitlines()), flush=True)


def by_hand(*commands: str) -> None:
    """Print the commands that do the same, and keep them in OUTPUT/commands.sh."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with SHOWN_COMMANDS.open("a", encoding="utf-8") as script:
        for command in commands:
            print(f"   $ {command}", flush=True)
            script.write(f"{command}\n")


def size(count: int) -> str:
    """Return bytes as kB, or as MB where it is a tenth of one."""
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
