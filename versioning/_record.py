"""Numbered records, of which a branch is made, and tags."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import msgspec

from dataplat.errors import IntegrityError
from dataplat.versioning._seal import seal, unseal
from dataplat.versioning.commit import Commit, decode_commit
from dataplat.versioning.names import segment

RECORD_FORMAT: Final = "dataplat.record/1"
TAG_FORMAT: Final = "dataplat.tag/1"
_LAST: Final = 10**20 - 1

BARRED: Final = "a collection made sure that who was about to create this branch looks again"
"""The message of a record of kind `delete` that takes a number from a branch that is not there."""

RecordKind: TypeAlias = Literal["create", "commit", "delete", "fence", "protect"]


class Record(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True, tag_field="format", tag=RECORD_FORMAT
):
    """One step of a branch; the one with the greatest number is its head.

    `branch` is the name as first written; `commit_id` the commit that the branch stands at from here on, which
    lies in the record itself, so that one read gives the head. A record of kind `delete` ends the branch (it may be
    created again by a later record); `fence` and `protect` leave it where it is. `time` (µs UTC) is greater than
    that of the record before. `settings` holds from here on until a later record changes it.
    """

    branch: str
    number: int
    kind: RecordKind
    actor: str
    time: int
    nonce: str
    commit_id: str
    body: msgspec.Raw = msgspec.field(name="commit", default=msgspec.Raw(b""))
    message: str = ""
    settings: dict[str, Any] = {}

    @cached_property
    def commit(self) -> Commit:
        """The commit that the branch stands at."""
        commit = decode_commit(self.body, f"commit {self.commit_id} in record {self.number} of branch {self.branch!r}")
        if commit.id != self.commit_id:
            raise IntegrityError(
                f"record {self.number} of branch {self.branch!r} holds another commit than {self.commit_id}: "
                "it was damaged. Run `dataplat version verify`."
            )
        return commit

    @property
    def key(self) -> str:
        """Where the record lies in the store."""
        return record_key(self.branch, self.number)

    @property
    def data(self) -> bytes:
        """The record as it is stored."""
        return seal(self)


class Tag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=TAG_FORMAT):
    """A name for a commit that never moves. `time` is in µs UTC.

    Until `expires` (µs UTC; 0: for ever) it keeps the versions of its commit from being collected; the name stays.
    """

    name: str
    commit_id: str
    actor: str
    time: int
    nonce: str
    message: str = ""
    expires: int = 0

    @property
    def key(self) -> str:
        """Where the tag lies in the store."""
        return tag_key(self.name)

    @property
    def data(self) -> bytes:
        """The tag as it is stored."""
        return seal(self)

    def is_over(self, now: int) -> bool:
        """Whether it keeps its versions no more at `now` (µs UTC)."""
        return 0 < self.expires <= now


_RECORD_KEY: Final = re.compile(r"refs/branches/[^/]+/[0-9]{20}\.json")
_TAG_KEY: Final = re.compile(r"refs/tags/[^/]+\.json")


def branch_prefix(branch: str) -> str:
    """Return the prefix of the keys of a branch's records."""
    return f"refs/branches/{segment(branch)}/"


def record_key(branch: str, number: int) -> str:
    """Return the key of a record: numbers are inverted, so that the head comes first in a listing."""
    return f"{branch_prefix(branch)}{_LAST - number:020d}.json"


def record_number(key: str) -> int:
    """Return the number of the record that lies at `key`."""
    return _LAST - int(key.rpartition("/")[2].removesuffix(".json"))


def is_record_key(key: str) -> bool:
    """Whether a record may lie there; file managers and file systems leave files of their own (`.DS_Store`, `.nfs…`)."""
    return _RECORD_KEY.fullmatch(key) is not None


def is_tag_key(key: str) -> bool:
    """Whether a tag may lie there."""
    return _TAG_KEY.fullmatch(key) is not None


def is_stray(key: str) -> bool:
    """Whether a key lies among the refs, and is neither of a record nor of a tag."""
    return key.startswith("refs/") and not is_record_key(key) and not is_tag_key(key)


def tag_key(name: str) -> str:
    """Return the key of a tag."""
    return f"refs/tags/{segment(name)}.json"


def decode_record(data: bytes, key: str) -> Record:
    """Read a record; raise `IntegrityError` if it is damaged or lies under another record's key."""
    record = unseal(data, Record, key, "record")
    if record.key != key:
        raise IntegrityError(f"{key} holds record {record.number} of branch {record.branch!r}: it was moved there")
    return record


def decode_tag(data: bytes, key: str) -> Tag:
    """Read a tag; raise `IntegrityError` if it is damaged or lies under another tag's key."""
    tag = unseal(data, Tag, key, "tag")
    if tag.key != key:
        raise IntegrityError(f"{key} holds the tag {tag.name!r}: it was moved there")
    return tag
