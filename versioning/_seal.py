"""Small files that no hash names (records, tags, `lake.json`): each holds the hash of itself as the field `check`."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from dataplat.errors import IntegrityError, LakeFormatError
from dataplat.versioning._json import canonical, object_id

T = TypeVar("T")

FIELD: Final = "check"


def seal(value: Any) -> bytes:
    """Return `value`, a struct without a field `check`, as canonical JSON with the SHA-256 of it as `check`."""
    text = canonical(value)
    return canonical(_fields(text) | {FIELD: object_id(text)})


def unseal(data: bytes, type: type[T], key: str, what: str) -> T:
    """Read the `type` that was sealed in `data`.

    The hash is that of the bytes as they are, also of fields that this dataplat does not know.

    Raises:
        LakeFormatError: It is whole, or has no `check`, and cannot be read: `what` a newer or another program wrote.
        IntegrityError: It was damaged. `key` names it in the message.
    """
    try:
        fields = _fields(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(key, f"is not readable ({error})") from error
    check = fields.pop(FIELD, None)
    if check is not None and bytes(check) != canonical(object_id(canonical(fields))):
        raise _damaged(key, "is not what its own checksum says")
    try:
        value = msgspec.json.decode(data, type=type)
    except msgspec.ValidationError as error:
        raise LakeFormatError(
            f"{key} is not a {what} that this dataplat can read ({error}): a newer one wrote it, or another program; "
            "upgrade dataplat"
        ) from error
    if check is None:
        raise _damaged(key, "has lost its checksum")
    return value


def _fields(data: bytes) -> dict[str, Any]:
    return msgspec.json.decode(data, type=dict[str, msgspec.Raw])


def _damaged(key: str, how: str) -> IntegrityError:
    return IntegrityError(
        f"{key} {how}: it was damaged. Restore it from a copy of the lake; `dataplat version verify` says what else is."
    )
