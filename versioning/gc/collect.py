"""Collect: delete what no branch, tag, rule or lease needs, while others write.

    open n     the candidates: keys that nothing needed at a first look
    fence      a record on every branch: from here on no writer relies on a candidate
    close n    the candidates that nothing needs at a second look, and the versions that go with them
    delete
    done n     and, where no delete can land later, records that take n out of the branches' settings

`docs/decisions/2026-11-27-collecting.md` says why nothing is lost, whoever stalls or dies where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.errors import CommitConflict, IntegrityError, ObjectNotFound, StoreError, VersionNotFound
from dataplat.lake._object_keys import FOLDER as OBJECTS
from dataplat.lake._object_keys import parse_key
from dataplat.lake.objects import Objects
from dataplat.lake.stores import Store, SupportsFiles
from dataplat.versioning.gc import _fence
from dataplat.versioning.gc._leases import HORIZON, leases
from dataplat.versioning.gc._log import Closed, Done, GcLog, Opened, collected
from dataplat.versioning.gc._mark import mark
from dataplat.versioning.gc._retention import ALL, Survey, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataplat.lake.stores import ObjectInfo
    from dataplat.versioning.gc._log import Entry, Gone
    from dataplat.versioning.needs import Name
    from dataplat.versioning.refs import Refs

HOUR: Final = 3600 * 1_000_000
_MARKS: Final = 5
"""How often the lake is looked at anew because it changed while it was looked at."""

_TAKEN_OVER: Final = "collection {} was taken over by a later one. It deleted nothing."

Listener: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many (0: not known)."""


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def _by_the_rules(_found: Survey) -> None:
    """Keep what rules say."""


def local_answers(store: Store) -> bool:
    """Return whether a delete that returned has happened, and one that did not never will: on a local file system."""
    return isinstance(store, SupportsFiles)


@dataclass(frozen=True, slots=True)
class Options:
    """How to collect.

    `keep`: the rule of branches that have none. `grace` (µs): what is younger is left alone; this saves the work of
    writing it again, nothing depends on it. `definite`: whether every delete so far was answered, so that none can
    land later; where that is not so, the keys stay condemned for 7 days. `keeping` may give versions reasons to stay.
    """

    keep: str = ALL
    grace: int = HOUR
    definite: Callable[[Store], bool] = local_answers
    listener: Listener = _silent
    keeping: Callable[[Survey], object] = _by_the_rules


@dataclass(slots=True)
class Look:
    """What is in a lake, and what of it is needed."""

    survey: Survey
    live: set[Name]
    gone: Mapping[str, Gone] = field(default_factory=dict)
    stored: list[ObjectInfo] = field(default_factory=list)
    candidates: list[ObjectInfo] = field(default_factory=list)
    young: list[ObjectInfo] = field(default_factory=list)
    memos: list[ObjectInfo] = field(default_factory=list)
    dead_memos: list[ObjectInfo] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did: its number (0: there was nothing to do), and how much it deleted.

    `left_young` and `left_bytes` are objects that nothing needs and that are too young to go.
    """

    number: int = 0
    objects: int = 0
    nbytes: int = 0
    memos: int = 0
    versions: int = 0
    left_young: int = 0
    left_bytes: int = 0
    leases: int = 0
    definite: bool = True


def look(objects: Objects, refs: Refs, options: Options) -> Look:
    """Return what is in the lake and what nothing needs, by this machine's clock; touch nothing."""
    now = refs.now()
    fresh = Objects(objects.store)
    options.listener("listing", 0, 0)
    stored = list(fresh.store.list(f"{OBJECTS}/"))
    memos = list(fresh.store.list("memo/"))
    found, live, gone = _marked(fresh, now, options)
    cutoff = min([now - options.grace, *_uploads(found, now)])
    seen = Look(found, live, gone, stored, memos=memos)
    for info in stored:
        name = parse_key(info.key)
        if name is None or name in live:
            continue
        (seen.candidates if info.created <= cutoff or not options.grace else seen.young).append(info)
    needed = {object_id for object_id, _ in live}
    short = {object_id[:32] for object_id in needed}
    seen.dead_memos = [info for info in memos if info.created <= cutoff and not _remembers(info.key, needed, short)]
    return seen


def _uploads(found: Survey, now: int) -> Iterable[int]:
    """Return since when somebody says that they are writing objects that no branch names yet."""
    return (lease.created for lease in found.leases if _is_upload(lease.file) and lease.holds(now))


def _is_upload(file: object) -> bool:
    return getattr(file, "kind", "") == "write" and not getattr(file, "commits", ())


def _remembers(key: str, needed: set[str], short: set[str]) -> bool:
    """Whether a memo is of objects that are needed, as far as its key says."""
    pieces = key.split("/")
    if len(pieces) != 4:
        return True
    part, _, deletes = (pieces[2] + pieces[3].rpartition(".")[0]).partition(".")
    return part in needed and (not deletes or deletes in short)


def _marked(objects: Objects, now: int, options: Options) -> tuple[Survey, set[Name], Mapping[str, Gone]]:
    """Look at refs and mark; again where another collection took away what was just seen."""
    for _ in range(_MARKS):
        options.listener("marking", 0, 0)
        try:
            found = survey(objects, now, options.keep)
        except (ObjectNotFound, VersionNotFound) as error:
            problem = error
            continue
        options.keeping(found)
        gone = collected(objects.store)
        try:
            return found, mark(objects, found, gone), gone
        except (ObjectNotFound, VersionNotFound) as error:
            problem = error
    raise IntegrityError(
        f"nothing was collected, because what a branch or tag needs cannot be read: {problem}. "
        "Run `dataplat version verify`."
    ) from problem


def collect(objects: Objects, refs: Refs, options: Options | None = None, *, seen: Look | None = None) -> Collected:
    """Collect; may run beside writers, readers and other collections. `seen` is what a `look` just now has found.

    Raises:
        CommitConflict: Another collection began after this one, and took over. Nothing was deleted by this one.
        IntegrityError: What is needed cannot be read. Nothing was deleted.
        CommitInDoubt: The store did not answer. Begin again: the next collection takes over.
    """
    options = Options() if options is None else options
    return _Collection(objects, refs, options).run(look(objects, refs, options) if seen is None else seen)


class _Collection:
    def __init__(self, objects: Objects, refs: Refs, options: Options) -> None:
        self._objects = objects
        self._store = objects.store
        self._refs = refs
        self._options = options
        self._log = GcLog(objects.store)

    def run(self, seen: Look) -> Collected:
        """Collect what was seen to be needed by nobody, if that is still so."""
        result = Collected(
            left_young=len(seen.young),
            left_bytes=sum(info.size for info in seen.young),
            leases=sum(lease.holds(self._refs.now()) for lease in seen.survey.leases),
        )
        if seen.candidates:
            result = self._collect(seen, result)
        else:
            _fence.forget(self._refs, _fence.forgettable(self._log, 0))
        self._delete([info.key for info in seen.dead_memos], "memos")
        return replace(result, memos=len(seen.dead_memos))

    def _collect(self, seen: Look, result: Collected) -> Collected:
        number = self._open([info.key for info in seen.candidates])
        now = next(entry.opened for entry in self._log.entries() if entry.number == number)
        self._take_over(number)
        forgotten = _fence.forgettable(self._log, now)
        if number in forgotten:
            raise CommitConflict(_TAKEN_OVER.format(number))
        _fence.fence(self._objects, self._refs, number, forgotten)
        keys, versions = self._second_look(seen.candidates, now)
        closed = Closed(**self._signed(number), keys=keys, versions=versions)
        if not self._log.write(closed, self._refs.patience):
            raise CommitConflict(_TAKEN_OVER.format(number))
        definite = self._delete(keys, "deleting")
        done = self._log.write(Done(**self._signed(number), definite=definite), self._refs.patience)
        self._tidy(now)
        sizes = {info.key: info.size for info in seen.candidates}
        return replace(
            result,
            number=number,
            objects=len(keys),
            nbytes=sum(sizes[key] for key in keys),
            versions=sum(map(len, versions.values())),
            definite=definite and done,
        )

    def _signed(self, number: int) -> dict[str, Any]:
        return {"number": number, "actor": self._refs.actor, "time": self._refs.now(), "nonce": self._refs.nonce()}

    def _open(self, keys: list[str]) -> int:
        number = max((entry.number for entry in self._log.entries()), default=0) + 1
        while not self._log.write(Opened(**self._signed(number), keys=keys), self._refs.patience):
            number += 1
        return number

    def _take_over(self, number: int) -> None:
        """End collections that began before and are not over: one that has not decided never will.

        Of one that has decided, deletes may be under way: it is noted as over but not definite, so that nobody takes
        its keys for free until no delete can land any more. What it left is found again as what nothing needs.
        """
        for entry in self._log.entries():
            if entry.number < number and not entry.done:
                self._end(entry)

    def _end(self, entry: Entry) -> None:
        if not entry.closed:
            self._log.write(Closed(**self._signed(entry.number)), self._refs.patience)
        nothing = not self._log.closed(entry.number).keys
        self._log.write(Done(**self._signed(entry.number), definite=nothing), self._refs.patience)

    def _second_look(self, candidates: list[ObjectInfo], now: int) -> tuple[list[str], dict[str, list[str]]]:
        """Return the keys that nothing needs after the fence, and the versions that go."""
        found, live, gone = _marked(Objects(self._store), now, self._options)
        versions: dict[str, list[str]] = {}
        staying = {fate.version for fate in found.fates.values() if fate.stays}
        for fate in found.fates.values():
            if fate.version not in staying and fate.version not in gone:
                versions.setdefault(fate.dataset, []).append(fate.version)
        keys = [info.key for info in candidates if parse_key(info.key) not in live]
        keys.sort(
            key=lambda key: not key.endswith(".json")
        )  # a version goes before what it needs, so it is whole or gone
        gone_now = {(version, ".json") for ids in versions.values() for version in ids}
        keys.sort(key=lambda key: parse_key(key) not in gone_now)  # whoever dies half-way leaves no version by halves
        return keys, {dataset: sorted(ids) for dataset, ids in sorted(versions.items())}

    def _delete(self, keys: list[str], stage: str) -> bool:
        """Delete keys; return whether none of the deletes can happen later."""
        answered = True
        for at, key in enumerate(keys):
            self._options.listener(stage, at, len(keys))
            try:
                self._store.delete(key)
            except StoreError:
                answered = False
        return answered and self._options.definite(self._store)

    def _tidy(self, now: int) -> None:
        """Forget collections that are over, and remove candidates and leases that nobody can mean any more."""
        _fence.forget(self._refs, _fence.forgettable(self._log, now))
        for entry in self._log.entries():
            if entry.done and entry.done + HORIZON < now:
                self._log.trim(entry)
        for lease in leases(self._store):
            if lease.created + lease.file.ttl + HORIZON < now:
                self._store.delete(lease.key)
