"""Branches move forward only, to commits that are whole where they are to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from dataplat.errors import (
    AlreadyExists,
    BranchNotFound,
    CommitConflict,
    IntegrityError,
    ObjectExists,
    ObjectNotFound,
    TagNotFound,
    VersionNotFound,
)
from dataplat.versioning.commit import Commit, load_commit
from dataplat.versioning.gc.gone import collected
from dataplat.versioning.transfer._collections import Renew, note_collected
from dataplat.versioning.transfer._copy import Place, Told, copy_objects, plain
from dataplat.versioning.transfer._erased import bring_redactions, refuse_erased
from dataplat.versioning.transfer._missing import Missing, is_ancestor, missing

if TYPE_CHECKING:
    from dataplat.versioning._record import Record, Tag
    from dataplat.versioning.needs import Name
    from dataplat.versioning.publish import LakeIO

How: TypeAlias = Literal["new", "forward", "same", "ahead"]
"""What becomes of a branch or tag: it is made, moved, left where it is, or it has more than was brought."""

Admit: TypeAlias = Callable[["Record", Commit], None]
"""Sees the head that a branch is to be moved from, and the commit that it is moved to; may raise."""

_TRIES: Final = 5
"""How often is begun again because the source was collected meanwhile."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one branch or tag: the commits that it stood at before ("" for none) and stands at now."""

    name: str
    how: How
    before: str
    after: str


def fetched(
    source: LakeIO,
    target: LakeIO,
    heads: Sequence[Commit],
    *,
    also: Sequence[Commit] = (),
    beside: Sequence[Name] = (),
    told: Told = lambda _: None,
    found: Callable[[Missing], object] = lambda _: None,
    place: Place = plain,
) -> Missing:
    """Bring `heads`, and what they descend from, into `target`; no branch moves. Return what was lacking.

    Objects come first, then commits, oldest first: where a commit is, all that it needs is. So a run that was killed
    goes on where it stopped. `found` is told what is lacking before anything is copied, `place` says under
    which keys it goes.
    """
    tries = 0
    while True:
        gone = collected(source.objects.store)
        try:
            lacking = missing(
                source.objects,
                target.objects,
                heads,
                live_commits(target),
                also=also,
                beside=beside,
                collected=gone.__contains__,
            )
            refuse_erased(source, target, lacking.commits)
            found(lacking)
            copy_objects(source.objects, target.objects, lacking.objects, told, place)
            break
        except (IntegrityError, ObjectNotFound, VersionNotFound):
            tries += 1
            if tries == _TRIES or len(collected(source.objects.store)) == len(gone):
                raise  # nothing was collected meanwhile
            source.objects.forget()
    bring_redactions(source, target, lacking.redacted)
    note_collected(target, lacking.collected)
    for commit in lacking.commits:
        write_commit(target, commit, place)
        told(len(commit.data))
    return lacking


def write_commit(target: LakeIO, commit: Commit, place: Place) -> None:
    """Write the object of a commit, all of whose needs are there."""
    try:
        target.objects.store.create(place((commit.id, ".json")), commit.data)
    except ObjectExists:
        return


def live_commits(lake: LakeIO) -> Iterator[Commit]:
    """Yield the commits at heads of branches and at tags that stay: every version at them is whole."""
    heads = {record.commit_id: record.commit for record in lake.refs.branches()}
    yield from heads.values()
    for tag in lake.refs.tags():
        if tag.commit_id not in heads and not tag.expires:
            yield load_commit(lake.objects, tag.commit_id)


def head_of(lake: LakeIO, branch: str) -> Record | None:
    """Return the head of a branch, None where there is no such branch."""
    try:
        return lake.refs.head(branch)
    except BranchNotFound:
        return None


def planned(source: LakeIO, before: Record | None, commit: Commit, name: str) -> Moved:
    """Return what moving a branch from `before` to a commit of `source` would be.

    A branch on which nothing was ever committed, as that of a lake just made, is behind any other.

    Raises:
        CommitConflict: Both sides have commits that the other lacks.
    """
    if before is None:
        return Moved(name, "new", "", commit.id)
    if before.commit_id == commit.id:
        return Moved(name, "same", commit.id, commit.id)
    untouched = not (before.commit.parents or before.commit.changes)
    if untouched or is_ancestor(source.objects, before.commit, commit):
        return Moved(name, "forward", before.commit_id, commit.id)
    raise CommitConflict(
        f"branch {name!r} has diverged: there it stands at commit {before.commit_id[:12]}, which commit "
        f"{commit.id[:12]} does not descend from. Pull it (`dataplat version pull`), merge, then push again."
    )


def forwarded(
    source: LakeIO,
    target: LakeIO,
    name: str,
    commit: Commit,
    *,
    message: str = "",
    admit: Admit | None = None,
    renew: Renew = lambda _: None,
) -> Moved:
    """Move branch `name` of `target` forward to `commit`, which is whole there; make it where there is none.

    `admit` may refuse; `renew` is called right before the branch is moved or made.

    Raises:
        CommitConflict: The branch has diverged, or another writer made it at the same time.
        CommitInDoubt: The store never said whether the record landed.
    """
    while True:
        before = head_of(target, name)
        if before is not None and is_ancestor(target.objects, commit, before.commit):
            how: How = "same" if commit.id == before.commit_id else "ahead"
            return Moved(name, how, before.commit_id, before.commit_id)
        move = planned(source, before, commit, name)
        try:
            if before is None:
                target.refs.create_branch(name, commit, message=message, ready=renew)
            else:
                if admit is not None:
                    admit(before, commit)
                renew(before.settings)
                target.refs.publish(before.branch, before, commit, message=message)
        except ObjectExists:
            continue  # it moved: look again
        except AlreadyExists as error:
            if head_of(target, name) is None:  # a tag has the name
                raise
            raise CommitConflict(f"branch {name!r} was made by somebody else meanwhile: push again") from error
        return move


def tagged(target: LakeIO, tags: Iterable[Tag], renew: Renew = lambda _: None) -> list[Moved]:
    """Give tags, as they were written elsewhere, to commits that are whole; one that names another commit is left."""
    done = []
    for tag in tags:
        try:
            there = target.refs.tag(tag.name)
        except TagNotFound:
            try:
                target.refs.adopt_tag(tag, ready=renew)
            except AlreadyExists as error:
                try:
                    there = target.refs.tag(tag.name)
                except TagNotFound:  # a branch has the name
                    raise error from None
            else:
                done.append(Moved(tag.name, "new", "", tag.commit_id))
                continue
        if there.commit_id != tag.commit_id:
            raise CommitConflict(
                f"tag {tag.name!r} names commit {there.commit_id[:12]} there and {tag.commit_id[:12]} here, and tags never "
                "move: give the state another name"
            )
        done.append(Moved(tag.name, "same", tag.commit_id, tag.commit_id))
    return done
