"""What a branch did to a dataset since an offset, commit by commit, and the parts that each of them brought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from dataplat.errors import ConfigError, SourceError, SourceGap, VersionNotFound
from dataplat.lake.schema import stored_name
from dataplat.versioning._difference import PartsDifference, difference
from dataplat.versioning.history import log, show_time
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.modes import holds
from dataplat.versioning.redactions import followed
from dataplat.versioning.references import parse_reference
from dataplat.versioning.suppression import lists_of

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.lake.part import Part
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.manifest import Manifest

_BRING_NONE: Final = frozenset({"compact", "describe", "erase", "evolve", "rename"})
"""Modes that write no new rows, whatever parts they write."""
_COLUMNS_STAY: Final = _BRING_NONE - {"evolve"}
"""Of these modes, those whose versions need not be looked at."""


Tells: TypeAlias = Literal["fail", "ignore", "rows"]
"""What a stream does about rows that go: it ends, passes over them, or tells of them, too."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a stream was read: all of the commit `after`, and of the next one, `within`, the parts up to a `place`.

    Where `after` is empty, `within` is the commit that the stream begins with: of its version all parts are read. Places
    stay when rows are erased; how many parts there are does not.
    """

    after: str
    within: str = ""
    place: int = -1


@dataclass(frozen=True, slots=True)
class Step:
    """A commit that changed the dataset: its version then, and the one before (None: all rows are read, or it was made)."""

    commit: str
    time: int
    mode: str
    before: str | None
    version: str | None
    previous: str = ""

    def after(self, part: Part | None) -> Offset:
        """Return the offset once it is read up to one of its parts, or to its end (None)."""
        return Offset(self.commit) if part is None else Offset(self.previous, self.commit, part.place)

    def __str__(self) -> str:
        return f"commit {self.commit[:12]} ({self.mode}, {show_time(self.time)})"


@dataclass(frozen=True, slots=True)
class Brought:
    """What a commit brought: parts, by place; or the rows that differ between two versions, which are told together."""

    step: Step
    parts: Sequence[Part] = ()
    versions: tuple[str, str] | None = None
    """Where rows went, and are to be told; `parts` are then those that are compared."""


@dataclass(slots=True)
class Line:
    """The commits of a branch that changed one dataset; those that are to be read next are remembered."""

    lake: Lake
    dataset: str
    branch: str
    columns: Sequence[pa.Field]
    """Those that are read, as the reader knows them."""
    tells: Tells
    end: Commit | None = None
    """The head that is not read beyond; None: as the branch stands."""
    _known: list[Step] = field(default_factory=list)
    _brought: dict[str, Brought] = field(default_factory=dict)
    _record: int = -1
    """The newest record of the branch when `_brought` was looked at: an erase puts others in their place, and says so there."""

    @classmethod
    def of(cls, lake: Lake, reference: str, columns: Sequence[pa.Field], tells: Tells) -> Line:
        """Return the line that a reference names.

        Raises:
            ConfigError: It is not a branch.
        """
        asked = parse_reference(reference)
        if asked.dataset is None or asked.id or asked.time is not None or asked.back:
            raise ConfigError(
                f"{reference!r} is one version, and a stream follows a branch: load DATASET or DATASET@BRANCH, and say "
                'where it begins with .option("from", …)'
            )
        branch = asked.name or "main"
        if branch in {tag.name for tag in lake.refs.tags()}:
            raise ConfigError(
                f'{branch!r} is a tag, which does not move: load a branch, with .option("from", "{branch}")'
            )
        return cls(lake, asked.dataset, branch, columns, tells)

    def begin(self, place: str) -> Offset:
        """Return the offset that "earliest", "latest" or a reference means now."""
        if place in {"earliest", "latest"}:
            now = self.now()
            return now if place == "latest" else Offset("", now.after)
        reference = place if "@" in place else f"{self.dataset}@{place}"
        version = self.lake[reference]
        if version.dataset != self.dataset:
            raise ConfigError(f'.option("from", {place!r}) is a version of {version.dataset}, not of {self.dataset}')
        start = Offset(self._last(version.found_at))
        try:
            self.since(start)
        except SourceGap:
            message = (
                f'.option("from", {place!r}) is no version in the history of {self.dataset} on branch {self.branch}'
            )
            raise ConfigError(message) from None
        return start

    def now(self) -> Offset:
        """Return the offset at which all is read."""
        return Offset(self._last(self._head()))

    def stop_here(self) -> None:
        """Let the line end where the branch stands now."""
        self.end = self.lake.refs.head(self.branch).commit

    def since(self, offset: Offset) -> Iterator[Step]:
        """Return the commits that are not read to their end yet, oldest first.

        Raises:
            SourceGap: The history of the branch has not the commit that was read last.
        """
        self._forget(offset)
        self._look_again()
        last = self._known[-1].commit if self._known else offset.after
        if not self._known and not offset.after:
            self._known = [self._whole(offset.within)]
            last = offset.within
        self._known += self._newer(last)
        return iter(self._known)

    def between(self, start: Offset, end: Offset) -> Iterator[Brought]:
        """Yield what is read from one offset to another, commit by commit.

        Raises:
            SourceError: A commit took rows away, or changed a column that is read.
        """
        if start == end:
            return
        for step in self.since(start):
            brought = self.brought(step, start)
            if step.commit == end.within:
                yield replace(brought, parts=[part for part in brought.parts if part.place <= end.place])
                return
            yield brought
            if step.commit == end.after:
                return
        raise self._lost(end.within or end.after)

    def brought(self, step: Step, start: Offset) -> Brought:
        """Return what a commit brought and is not read yet at an offset.

        Raises:
            SourceError: It took rows away, or changed a column that is read.
        """
        if step.commit not in self._brought:
            self._brought[step.commit] = self._look(step)
        brought = self._brought[step.commit]
        if step.commit != start.within:
            return brought
        return replace(brought, parts=[part for part in brought.parts if part.place > start.place])

    def _look(self, step: Step) -> Brought:
        if step.version is None:
            if self.tells == "ignore":
                return Brought(step)
            raise SourceError(f"{step} dropped or renamed {self.dataset}, which ends its stream")
        if step.before is not None and (step.version == step.before or step.mode in _COLUMNS_STAY):
            return Brought(step)
        after = self._manifest(step, step.version)
        self._check_columns(step, after)
        if step.before is None:
            return Brought(step, [part for part in after.parts() if part.live])
        if step.mode in _BRING_NONE:
            return Brought(step)
        before = self._manifest(step, step.before)
        differs = difference(before, after)
        if (differs.dropped or differs.changed) and self.tells != "ignore":
            if self.tells == "fail":
                raise SourceError(_took_away(self.dataset, step, differs))
            changed = [now for _, now in differs.changed]
            return Brought(step, [*differs.dropped, *changed, *differs.added], (before.id, after.id))
        return Brought(step, [part for part in differs.added if part.live])

    def _manifest(self, step: Step, version: str) -> Manifest:
        """Return a version that a step needs; rows that were erased from it since are gone from it."""
        if lists_of(self.lake.refs.seen(self.branch).settings):
            version = followed(self.lake.store, version)
        try:
            return load_manifest(self.lake.objects, version)
        except VersionNotFound as error:
            raise SourceGap(
                f"the stream of {self.dataset} comes to {step}, of which nothing was read: {error}. Start with a new "
                "checkpointLocation, to read all rows as they are now, and keep versions for as long as a stream may be late"
            ) from error

    def _check_columns(self, step: Step, after: Manifest) -> None:
        there = {stored_name(column): column.type for column in after.schema}
        for column in self.columns:
            now = there.get(stored_name(column))
            if stored_name(column) in after.root.gone or not (now is None or holds(column.type, now)):
                became = "is gone" if now is None else f"is {now}, not {column.type},"
                raise SourceError(
                    f"column {column.name!r} of {self.dataset} {became} since {step}; what came before was read, and "
                    "nothing of it. Start the query again, with the same checkpoint: it then has the columns of now"
                )

    def _whole(self, commit: str) -> Step:
        """Return the step that reads all of the version of a commit."""
        for entry in log(self.lake.objects, self._head(), self.dataset):
            if entry.commit.id == commit:
                return Step(commit, entry.commit.time, entry.change.mode, None, entry.change.version)
        raise self._lost(commit)

    def _newer(self, last: str) -> list[Step]:
        """Return the commits after `last`, oldest first."""
        found: list[Step] = []
        for entry in log(self.lake.objects, self._head(), self.dataset):
            change = entry.change
            if found:
                found[-1] = replace(found[-1], before=change.version, previous=entry.commit.id)
            if entry.commit.id == last:
                return found[::-1]
            found.append(Step(entry.commit.id, entry.commit.time, change.mode, None, change.version))
        raise self._lost(last)

    def _forget(self, offset: Offset) -> None:
        """Leave out what is read; all, where the offset is not of what is remembered."""
        for at, step in enumerate(self._known):
            if step.previous == offset.after and (offset.after or step.commit == offset.within):
                self._known = self._known[at:]
                break
            if step.commit == offset.after:
                self._known = self._known[at + 1 :]
                break
        else:
            self._known = []
        known = {step.commit for step in self._known}
        self._brought = {commit: brought for commit, brought in self._brought.items() if commit in known}

    def _look_again(self) -> None:
        """Forget what commits brought, if anything was recorded on the branch since."""
        number = self.lake.refs.head(self.branch).number
        if number != self._record:
            self._record, self._brought = number, {}

    def _head(self) -> Commit:
        return self.end or self.lake.refs.head(self.branch).commit

    def _last(self, commit: Commit) -> str:
        """Return the commit that changed the dataset last, as `commit` has it."""
        state = commit.dataset(self.dataset, self.lake.objects.read)
        if state is None:
            raise SourceGap(f"branch {self.branch} has no dataset {self.dataset!r} any more")
        return state.commit

    def _lost(self, commit: str) -> SourceGap:
        return SourceGap(
            f"the stream had read {self.dataset} up to commit {commit[:12]}, which is not in the history of branch "
            f"{self.branch}: the branch was made anew, or the checkpoint is of another lake. Start with a new "
            'checkpointLocation, and .option("from", …) where it is to begin'
        )


def _took_away(dataset: str, step: Step, differs: PartsDifference) -> str:
    went = (
        "rolled the dataset back behind what was read" if step.mode == "rollback" else "took rows away or replaced them"
    )
    return (
        f"{step} {went}, and a stream of {dataset} tells only of rows that come ({len(differs.dropped)} parts went, "
        f"{len(differs.changed)} have rows less). Nothing of it was read. Go on without what went with "
        '.option("changes", "ignore"): new values of an upsert then come as rows of their own. Or start with a new '
        'checkpointLocation, to read all rows as they are now, or, with .option("changes", "rows"), those that go, too'
    )
