"""Every record of every branch and tag, and the commits that they reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import IntegrityError, LakeFormatError, LakeNotFound, StoreError
from dataplat.versioning._record import decode_record, decode_tag
from dataplat.versioning.commit import Commit, load_commit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat.lake.objects import Objects
    from dataplat.lake.stores import Store

DAMAGE = (IntegrityError, LakeFormatError, LakeNotFound, StoreError)
"""What reading damaged or missing bytes raises."""


def reachable(objects: Objects, problems: list[str]) -> Iterator[Commit]:
    """Yield every commit that a branch or a tag reaches, once; what cannot be read is noted in `problems`."""
    known = _heads(objects.store, problems)
    todo = [*known, *_tagged(objects.store, problems)]
    seen: set[str] = set()
    while todo:
        commit_id = todo.pop()
        if commit_id in seen:
            continue
        seen.add(commit_id)
        try:
            commit = known.get(commit_id) or load_commit(objects, commit_id)
        except DAMAGE as error:
            problems.append(f"commit {commit_id[:12]}: {error}")
            continue
        todo += commit.parents
        yield commit


def _heads(store: Store, problems: list[str]) -> dict[str, Commit]:
    """Read all records; return the commits at the heads of the branches that are there, by id."""
    heads: dict[str, Commit] = {}
    folder = ""  # whose head has been seen: records are listed newest first
    for info in store.list("refs/branches/"):
        try:
            record = decode_record(store.read(info.key), info.key)
            commit = record.commit
        except DAMAGE as error:
            problems.append(f"{info.key}: {error}")
            continue
        here = info.key.rpartition("/")[0]
        if here != folder and record.kind != "delete":
            heads[commit.id] = commit
        folder = here
    return heads


def _tagged(store: Store, problems: list[str]) -> list[str]:
    found = []
    for info in store.list("refs/tags/"):
        try:
            found.append(decode_tag(store.read(info.key), info.key).commit_id)
        except DAMAGE as error:
            problems.append(f"{info.key}: {error}")
    return found
