"""What may be the byte range of a read."""

from __future__ import annotations

from dataplat.errors import StoreError


def check_range(key: str, byte_range: tuple[int, int] | None) -> None:
    """Raise `StoreError` unless the half-open `byte_range` is `0 <= start <= stop`.

    A range that reaches past the end of the object is no error: it gives the bytes that there are.
    """
    if byte_range is not None and not 0 <= byte_range[0] <= byte_range[1]:
        raise StoreError(f"cannot read the bytes {byte_range} of {key!r}: a range is (start, stop), 0 <= start <= stop")
