"""References: the one way to name a version of a dataset, or a commit.

orders                      where `main` stands
orders@exp, orders@v12      where a branch stands, or what a tag names; `@v12` alone where the dataset is plain
orders@main~3               three versions of that dataset back
orders@id:3f9a2c01b7de      a version id or commit id, or at least its first 12 digits
orders@2026-11-01T00:00Z    where `main` stood then; a date alone means its first moment, without zone UTC
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dataplat.errors import (
    BadName,
    BadReference,
    BranchNotFound,
    DatasetNotFound,
    LakeFormatError,
    TagNotFound,
    VersionNotFound,
)
from dataplat.versioning.commit import Commit, load_commit
from dataplat.versioning.history import commit_at, commit_back, commit_of_version, log, version_back
from dataplat.versioning.lakefile import MAIN
from dataplat.versioning.manifest import Manifest, load_manifest
from dataplat.versioning.names import check_branch_name, check_dataset_name, nearest
from dataplat.versioning.redactions import Redactions, erased_beginning

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.versioning.refs import Refs

_BACK: Final = re.compile(r"~(\d*)\Z")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_ID: Final = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference taken apart: of `name` (branch or tag), `id` (hex digits) and `time` (µs UTC) at most one is set.

    `back` counts versions of the dataset (or commits, where no dataset is named).
    """

    text: str
    dataset: str | None = None
    name: str | None = None
    id: str | None = None
    time: int | None = None
    back: int = 0


def parse_reference(text: str) -> Reference:
    """Take `text` apart.

    Raises:
        BadReference: The grammar is wrong; the message shows what is meant.
    """
    stem, back = _split_back(text)
    dataset, at, target = stem.partition("@")
    if dataset:
        _check(check_dataset_name, dataset, text)
    if not at:
        if not dataset:
            raise BadReference(f"{text!r} names nothing: write DATASET, DATASET@BRANCH-OR-TAG or @TAG")
        return Reference(text, dataset, back=back)
    if not target:
        raise BadReference(f"{text!r} ends after '@': a branch, tag, id:… or date has to follow")
    return _target(Reference(text, dataset or None, back=back), target)


def resolve(
    refs: Refs, objects: Objects, reference: str | Reference, *, dataset: str | None = None
) -> tuple[str, Manifest, Commit]:
    """Return (dataset, its manifest, the commit that it was found at) of a reference.

    `dataset` is taken where the reference names none. The commit is one at which the dataset has that version: of a
    branch or tag the one that it names, of a version back or an id the one that made it.

    Raises:
        BadReference: The grammar is wrong, or no dataset is named.
        DatasetNotFound, BranchNotFound, TagNotFound, VersionNotFound: It resolves to nothing.
    """
    parsed = parse_reference(reference) if isinstance(reference, str) else reference
    name = parsed.dataset or dataset
    if name is None:
        raise BadReference(f"{parsed.text!r} names no dataset: write DATASET{parsed.text}")
    commit, version = _found_by_id(refs, objects, parsed, name, parsed.id) if parsed.id else (None, None)
    if commit is None:
        commit = _commit(refs, objects, parsed)
    if parsed.back:
        return _back(objects, commit, name, parsed.back)
    return name, load_manifest(objects, version or _current(objects, commit, name, parsed.text)), commit


def resolve_commit(refs: Refs, objects: Objects, reference: str) -> Commit:
    """Return the commit that a reference names: `exp`, `@exp`, `v12`, `main~2` (commits back), `id:…`, a date.

    A reference that names a dataset (`orders@exp~1`) gives the commit at which the dataset has that version.

    Raises:
        BadReference, BranchNotFound, TagNotFound, VersionNotFound: As `resolve`.
    """
    stem, _ = _split_back(reference)
    if "@" in stem.removeprefix("@"):
        return resolve(refs, objects, reference)[2]
    parsed = parse_reference(reference if reference.startswith("@") else f"@{reference}")
    if parsed.id is None:
        return commit_back(objects, _commit(refs, objects, parsed), parsed.back)
    for object_id in objects.find(parsed.id, ".json"):
        try:
            return commit_back(objects, load_commit(objects, object_id), parsed.back)
        except LakeFormatError:
            continue
    raise VersionNotFound(f"{reference!r}: no commit has an id that begins so")


def says_where(reference: str) -> bool:
    """Say whether a reference names a branch, tag, commit or time, and not only a dataset."""
    return "@" in reference or "~" in reference


def at_branch(reference: str, branch: str) -> str:
    """Return a reference that does not say where as one to a branch."""
    return reference if says_where(reference) else f"{reference}@{branch}"


def _split_back(text: str) -> tuple[str, int]:
    found = _BACK.search(text)
    if found is None:
        if "~" in text:
            raise BadReference(f"{text!r}: '~' has to be followed by a number and nothing else, as in orders@main~3")
        return text, 0
    return text[: found.start()], int(found[1] or 1)


def _target(reference: Reference, target: str) -> Reference:
    text, dataset, back = reference.text, reference.dataset, reference.back
    if target.startswith("id:"):
        digits = target.removeprefix("id:").lower()
        if not _ID.fullmatch(digits):
            raise BadReference(f"{text!r}: after 'id:' come 12 to 64 hex digits")
        return Reference(text, dataset, id=digits, back=back)
    if _DATE.match(target):
        return Reference(text, dataset, time=_time(target, text), back=back)
    if _ID.fullmatch(target.lower()):
        raise BadReference(f"{text!r}: an id is written as id:{target}")
    _check(check_branch_name, target, text)
    return Reference(text, dataset, name=target, back=back)


def _time(target: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(target)
    except ValueError as error:
        raise BadReference(
            f"{text!r}: {target!r} is no date ({error}); write 2026-11-01, 2026-11-01T12:30Z or 2026-11-01T12:30+01:00"
        ) from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _check(check: Callable[[str], str], name: str, text: str) -> None:
    try:
        check(name)
    except BadName as error:
        raise BadReference(f"{text!r} is no reference: {error}") from error


def _commit(refs: Refs, objects: Objects, reference: Reference) -> Commit:
    """Return the commit that a branch, tag or time stands for."""
    if reference.time is not None:
        return commit_at(refs, MAIN, reference.time)
    name = reference.name or MAIN
    try:
        return refs.head(name).commit
    except BranchNotFound:
        pass
    try:
        return load_commit(objects, refs.tag(name).commit_id)
    except TagNotFound:
        known = [head.branch for head in refs.branches()] + [tag.name for tag in refs.tags()]
        raise VersionNotFound(f"{reference.text!r}: there is no branch or tag {name!r}{nearest(name, known)}") from None


def _current(objects: Objects, head: Commit, name: str, text: str) -> str:
    state = head.dataset(name, objects.read)
    if state is not None and state.version is not None:
        return state.version
    if state is not None:
        last = next(log(objects, head, name))
        renamed = last.change.renamed_to
        what = f"renamed to {renamed!r}" if renamed else f"dropped; {name}~1 is what it was before"
        raise DatasetNotFound(f"{text!r}: in commit {last.commit.id[:12]} dataset {name!r} was {what}")
    raise DatasetNotFound(f"{text!r}: there is no dataset {name!r}{nearest(name, head.datasets(objects.read))}")


def _back(objects: Objects, head: Commit, name: str, back: int) -> tuple[str, Manifest, Commit]:
    """Return the version `back` before the one at `head`; of a dropped dataset ~1 is the last that it had."""
    state = head.dataset(name, objects.read)
    dropped = state is not None and state.version is None
    entry = version_back(objects, head, name, back - 1 if dropped else back)
    return name, load_manifest(objects, str(entry.change.version)), entry.commit


def _found_by_id(refs: Refs, objects: Objects, reference: Reference, name: str, id: str) -> tuple[Commit, str | None]:
    """Return the commit of that id, or (the commit that made the version of that id, the version)."""
    found = objects.find(id, ".json") or erased_beginning(objects.store, id)
    if len(found) != 1:
        reason = f"{len(found)} ids begin so; give more digits" if found else "no version or commit has such an id"
        raise VersionNotFound(f"{reference.text!r}: {reason}")
    try:
        version = load_manifest(objects, found[0]).id
    except LakeFormatError:
        return load_commit(objects, found[0]), None
    heads = [refs.head(MAIN).commit, *(head.commit for head in refs.branches() if head.branch != MAIN)]
    made = _made(objects, heads, name, {version, found[0]})
    if made is None and (leads := Redactions.load(objects.store)).leads:
        made = _made(objects, heads, name, leads.leading_to(version))
    if made is not None:
        return made, found[0]
    raise VersionNotFound(f"{reference.text!r}: {name!r} has no version {version[:12]} on any branch")


def _made(objects: Objects, heads: Sequence[Commit], name: str, versions: Collection[str]) -> Commit | None:
    """Return a commit that made one of `versions`, all of which read as the same now."""
    for head in heads:
        if head.dataset(name, objects.read) is not None:
            made = commit_of_version(objects, head, name, *versions)
            if made is not None:
                return made
    return None
