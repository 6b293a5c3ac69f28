"""Events that wait to be told, in files of this user: one per event, however often it is found."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataplat.events._derive import Event

_KEPT: Final = 90 * 86_400
"""Seconds for which it is remembered that an event was told."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in the outbox: `told` are the channels that have it, `failed` how often in a row others did not take it."""

    path: Path
    event: dict[str, Any]
    told: tuple[str, ...]
    failed: int
    error: str

    def save(self, **changes: Any) -> Waiting:
        """Write it with changes."""
        value: dict[str, Any] = {
            "event": self.event,
            "told": list(self.told),
            "failed": self.failed,
            "error": self.error,
        } | changes
        _write(self.path, value)
        return Waiting(self.path, self.event, tuple(value["told"]), value["failed"], value["error"])


@dataclass(frozen=True, slots=True)
class Outbox:
    """The outbox of one lake."""

    folder: Path

    @classmethod
    def of(cls, lake_id: str) -> Outbox:
        """Return that of a lake, in this user's state folder."""
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(Path(state) / "dataplat" / "events" / lake_id)

    def add(self, events: Iterable[Event]) -> int:
        """Put events in that were never in; return how many."""
        added = 0
        for event in events:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{event.id}.json"
            fresh = path.with_suffix(f".{os.getpid()}.new")
            _write(fresh, {"event": event.to_dict(), "told": [], "failed": 0, "error": ""})
            try:
                os.link(fresh, path)
                added += 1
            except FileExistsError:
                pass
            finally:
                fresh.unlink(missing_ok=True)
        return added

    def all(self) -> list[Waiting]:
        """Return all events that are remembered, oldest first."""
        found = []
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                value = json.loads(path.read_text("utf-8"))
                found.append(
                    Waiting(path, value["event"], tuple(value["told"]), int(value["failed"]), str(value["error"]))
                )
        return sorted(found, key=lambda each: (each.event["time"], each.event["id"]))

    def prune(self) -> None:
        """Forget events that were told long ago."""
        for each in self.all():
            if each.told and not each.error and each.path.stat().st_mtime < time.time() - _KEPT:
                each.path.unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the outbox: one process delivers at a time, and who waited delivers what came meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _write(path: Path, value: Any) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(value), encoding="utf-8")
    fresh.replace(path)
