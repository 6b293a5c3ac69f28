"""Refs: branches, which are numbered records created once each, and tags.

A branch moves by creating its next record. Of any number of writers the one that creates it wins, and nobody needs
a lock; the records are the branch's log. They are never deleted or rewritten: deleting a branch is a record too.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from dataplat.errors import (
    AlreadyExists,
    BranchNotFound,
    BranchProtected,
    CommitInDoubt,
    ObjectExists,
    ObjectNotFound,
    TagNotFound,
)
from dataplat.lake.stores import Draft, ObjectInfo, Store, SupportsDrafts, SupportsFiles
from dataplat.versioning._record import (
    BARRED,
    Record,
    RecordKind,
    Tag,
    branch_prefix,
    decode_record,
    decode_tag,
    is_record_key,
    is_tag_key,
    record_key,
    record_number,
    tag_key,
)
from dataplat.versioning._settle import Patience, Undecided, settle
from dataplat.versioning.commit import Commit, new_nonce
from dataplat.versioning.gc._leases import take_lease
from dataplat.versioning.gc.guard import GC, GC_LAST, carried, check_pinned
from dataplat.versioning.names import check_branch_name, check_tag_name, nearest, segment
from dataplat.versioning.suppression import ERASE, SUPPRESS, kept_on, suppressing

__all__ = ["Patience", "Record", "Refs", "Tag", "now"]


_RACES = 20
"""How often a branch is tried to be created while collections bar its name."""


def now() -> int:
    """Return the time in µs since the epoch, UTC."""
    return time.time_ns() // 1000


def default_actor() -> str:
    """Return the name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this user id, as in a bare container
        return "unknown"


@dataclass(frozen=True, slots=True)
class Drafted:
    """The next record of a branch, and its bytes without a name."""

    record: Record
    file: Draft


class Refs:
    """The branches and tags of a lake.

    It remembers the heads that it has seen, but never trusts them: that a head is still the head is one read of the
    next number. `clock` gives µs since the epoch, `nonce` hex digits that nobody else will write (a simulation gives
    its own, so that it can be replayed).
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int] = now,
        *,
        actor: str | None = None,
        patience: Patience | None = None,
        nonce: Callable[[], str] = new_nonce,
    ) -> None:
        self._store = store
        self._clock = clock
        self._heads: dict[str, Record] = {}
        self.actor = default_actor() if actor is None else actor
        self.nonce = nonce
        self.patience = Patience() if patience is None else patience

    @property
    def store(self) -> Store:
        """The store that they lie in."""
        return self._store

    def now(self) -> int:
        """Return the time by this lake's clock (µs UTC)."""
        return self._clock()

    # ------------------------------------------------------------------------------------------------ branches

    def head(self, branch: str, *, guess: int | None = None) -> Record:
        """Return the newest record of `branch`; raise `BranchNotFound` if there is no such branch, or no more.

        `guess` may be the number of a record near the head: where there is one, it is searched for from there.
        """
        found = self._newest(branch, guess)
        if found is None or found.kind == "delete":
            raise BranchNotFound(self._no_branch(branch))
        return found

    def publish(
        self,
        branch: str,
        expected: Record,
        commit: Commit,
        *,
        kind: RecordKind = "commit",
        message: str = "",
        settings: dict[str, Any] | None = None,
        drafted: Drafted | None = None,
        visible: Callable[[int], object] = lambda _: None,
    ) -> Record:
        """Move `branch` from `expected`, its head as the caller saw it, to `commit`; return the new head.

        The objects of the commit must be durable before. `settings` are `expected`'s, unless given; what they say
        of collections changes by a fence only. `drafted` is what `draft` gave for the same; `visible` is called with
        the record's number as soon as others can see it, which may be before it is durable.

        Raises:
            ObjectExists: Somebody else moved the branch first.
            CommitInDoubt: The store never said whether the record landed.
        """
        if drafted is not None:
            number, create = drafted.record.number, drafted.file.create
            return self._append(drafted.record, lambda key: create(key, lambda: visible(number)))
        record = self._append(self._after(expected, commit, kind, message, settings))
        visible(record.number)
        return record

    @contextmanager
    def draft(self, expected: Record, commit: Commit, settings: dict[str, Any] | None) -> Iterator[Drafted | None]:
        """Give the record with which `publish` would commit, to be written beside the commit's objects.

        None where the store writes and creates in one step.
        """
        if not isinstance(self._store, SupportsDrafts):
            yield None
            return
        record = self._after(expected, commit, "commit", "", settings)
        file = self._store.draft(record.data)
        try:
            yield Drafted(record, file)
        finally:
            file.discard()

    def _after(
        self, expected: Record, commit: Commit, kind: RecordKind, message: str, settings: dict[str, Any] | None
    ) -> Record:
        record = Record(
            branch=expected.branch,
            number=expected.number + 1,
            kind=kind,
            actor=self.actor,
            time=max(expected.time + 1, self._clock()),
            nonce=self.nonce(),
            commit_id=commit.id,
            body=msgspec.Raw(commit.data),
            message=message,
            settings=expected.settings if settings is None else settings,
        )
        if settings is not None and kind not in {"fence", "delete"}:
            record = msgspec.structs.replace(record, settings=carried(expected.settings, settings))
        return record

    def next_time(self, head: Record) -> int:
        """Return the time that the record after `head` will have, if it is published now."""
        return max(head.time + 1, self._clock())

    def create_branch(
        self, name: str, commit: Commit, *, message: str = "", ready: Callable[[dict[str, Any]], object] | None = None
    ) -> Record:
        """Create a branch (again, if it was deleted) that stands at `commit`; return its first record.

        `ready` is called with its first settings, before what is at the commit is looked for.

        Raises:
            BadName: The name may not be given.
            AlreadyExists: There is a branch or a tag of that name (case aside).
            CommitInDoubt: The store never said whether the record landed.
        """
        name = check_branch_name(name)
        self._refuse_taken(name)
        with take_lease(self, "write", commits=[commit.id], branch=name):
            for attempt in range(_RACES):
                pinned = check_pinned(self._store, commits=[commit.id], ready=ready)
                settings = {**pinned, **self.suppressing()}
                last = self._refuse_taken(name)
                with suppress(ObjectExists):  # lost: to somebody who creates it, or to a collection that looks for us
                    return self._begin(name, commit, last, message, settings)
                self.patience.pause(min(attempt, 3))
        raise AlreadyExists(f"branch {name!r} was created and deleted by others all the time")

    def begin(self, name: str, commit: Commit) -> Record:
        """Create the first branch of a lake that nobody else uses yet: no collection can be under way."""
        try:
            return self._begin(name, commit, self._refuse_taken(name), "", {})
        except ObjectExists as error:
            raise AlreadyExists(f"branch {name!r} was created by somebody else at the same time") from error

    def _refuse_taken(self, name: str) -> Record | None:
        """Return the last record of a branch that is not there, None if it never was."""
        last = self._newest(name)
        if last is not None and last.kind != "delete":
            raise AlreadyExists(f"there is a branch {last.branch!r} already, at commit {last.commit_id[:12]}")
        if self._find_tag(name) is not None:
            raise AlreadyExists(f"there is a tag {name!r}: a branch of the same name could not be told from it")
        return last

    def suppressing(self) -> dict[str, Any]:
        """Return settings that say all that is known of erased rows: what any branch and the newest erase say."""
        from dataplat.versioning.erasures import newest

        last = newest(self._store)
        if last is None:
            return {}
        return suppressing([{SUPPRESS: last.suppress, ERASE: last.number}, *(h.settings for h in self.branches())])

    def _begin(self, name: str, commit: Commit, last: Record | None, message: str, settings: dict[str, Any]) -> Record:
        return self._append(self._first(name, "create", commit, last, message, settings))

    def _first(
        self,
        name: str,
        kind: RecordKind,
        commit: Commit,
        last: Record | None,
        message: str,
        settings: dict[str, Any],
    ) -> Record:
        return Record(
            branch=name,
            number=0 if last is None else last.number + 1,
            kind=kind,
            actor=self.actor,
            time=max(0 if last is None else last.time + 1, self._clock()),
            nonce=self.nonce(),
            commit_id=commit.id,
            body=msgspec.Raw(commit.data),
            message=message,
            settings=settings,
        )

    def bar_for_erase(self, name: str, commit: Commit, number: int) -> bool:
        """Do as `bar` for an erase, which a branch that is created has to know of."""
        last = self._newest(name)
        if last is not None and last.settings.get(ERASE, 0) >= number:
            return False
        if last is None or last.kind == "delete":
            settings = {**({} if last is None else last.settings), ERASE: number}
            self._append(self._first(name, "delete", commit, last, BARRED, settings))
        return True

    def bar(self, name: str, commit: Commit, number: int) -> bool:
        """Take the next record of a branch that is not there, so that who is about to create it has to look again.

        Return False where nothing is left to do: it names collection `number`, as its settings or as a bar.

        Raises:
            ObjectExists: Somebody else took that record first.
        """
        last = self._newest(name)
        known = [] if last is None else last.settings.get(GC, [])
        if number in known:
            return False
        if last is None or last.kind == "delete":
            held = {} if last is None else kept_on(last.settings, {})
            settings = {**held, GC: sorted({*known, number}), GC_LAST: number}
            self._append(self._first(name, "delete", commit, last, BARRED, settings))
        return True

    def delete_branch(self, name: str, *, message: str = "") -> Record:
        """Delete a branch; its records stay, and so do its commits until they are collected.

        Raises:
            BranchNotFound: There is no such branch.
            BranchProtected: It is held to a contract.
            CommitInDoubt: The store never said whether the record landed.
        """
        while True:
            head = self.head(name)
            if head.settings.get("contracts"):
                raise BranchProtected(
                    f"branch {head.branch!r} is protected, so it cannot be deleted. Lift that first: "
                    f"dataplat version branch unprotect {head.branch}"
                )
            with suppress(ObjectExists):  # it moved: delete it where it is now
                return self.publish(name, head, head.commit, kind="delete", message=message, settings={})

    def branches(self) -> list[Record]:
        """Return the heads of all branches, in order of name; deleted ones are left out."""
        heads = []
        after: str | None = None
        while newest := self._first_record("refs/branches/", after):
            folder = newest.key.rpartition("/")[0]
            record = decode_record(self._store.read(newest.key), newest.key)
            if record.kind != "delete":
                heads.append(record)
            after = f"{folder}/~"  # sorts behind every number
        return heads

    def log(self, branch: str) -> Iterator[Record]:
        """Yield the records of `branch`, newest first, over deletions and down to the very first."""
        newest = self._newest(branch)
        if newest is None:
            raise BranchNotFound(self._no_branch(branch))
        yield newest
        for number in range(newest.number - 1, -1, -1):
            yield self.record(branch, number)

    def record(self, branch: str, number: int) -> Record:
        """Return one record of a branch; raise `ObjectNotFound` if it has not so many."""
        key = record_key(branch, number)
        return decode_record(self._store.read(key), key)

    def as_of(self, branch: str, time: int) -> Record | None:
        """Return the newest record of `branch` that is not younger than `time` (µs UTC), None if it began later."""
        newest = self.head(branch)
        if newest.time <= time:
            return newest
        low, high = -1, newest.number  # the record sought has a number in [low, high)
        found = None
        while high - low > 1:
            middle = (low + high) // 2
            record = self.record(branch, middle)
            if record.time <= time:
                low, found = middle, record
            else:
                high = middle
        return found

    # ---------------------------------------------------------------------------------------------------- tags

    def create_tag(self, name: str, commit_id: str, *, message: str = "", expires: int = 0) -> Tag:
        """Give a commit a name that never moves, and that keeps its versions until `expires` (µs UTC; 0: for ever).

        Raises:
            BadName: The name may not be given.
            AlreadyExists: There is a tag or a branch of that name (case aside).
            CommitInDoubt: The store never said whether the tag landed.
        """
        tag = Tag(
            name=check_tag_name(name),
            commit_id=commit_id,
            actor=self.actor,
            time=self._clock(),
            nonce=self.nonce(),
            message=message,
            expires=expires,
        )
        self.adopt_tag(tag)
        return tag

    def adopt_tag(self, tag: Tag, *, ready: Callable[[dict[str, Any]], object] | None = None) -> None:
        """Create a tag as it stands, which may have been written in another lake; raise what `create_tag` raises.

        `ready` is called with what a branch would begin with (see `create_branch`).
        """
        branch = self._newest(tag.name)
        if branch is not None and branch.kind != "delete":
            raise AlreadyExists(
                f"there is a branch {branch.branch!r}: a tag of the same name could not be told from it"
            )
        with take_lease(self, "write", commits=[tag.commit_id]):
            check_pinned(self._store, commits=[tag.commit_id], ready=ready)
            self._put_tag(tag)

    def _put_tag(self, tag: Tag) -> None:
        name = tag.name
        try:
            won = settle(self._store, tag.key, tag.data, self.patience)
        except Undecided as error:
            raise CommitInDoubt(f"nobody knows whether tag {name!r} landed: {error}", tag.commit_id) from error
        if not won:
            raise AlreadyExists(f"there is a tag {name!r} already, and tags never move: choose another name")

    def tag(self, name: str) -> Tag:
        """Return the tag of that name; raise `TagNotFound`."""
        found = self._find_tag(name)
        if found is None:
            raise TagNotFound(f"there is no tag {name!r}{nearest(name, [tag.name for tag in self.tags()])}")
        return found

    def tags(self) -> list[Tag]:
        """Return all tags, in order of name."""
        keys = [found.key for found in self._store.list("refs/tags/") if is_tag_key(found.key)]
        return [decode_tag(self._store.read(key), key) for key in keys]

    # ------------------------------------------------------------------------------------------------ internal

    def _append(self, record: Record, create: Callable[[str], object] | None = None) -> Record:
        try:
            won = settle(self._store, record.key, record.data, self.patience, create)
        except Undecided as error:
            raise CommitInDoubt(
                f"nobody knows whether commit {record.commit_id[:12]} landed on branch {record.branch!r}: {error} "
                f"Look for it with `dataplat version log` before you try again.",
                record.commit_id,
            ) from error
        if not won:
            raise ObjectExists(f"branch {record.branch!r} moved to record {record.number} meanwhile")
        self._heads[segment(record.branch)] = record
        return record

    def seen(self, branch: str) -> Record:
        """Return a head that `branch` had not long ago, as it was seen last; nothing is read where one was."""
        return self._heads.get(segment(branch)) or self.head(branch)

    def _newest(self, branch: str, guess: int | None = None) -> Record | None:
        """Return the newest record, whatever it says."""
        name = segment(branch)
        known = self._heads.get(name)
        if known is not None and guess is not None and guess > known.number:
            known = self._try(known, guess) or known
        newest = self._listed(branch) if known is None else self._from(known)
        if newest is not None:
            self._heads[name] = newest
        return newest

    def _first_record(self, prefix: str, after: str | None = None) -> ObjectInfo | None:
        found = next(iter(self._store.list(prefix, after, 1)), None)
        if found is None or is_record_key(found.key):
            return found
        return next((info for info in self._store.list(prefix, found.key) if is_record_key(info.key)), None)

    def _listed(self, branch: str) -> Record | None:
        found = self._first_record(branch_prefix(branch))
        return None if found is None else self.record(branch, record_number(found.key))

    def _from(self, known: Record) -> Record:
        """Return the newest record, starting at one that was; numbers have no gaps.

        Where reads are cheap and listings are not (a folder of many files) it is searched for by reads alone.
        """
        after = self._try(known, known.number + 1)
        if after is None:
            return known
        if not isinstance(self._store, SupportsFiles):
            return self._listed(known.branch) or after
        step = 1
        while (further := self._try(after, after.number + step)) is not None:
            after, step = further, step * 2
        missing = after.number + step
        while missing - after.number > 1:
            middle = (after.number + missing) // 2
            record = self._try(after, middle)
            after, missing = (after, middle) if record is None else (record, missing)
        return after

    def _try(self, known: Record, number: int) -> Record | None:
        try:
            return self.record(known.branch, number)
        except ObjectNotFound:
            return None

    def _find_tag(self, name: str) -> Tag | None:
        key = tag_key(name)
        try:
            return decode_tag(self._store.read(key), key)
        except ObjectNotFound:
            return None

    def _no_branch(self, name: str) -> str:
        return f"there is no branch {name!r}{nearest(name, [head.branch for head in self.branches()])}"
