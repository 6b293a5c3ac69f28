"""A sealed file says whether it is what was written, whatever bit of it turns, and whoever reads it."""

from __future__ import annotations

import json
from hashlib import sha256

import msgspec
import pytest

from dataplat.errors import IntegrityError, LakeFormatError
from dataplat.versioning._json import canonical
from dataplat.versioning._seal import seal, unseal


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag="test.note/1"):
    """Something to seal."""

    author: str
    time: int = 0
    text: str = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")


NOTE = Note(author="änna", time=7, text='a "check" of {"check":"x"}', body=msgspec.Raw(b'{"check":1.50,"z":[1e3]}'))


def test_what_was_sealed_is_read_again():
    """The value comes back, and the same value gives the same bytes."""
    assert unseal(seal(NOTE), Note, "note", "note") == NOTE
    assert seal(NOTE) == seal(NOTE)


def test_the_check_is_the_hash_of_the_rest():
    """`check` is the SHA-256 of the canonical JSON without it, as json and hashlib compute it."""
    fields = json.loads(seal(Note(author="änna", text="x")))
    check = fields.pop("check")
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert check == sha256(text.encode()).hexdigest()


def test_every_turned_bit_is_found():
    """Turn each bit of each byte: all are found, and none is taken for another version of the format."""
    data = seal(NOTE)
    for at in range(len(data)):
        for bit in range(8):
            turned = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises(IntegrityError, match="notes/1 .* damaged"):
                unseal(turned, Note, "notes/1", "note")


def test_unknown_fields_count():
    """A field of a later dataplat is passed over, and its damage is found."""
    fields = msgspec.to_builtins(Note(author="a")) | {"later": [1.0, 2]}
    assert unseal(seal(fields), Note, "note", "note") == Note(author="a")
    with pytest.raises(IntegrityError):
        unseal(seal(fields).replace(b"[1.0,2]", b"[1.0,3]"), Note, "note", "note")


def test_other_formats_are_not_damage():
    """What is whole, or never had a check, and cannot be read is of another format."""
    fields = msgspec.to_builtins(Note(author="a")) | {"format": "test.note/2"}
    for data in (seal(fields), canonical(fields)):
        with pytest.raises(LakeFormatError, match="upgrade"):
            unseal(data, Note, "note", "note")
    with pytest.raises(IntegrityError, match="lost its checksum"):
        unseal(canonical(NOTE), Note, "note", "note")
