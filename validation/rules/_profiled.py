"""What a profile that somebody made of a version says to rules: nothing has to be read for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.validation.subject import VersionSubject

if TYPE_CHECKING:
    from dataplat.validation.profile import ColumnProfile
    from dataplat.validation.subject import Subject


def profiled(subject: Subject, column: str) -> ColumnProfile | None:
    """Return what is remembered of a column of a whole version, or None."""
    if subject.memos is None or not isinstance(subject, VersionSubject):
        return None
    from dataplat.validation.profile._memory import Memory

    return Memory(subject.memos, subject.schema).find("version", [column], subject.manifest.id).get(column)
