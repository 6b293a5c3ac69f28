"""What to say of a part that is damaged or missing; apart from what reads parts, since that loads pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import IntegrityError

if TYPE_CHECKING:
    from dataplat.lake.part import Part


def damaged(part: Part, where: str, what: str) -> IntegrityError:
    """Return the error for a part whose bytes are not what was written."""
    return IntegrityError(
        f"part {part.id} is damaged ({where}): {what}. Nothing of it was returned. `dataplat version verify` lists what "
        "is damaged; put the object back from a copy of the lake (its name is the SHA-256 of its bytes), or ingest "
        "its source again"
    )


def missing(part: Part) -> IntegrityError:
    """Return the error for a part that is not in the store."""
    return IntegrityError(
        f"part {part.id} is missing in the store ({part.live} rows). If rows were erased, or versions collected, since this "
        "one was opened, open it again. Else `dataplat version verify` lists what is missing; put the object back from a "
        "copy of the lake, or ingest its source again"
    )
