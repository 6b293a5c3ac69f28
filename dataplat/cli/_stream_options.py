"""The flags of `dataplat ingest` that only streams take, and how to stop one in good order."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHARE = re.compile(r"(\d+(?:\.\d+)?) ?(%)?")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


class Duration(click.ParamType[Any]):
    """Seconds, or a number with a unit: 500ms, 5s, 2m, 1h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        found = _DURATION.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no time: write 500ms, 5s, 2m or 1h", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


class Size(click.ParamType[Any]):
    """Bytes, or a number with a unit: 64MB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes."""
        from dataplat.config import as_bytes
        from dataplat.errors import ConfigError

        try:
            return as_bytes("it", value)
        except ConfigError:
            self.fail(f"{value!r} is no size: write bytes, or 64MB", param, ctx)


class Share(click.ParamType[Any]):
    """A share: 0.05 or 5%."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return a number from 0 to 1."""
        found = _SHARE.fullmatch(str(value).strip())
        share = None if found is None else float(found[1]) / (100 if found[2] else 1)
        if share is None or share > 1:
            self.fail(f"{value!r} is no share: write 0.05 or 5%", param, ctx)
        return share


class Partitions(click.ParamType[Any]):
    """Partitions: 0-3,7."""

    name = "partitions"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return their numbers."""
        found: set[int] = set()
        for piece in str(value).split(","):
            ends = _RANGE.fullmatch(piece.strip())
            if ends is None:
                self.fail(f"{value!r} names no partitions: write 0-3,7", param, ctx)
            found.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
        if not found:
            self.fail(f"{value!r} names no partition", param, ctx)
        return tuple(sorted(found))


_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--follow", {"is_flag": True, "default": None, "help": "Go on for ever; end with Ctrl-C or SIGTERM."}),
    ("--every", {"type": Duration(), "metavar": "TIME", "help": "Commit at the latest after this long (5s)."}),
    ("--rows", {"type": click.IntRange(1), "metavar": "N", "help": "Commit when so many records have come."}),
    ("--bytes", {"type": Size(), "metavar": "SIZE", "help": "Commit when records take so much memory (48MB)."}),
    ("--budget", {"type": Size(), "metavar": "SIZE", "help": "Memory for all records in flight (128MB)."}),
    ("--timeout", {"type": Duration(), "metavar": "TIME", "help": "How long a broker may take to answer (15s)."}),
    ("--registry", {"metavar": "URL", "help": "The schema registry that messages name their schemas in."}),
    (
        "--keep",
        {
            "metavar": "PARTS",
            "help": "Make columns of parts of a record: key,partition,offset,timestamp,headers (_key, _partition, …).",
        },
    ),
    (
        "--on-gap",
        {
            "type": click.Choice(["fail", "mark"]),
            "help": "Where records are gone before they were read: fail (default), or go on and mark it in the commit.",
        },
    ),
    ("--max-rejects", {"type": Share(), "metavar": "SHARE", "help": "Stop where more records are none: 0.05 or 5%."}),
    (
        "--isolation",
        {
            "type": click.Choice(["read_committed", "read_uncommitted"]),
            "help": "Whether records of open and aborted transactions are left out (read_committed, default).",
        },
    ),
    ("--client", {"type": click.Choice(["kafka-python", "confluent"]), "help": "The library that reads."}),
    ("--partitions", {"type": Partitions(), "metavar": "LIST", "help": "Read only these partitions: 0-3,7."}),
    (
        "--metrics",
        {"type": click.IntRange(1, 65_535), "metavar": "PORT", "help": "Give Prometheus metrics at 127.0.0.1."},
    ),
)
NAMES = tuple(name.removeprefix("--").replace("-", "_") for name, _ in _OPTIONS)


def stream_options(function: F) -> F:
    """Add the flags that only streams take."""
    for name, settings in reversed(_OPTIONS):
        function = click.option(name, **settings)(function)
    return function


def stream_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the flags that were given, as arguments of `Lake.ingest`."""
    given = {name: options[name] for name in NAMES if options[name] is not None}
    if "keep" in given:
        given["keep"] = tuple(name.strip() for name in given["keep"].split(",") if name.strip())
    return given


@contextmanager
def stopping_in_order() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and the first Ctrl-C set; a second Ctrl-C interrupts."""
    stop = threading.Event()

    def asked(number: int, _frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
