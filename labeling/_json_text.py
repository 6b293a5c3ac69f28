"""One way of writing the same JSON value: that in which Label Studio's listing of tasks writes it, Python's own.

Its export escapes every slash and writes 1e-6 for 1e-06, its snapshots put spaces between tokens (1.23, tried). An
answer must not look like another one because it came another way, so these three are undone; every other byte, the
order of keys, doubled keys and digits of numbers included, stays as it came.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|(?<=[0-9])[eE]-(?=[0-9](?![0-9]))', re.DOTALL)


def as_written(text: bytes) -> bytes:
    """Return the text of a JSON value as the listing of tasks would have it; what is no JSON as it is."""
    if _has_spaces(text):
        try:
            text = msgspec.json.format(text, indent=-1)
        except msgspec.DecodeError:
            return text
    if rb"\/" in text:
        text = _ESCAPED.sub(lambda found: b"/" if found[1] == b"/" else found[0], text)
    if b"e-" in text:
        text = _TOKEN.sub(lambda found: found[0] if found[0][:1] == b'"' else b"e-0", text)
    return text


def _has_spaces(text: bytes) -> bool:
    """Return whether there is white space between tokens, or in a text what looks like it, which does no harm.

    Seven searches: one regular expression for all of them takes longer than to decode the text.
    """
    return (
        b": " in text
        or b", " in text
        or b"\n" in text
        or b"[ " in text
        or b"{ " in text
        or b"\t" in text
        or b"\r" in text
    )
