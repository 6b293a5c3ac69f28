"""Push, pull and clone: commits travel between lakes, only what is missing, and branches move forward."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.errors import CommitConflict, ConfigError, StoreError
from dataplat.ingest._progress import Meter
from dataplat.versioning.gc.gone import collected
from dataplat.versioning.transfer import Missing, Moved, cloned, fetched, forwarded
from dataplat.versioning.transfer._branches import head_of, live_commits, planned, tagged
from dataplat.versioning.transfer._collections import Renewal
from dataplat.versioning.transfer._erased import erased_elsewhere
from dataplat.versioning.transfer._missing import is_ancestor, missing
from dataplat.versioning.transfer._protect import admission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener
    from dataplat.versioning._record import Record, Tag
    from dataplat.versioning.commit import Commit

PULLED = "pulled/"
"""Before the name of a branch: where its head from another lake goes when both have moved."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What travelled, or, of a plan, would: commits, objects and bytes that were missing, and how refs moved."""

    url: str
    commits: int
    objects: int
    nbytes: int
    branches: tuple[Moved, ...] = ()
    tags: tuple[Moved, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        moved = {
            kind: [{"name": m.name, "how": m.how, "before": m.before or None, "after": m.after} for m in moves]
            for kind, moves in (("branches", self.branches), ("tags", self.tags))
        }
        counts = {"commits": self.commits, "objects": self.objects, "bytes": self.nbytes}
        return {"url": self.url, **counts, **moved, "notes": list(self.notes)}


class _Told:
    """Turns bytes copied into progress."""

    def __init__(self, listener: Listener | None, stage: str) -> None:
        self._meter = Meter(listener, stage=stage)

    def found(self, lacking: Missing) -> None:
        """Take how much there is to copy."""
        self._meter.at_byte(0, lacking.nbytes)

    def copied(self, nbytes: int) -> None:
        """Count bytes."""
        self._meter.at_byte(self._meter.bytes_done + nbytes, self._meter.bytes_total)
        self._meter.add_rows(0)


def push(
    lake: Lake, url: str | Path, branches: Sequence[str] | None, *, tags: bool, plan: bool, listener: Listener | None
) -> Transfer:
    """Bring branches (None: all) and their commits into the lake at `url`."""
    target = _other(lake, url)
    heads = _heads(lake, branches)
    moves = [_move(lake, target, head.branch, head) for head in heads]  # no use in copying for one that cannot move
    sent = _reached(lake, heads) if tags else []
    wanted = _unique([*(head.commit for head in heads), *(_commit(lake, tag) for tag in sent)])
    if plan:
        return _transfer(url, _lacking(lake, target, wanted), moves, [])
    told = _Told(listener, "pushing")
    renewal = Renewal(lake.io, target.io)
    with _held(lake, wanted):
        lacking = fetched(lake.io, target.io, wanted, told=told.copied, found=told.found, place=renewal.key)
    admit, renew = admission(target.io), renewal.ready(lacking)
    message = f"pushed from {lake.url}"
    moves = [
        forwarded(lake.io, target.io, head.branch, head.commit, message=message, admit=admit, renew=renew)
        for head in heads
    ]
    return _transfer(url, lacking, moves, tagged(target.io, sent, renew), _erased(lake, target, "here", "there"))


def pull(lake: Lake, url: str | Path, branch: str, *, tags: bool, plan: bool, listener: Listener | None) -> Transfer:
    """Bring a branch and its commits from the lake at `url`; where both have moved, to the branch `pulled/…`."""
    source = _other(lake, url)
    head = source.refs.head(branch)
    sent = _reached(source, [head]) if tags else []
    wanted = _unique([head.commit, *(_commit(source, tag) for tag in sent)])
    if plan:
        return _transfer(url, _lacking(source, lake, wanted), [_pull_move(source, lake, head)], [])
    told = _Told(listener, "pulling")
    renewal = Renewal(source.io, lake.io)
    with _held(source, wanted):
        lacking = fetched(source.io, lake.io, wanted, told=told.copied, found=told.found, place=renewal.key)
    admit, renew = admission(lake.io), renewal.ready(lacking)
    move = _pull_move(source, lake, head)
    message = f"pulled from {url}"
    done = forwarded(source.io, lake.io, move.name, head.commit, message=message, admit=admit, renew=renew)
    notes = _erased(source, lake, "there", "here")
    if done.name != head.branch:
        notes.append(
            f"both {head.branch} here and {head.branch} there have moved: theirs is {done.name} here. "
            f"Join them: dataplat version merge {done.name} --into {head.branch}"
        )
    return _transfer(url, lacking, [done], tagged(lake.io, sent, renew), notes)


def clone(url: str | Path, folder: str | Path, *, listener: Listener | None) -> Lake:
    """Make a new lake in `folder` that has all that the lake at `url` has."""
    return clone_with_report(url, folder, listener=listener)[0]


def clone_with_report(url: str | Path, folder: str | Path, *, listener: Listener | None) -> tuple[Lake, Transfer]:
    """Clone, and say what travelled."""
    import dataplat
    from dataplat._lake import Lake
    from dataplat.lake.stores import open_store, probe

    source = dataplat.open(url, create=False)
    store = open_store(folder)
    target = Lake(store, "", str(folder))
    probe(store)
    told = _Told(listener, "cloning")
    with _held(source, live_commits(source.io)):
        made, lacking = cloned(source.io, target.io, told=told.copied, found=told.found)
    lake = Lake(store, made.id, str(folder))
    moves = [Moved(head.branch, "new", "", head.commit_id) for head in lake.branches()]
    tags = [Moved(tag.name, "new", "", tag.commit_id) for tag in lake.tags()]
    return lake, _transfer(url, lacking, moves, tags)


def _other(lake: Lake, url: str | Path) -> Lake:
    import dataplat

    other = dataplat.open(url, create=False)
    if repr(other.store) == repr(lake.store):
        raise ConfigError(f"{url} is this lake itself: name another one")
    other.refs.actor = lake.refs.actor
    return other


@contextmanager
def _held(source: Lake, commits: Iterable[Commit]) -> Iterator[None]:
    """Keep the versions at `commits` from being collected; a source that nobody can write to is read as it is."""
    from dataplat.versioning.gc.lease import lease_commits

    with ExitStack() as stack:
        with suppress(StoreError):
            stack.enter_context(lease_commits(source.refs, [commit.id for commit in commits]))
        yield


def _erased(source: Lake, target: Lake, here: str, there: str) -> list[str]:
    """Say what was erased in the lake that was read and is whole in the other: what is there already stays."""
    count = erased_elsewhere(source.io, target.io)
    what = f"{count:,} version{'' if count == 1 else 's'} had rows erased {here}, and {there} the rows are still there"
    return [f"{what}: erase {there}, too"] if count else []


def _lacking(source: Lake, target: Lake, wanted: Sequence[Commit]) -> Missing:
    gone = collected(source.store)
    return missing(source.objects, target.objects, wanted, live_commits(target.io), collected=gone.__contains__)


def _heads(lake: Lake, branches: Sequence[str] | None) -> list[Record]:
    if branches is None:
        return [head for head in lake.branches() if not head.branch.startswith(PULLED)]
    if not branches:
        raise ConfigError("no branch to push: name one")
    return [lake.refs.head(branch) for branch in dict.fromkeys(branches)]


def _reached(lake: Lake, heads: Sequence[Record]) -> list[Tag]:
    """Return the tags whose commits the heads descend from; those that keep nothing any more stay behind."""
    tags = [tag for tag in lake.tags() if not tag.is_over(lake.refs.now())]
    return [tag for tag in tags if any(is_ancestor(lake.objects, _commit(lake, tag), head.commit) for head in heads)]


def _commit(lake: Lake, tag: Tag) -> Commit:
    from dataplat.versioning.commit import load_commit

    return load_commit(lake.objects, tag.commit_id)


def _unique(commits: Sequence[Commit]) -> list[Commit]:
    return list({commit.id: commit for commit in commits}.values())


def _is_ahead(target: Lake, before: Record, commit: Commit) -> bool:
    return target.objects.exists(commit.id, ".json") and is_ancestor(target.objects, commit, before.commit)


def _move(source: Lake, target: Lake, name: str, head: Record) -> Moved:
    before = head_of(target.io, name)
    if before is not None and before.commit_id != head.commit_id and _is_ahead(target, before, head.commit):
        return Moved(name, "ahead", before.commit_id, before.commit_id)
    return planned(source.io, before, head.commit, name)


def _pull_move(source: Lake, lake: Lake, head: Record) -> Moved:
    """Return which branch here `head`, of another lake, moves: the one of its name, or `pulled/…` beside it."""
    try:
        return _move(source, lake, head.branch, head)
    except CommitConflict:
        name = PULLED + head.branch
    try:
        return _move(source, lake, name, head)
    except CommitConflict as error:
        raise CommitConflict(
            f"branch {name!r} holds what was pulled from elsewhere, or was changed here: merge it and delete it "
            f"(`dataplat version branch delete {name}`), then pull again"
        ) from error


def _transfer(
    url: str | Path, lacking: Missing, moves: Sequence[Moved], tags: Sequence[Moved], notes: Sequence[str] = ()
) -> Transfer:
    counts = len(lacking.commits), len(lacking.objects) + len(lacking.commits), lacking.nbytes
    return Transfer(str(url), *counts, tuple(moves), tuple(tags), tuple(notes))
