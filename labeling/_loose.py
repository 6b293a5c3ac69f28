"""JSON that is not quite what was expected, read as far as it goes: what cannot be read is left empty, never the rest.

Half a character (the escape of a lone surrogate, d800 to dfff) is JSON that msgspec refuses and a browser may send where a span
cuts an emoji in two. It is marked before decoding and put back in what is kept verbatim.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

_HALF: Final = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\u(d[89a-f][0-9a-f]{2}))", re.IGNORECASE
)
_MARK: Final = re.compile(rb"\x7f([Dd][89A-Fa-f][0-9A-Fa-f]{2})\x7f")
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])


def loose(raw: bytes, kind: type[S]) -> S | None:
    """Return an object with every field that is of its type, the others as where they are missing; None: no object."""
    try:
        fields = _FIELDS.decode(raw)
    except msgspec.DecodeError:
        return None
    read: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in fields:
            continue
        try:
            read[field.name] = msgspec.json.decode(fields[field.encode_name], type=field.type)
        except msgspec.DecodeError:
            continue
    return kind(**read)


def loose_list(raw: bytes) -> list[bytes] | None:
    """Return the texts of a list's elements; None: no list."""
    try:
        return [bytes(each) for each in _LIST.decode(raw)]
    except msgspec.DecodeError:
        return None


def marked(text: bytes) -> bytes:
    """Return JSON with halves of characters marked, as `unmarked` undoes."""
    return _HALF.sub(lambda found: found[1] + (found[2] or b"\x7f" + found[3] + b"\x7f"), text)


def unmarked(text: bytes) -> bytes:
    """Return JSON with halves of characters as they came."""
    return _MARK.sub(rb"\\u\1", text)


def without_halves(text: bytes) -> bytes:
    """Return JSON with a replacement character for each half of one."""
    return _HALF.sub(lambda found: found[1] + (found[2] or b"\\ufffd"), text)
