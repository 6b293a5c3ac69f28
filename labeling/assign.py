"""Who is asked what: each task by `overlap` people who never see each other's answers, gold tasks by everybody.

Assignment is pure and deterministic: what was answered stays where it is, what is open stays until its lease has run
out, and the rest follows from the order of the tasks, the names, and what everybody has open. Of people with equally
much open, a hash of task and name decides: so that pairs of people who answer the same tasks vary, which agreement and
Dawid-Skene live on, and that nothing depends on the order of names.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_TAKEN: Final = frozenset({"open", "answered", "kept"})  # a task in one of these states takes a place of its overlap
_SEEN: Final = _TAKEN | {"skipped"}  # and is not put before the same person again


@dataclass(frozen=True, slots=True)
class Asked:
    """A task of a queue; of a gold one the right answer is known."""

    task: str
    gold: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A task that was put before somebody, in the words of a queue's placements."""

    task: str
    annotator: str
    state: str
    until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is to be done.

    Attributes:
        create: (task, annotator), each person's in the order in which they are to see them.
        move: (task, from, to).
        wanting: how many answers no one is there for: everybody able has the task already, or as many as `limit` allows.
    """

    create: tuple[tuple[str, str], ...]
    move: tuple[tuple[str, str, str], ...]
    wanting: int = 0


def assign(
    tasks: Iterable[Asked],
    placements: Iterable[Placed],
    annotators: Collection[str],
    overlap: int,
    now: dt.datetime,
    paused: Collection[str] = (),
    limit: int | None = None,
    gold_every: int = 10,
) -> Assignment:
    """Return which tasks to put before whom, and which to move.

    A task that was skipped goes to somebody else, and not to the same person again. One that was deleted on the server,
    or moved away, may come back where there is nobody who never had it. A task whose lease has run out moves to who never
    had it, else it stays: its holder may answer still. Placements of tasks that are not among `tasks` are left as they are.

    Args:
        tasks: The tasks, in the order of the queue.
        placements: Where tasks lie already.
        annotators: Who is asked now. Open tasks of others are moved at once.
        overlap: How many people answer each task that is not gold.
        now: Leases that end before are run out.
        paused: Who gets nothing more; what is open with them moves when its lease has run out.
        limit: The most tasks that may lie open before one person (None: any number).
        gold_every: One in so many of each person's tasks is a gold one, while there are any that they have not seen.
    """
    order = list(tasks)
    piles = _Piles(placements, frozenset(annotators), frozenset(paused), limit)
    gold = [each.task for each in order if each.gold]
    dealer = _Dealer(piles, gold, gold_every)
    ordinary = [each.task for each in order if not each.gold]
    wanting = 0
    dealer.begin()
    for task in ordinary:
        wanting += dealer.place(task, overlap)
        dealer.move_expired(task, overlap, now)
    return Assignment(tuple(dealer.create), tuple(dealer.move), wanting)


def _draw(text: bytes, seed: int = 0) -> int:
    """Return a number of 32 bits that a text and a seed stand for; mixed, since checksums of two texts differ alike for all seeds."""
    return (zlib.crc32(text, seed) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32


class _Piles:
    """What lies before whom."""

    def __init__(
        self, placements: Iterable[Placed], asked: frozenset[str], paused: frozenset[str], limit: int | None
    ) -> None:
        self.able = sorted(asked - paused)
        self.limit = limit
        self._asked = asked
        self._names = {name: name.encode() for name in self.able}
        self.of: dict[str, dict[str, Placed]] = {}  # task -> annotator -> how it lies there
        self.open = dict.fromkeys(self.able, 0)
        self.places = dict.fromkeys(self.able, 0)  # all tasks that somebody has or had for good
        for each in placements:
            self.of.setdefault(each.task, {})[each.annotator] = each
            if each.annotator in self.open and each.state in _SEEN:
                self.places[each.annotator] += 1
                self.open[each.annotator] += each.state == "open"

    def held(self, task: str) -> int:
        """Return how many people have answered the task, or are to."""
        return sum(each.state in _TAKEN for each in self.of.get(task, {}).values())

    def has(self, task: str, name: str) -> bool:
        """Return whether somebody has, or had, the task for good."""
        each = self.of.get(task, {}).get(name)
        return each is not None and each.state in _SEEN

    def has_room(self, name: str) -> bool:
        """Return whether somebody may get another."""
        return self.limit is None or self.open[name] < self.limit

    def expired(self, task: str, now: dt.datetime) -> list[Placed]:
        """Return where a task lies open before somebody who is not asked any more, then where it does for too long."""
        lying = [each for each in self.of.get(task, {}).values() if each.state == "open"]
        over = [each for each in lying if not self.asks(each.annotator) or (each.until or now) < now]
        return sorted(over, key=lambda each: (self.asks(each.annotator), each.annotator))

    def asks(self, name: str) -> bool:
        """Return whether somebody is asked now, paused or not."""
        return name in self._asked

    def next_for(self, task: str, *, again: bool) -> str | None:
        """Return who is to get a task: who never had it (or, `again`, had it once), has least open, and is drawn."""
        lying = self.of.get(task, {})
        free = [name for name in self.able if self.has_room(name) and name not in lying]
        if not free and again:
            free = [name for name in self.able if self.has_room(name) and not self.has(task, name)]
        seed = zlib.crc32(task.encode())
        return min(free, key=lambda name: (self.open[name], _draw(self._names[name], seed), name), default=None)

    def put(self, task: str, name: str) -> None:
        """Note that somebody has a task from now on."""
        self.of.setdefault(task, {})[name] = Placed(task, name, "open")
        self.open[name] += 1
        self.places[name] += 1

    def take(self, each: Placed) -> None:
        """Note that somebody has a task no more."""
        self.of[each.task][each.annotator] = Placed(each.task, each.annotator, "moved")
        if each.annotator in self.open:
            self.open[each.annotator] -= 1
            self.places[each.annotator] -= 1


class _Dealer:
    """Puts tasks on piles, and gold among them."""

    def __init__(self, piles: _Piles, gold: Sequence[str], gold_every: int) -> None:
        self.piles = piles
        self.create: list[tuple[str, str]] = []
        self.move: list[tuple[str, str, str]] = []
        self._every = gold_every
        self._unseen = {name: [task for task in reversed(gold) if not piles.has(task, name)] for name in piles.able}

    def begin(self) -> None:
        """Put gold where it is due already."""
        for name in self.piles.able:
            self._gold(name)

    def move_expired(self, task: str, overlap: int, now: dt.datetime) -> None:
        """Move a task away from where nobody answers it, if there is somebody to take it and enough have it not already."""
        if self.piles.held(task) > overlap:
            return
        for each in self.piles.expired(task, now):
            name = self.piles.next_for(task, again=not self.piles.asks(each.annotator))
            if name is not None:
                self.piles.take(each)
                self.piles.put(task, name)
                self.move.append((task, each.annotator, name))
                self._gold(name)

    def place(self, task: str, overlap: int) -> int:
        """Put a task before as many people as it wants still; return how many of them there are not."""
        wanted = overlap - self.piles.held(task)
        while wanted > 0:
            name = self.piles.next_for(task, again=True)
            if name is None:
                return wanted
            self._create(task, name)
            self._gold(name)
            wanted -= 1
        return 0

    def _create(self, task: str, name: str) -> None:
        self.piles.put(task, name)
        self.create.append((task, name))

    def _gold(self, name: str) -> None:
        """Put gold before somebody while their next place is one of gold: one in each run of places, nobody foresees which."""
        unseen = self._unseen[name]
        while unseen and self.piles.has_room(name):
            run, place = divmod(self.piles.places[name], self._every)
            if place != _draw(f"{name}/{run}".encode()) % self._every:
                return
            self._create(unseen.pop(), name)
