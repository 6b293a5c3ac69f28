"""Tells events: to a log, a command, or anything that apprise speaks; each channel once, tried again where it fails."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataplat.config import Config, Secret
from dataplat.errors import ConfigError, MissingExtra
from dataplat.events._outbox import Outbox, Waiting

_TRIES: Final = 5
_FIRST_WAIT: Final = 1.0  # seconds, doubled each time
_COMMAND_TIME: Final = 60.0


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to tell: its name (which holds no secret), and what tells an event or raises."""

    name: str
    tell: Callable[[Mapping[str, Any]], None]


def channels(config: Config) -> list[Channel]:
    """Return the ways that `[notify]` names.

    Raises:
        ConfigError: one of them has another form than it should.
    """
    told = dict(config.notify)
    folder = Path() if config.source is None else config.source.parent
    found = []
    if log := told.pop("log", None):
        found.append(Channel(f"log {log}", _log(folder / _text("log", log))))
    if command := told.pop("command", None):
        words = [command] if isinstance(command, str) else list(command)
        found.append(Channel(f"command {words[0]}", _command([_text("command", word) for word in words], folder)))
    urls = told.pop("apprise", [])
    for number, reference in enumerate([urls] if isinstance(urls, str) else urls):
        secret = Secret(_text("apprise", reference), f"notify.apprise[{number}]")
        found.append(Channel(f"apprise {reference}", _apprise(secret)))
    if told:
        raise ConfigError(f"[notify] has {', '.join(map(repr, told))}: there are log, command and apprise")
    return found


def deliver(outbox: Outbox, ways: Sequence[Channel], *, tries: int = _TRIES, wait: float = _FIRST_WAIT) -> int:
    """Tell every event that waits to each channel that does not have it; return how many wait still.

    One process does so at a time; what fails is tried again, the wait doubled each time, and then left for the next.
    """
    with outbox.held():
        for number in range(tries):
            waiting = [each for each in outbox.all() if _missing(each, ways)]
            if not waiting:
                break
            if number:
                time.sleep(wait * 2 ** (number - 1))
            for each in waiting:
                _tell(each, ways)
        outbox.prune()
        return sum(bool(_missing(each, ways)) for each in outbox.all())


def _missing(waiting: Waiting, ways: Sequence[Channel]) -> list[Channel]:
    return [way for way in ways if way.name not in waiting.told]


def _tell(waiting: Waiting, ways: Sequence[Channel]) -> None:
    for way in _missing(waiting, ways):
        try:
            way.tell(waiting.event)
        except Exception as error:  # noqa: BLE001 - whatever it was, others are told, and it is tried again
            waiting = waiting.save(
                failed=waiting.failed + 1, error=f"{way.name}: {type(error).__name__}: {error}"[:500]
            )
        else:
            waiting = waiting.save(told=[*waiting.told, way.name], error="")


def start(lake_id: str) -> None:
    """Let a process of its own deliver what waits; whoever ingests does not wait for it."""
    command = [sys.executable, "-m", "dataplat.events._deliver", lake_id, str(Path.cwd())]
    process = subprocess.Popen(  # noqa: S603 (our own module)
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    threading.Thread(target=process.wait, name="dataplat-events", daemon=True).start()  # so that it leaves no zombie


def _log(path: Path) -> Callable[[Mapping[str, Any]], None]:
    def tell(event: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")

    return tell


def _command(words: list[str], folder: Path) -> Callable[[Mapping[str, Any]], None]:
    def tell(event: Mapping[str, Any]) -> None:
        done = subprocess.run(  # noqa: S603 (the user's own command)
            words,
            input=json.dumps(event),
            text=True,
            cwd=folder,
            timeout=_COMMAND_TIME,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"it ended with {done.returncode}: {done.stderr.strip()[-200:]}")

    return tell


def _apprise(secret: Secret) -> Callable[[Mapping[str, Any]], None]:
    def tell(event: Mapping[str, Any]) -> None:
        try:
            import apprise
        except ImportError as error:
            raise MissingExtra("notify.apprise needs apprise: pip install 'dataplat[notify]'") from error
        sender = apprise.Apprise()
        if not sender.add(secret.reveal()):
            raise ConfigError(f"{secret.name}: apprise does not know this kind of address")
        if not sender.notify(title=f"dataplat: {event['kind']}", body=event["text"]):
            raise RuntimeError("apprise could not deliver it")

    return tell


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"notify.{name} must be a text, and is {value!r}")
    return value


def _main(lake_id: str, folder: str) -> None:
    from dataplat.config import load

    deliver(Outbox.of(lake_id), channels(load(folder)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
